import * as z from "zod";
import type { DueCandidate } from "../run/claim-ports.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { parseDueRows, storedInstantOrNull } from "./rows.ts";
import { many, type Queryable } from "./sql.ts";

const liveRow = z.object({
  firstId: z.guid(),
  instanceStatus: z.enum(["active", "paused"]),
  pausedReason: z.string().nullable(),
  holdReason: z.string().nullable(),
  rechecks: z.boolean(),
  approvalExpiresAt: storedInstantOrNull,
});

/** A live instance with everything that a decision needs. */
export interface LiveInstance {
  readonly candidate: DueCandidate;
  readonly status: "active" | "paused";
  readonly pausedReason: string | null;
  readonly holdReason: string | null;
  /** Whether runs recheck its pause; false for a pause that only a person ends. */
  readonly rechecks: boolean;
  /** When the touch that waits for approval expires; null if it does not, or if none waits. */
  readonly approvalExpiresAt: Date | null;
}

interface LivePage {
  readonly instances: readonly LiveInstance[];
  /** `after` of the next page; null if there is none. */
  readonly next: string | null;
}

interface PageQuery {
  readonly workspaceId: string;
  /** `next` of the page before; null for the first page. */
  readonly after: string | null;
  /** The most leads of a page. */
  readonly leads: number;
}

/** The live instances of a workspace in pages of leads: all instances of a lead are on the page of its earliest one. */
export async function readLivePage(
  db: Queryable,
  { workspaceId, after, leads }: PageQuery,
  now: Date,
): Promise<LivePage> {
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(now)}, page.id as "firstId", instance.status::text as "instanceStatus",
           instance.paused_reason::text as "pausedReason", instance.hold_reason as "holdReason",
           instance.recheck_at is not null as rechecks,
           (select min(touch.expires_at) from touch
             where touch.instance_id = instance.id and touch.generation = instance.generation
               and touch.status = 'awaiting_approval') as "approvalExpiresAt"
      from (select id, lead_id from follow_up_instance as earliest
             where workspace_id = ${workspaceId}::uuid and live
               and (${after}::uuid is null or id > ${after}::uuid)
               and not exists (
                 select from follow_up_instance as earlier
                  where earlier.lead_id = earliest.lead_id and earlier.workspace_id = earliest.workspace_id
                    and earlier.live and earlier.id < earliest.id)
             order by id
             limit ${leads}) as page
      join follow_up_instance as instance
        on instance.workspace_id = ${workspaceId}::uuid and instance.lead_id = page.lead_id and instance.live
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     order by page.id, instance.id`;
  const dueRows = parseDueRows(rows);
  const candidates = await readCandidates(db, dueRows, now);
  const firstIds = new Set<string>();
  const instances = dueRows.flatMap(({ row }, index): LiveInstance[] => {
    const { firstId, instanceStatus, ...state } = liveRow.parse(row);
    firstIds.add(firstId);
    const candidate = candidates[index];
    return candidate ? [{ ...state, status: instanceStatus, candidate }] : [];
  });
  return { instances, next: firstIds.size < leads ? null : ([...firstIds].at(-1) ?? null) };
}

const workspaceRow = z.object({ id: z.guid(), name: z.string(), timeZone: z.string() });

/** The workspaces that have live instances, by name: one, or those after a workspace. */
export async function readLiveWorkspaces(
  db: Queryable,
  { only, after }: { readonly only: string | null; readonly after: string | null },
): Promise<readonly z.infer<typeof workspaceRow>[]> {
  return await many(db, workspaceRow)`
    select id, name, time_zone as "timeZone" from workspace
     where (${only}::uuid is null or id = ${only}::uuid)
       and (${after}::uuid is null or (name, id) > (select name, id from workspace where id = ${after}::uuid))
       and exists (select from follow_up_instance where workspace_id = workspace.id and live)
     order by name, id`;
}
