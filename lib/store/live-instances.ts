import * as z from "zod";
import type { DueCandidate } from "../run/store-ports.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { instantOrNull, parseDueRows } from "./rows.ts";
import { many, type Queryable } from "./sql.ts";

const liveRow = z.object({
  instanceStatus: z.enum(["active", "paused"]),
  pausedReason: z.string().nullable(),
  holdReason: z.string().nullable(),
  approvalExpiresAt: instantOrNull,
});

interface LivePage {
  readonly workspaceId: string;
  /** The last instance of the page before; null for the first page. */
  readonly after: string | null;
  readonly limit: number;
}

/** A live instance with everything that a decision needs. */
export interface LiveRow extends z.infer<typeof liveRow> {
  readonly candidate: DueCandidate;
}

/** The live instances of a workspace in pages, by id. */
export async function readLivePage(
  db: Queryable,
  { workspaceId, after, limit }: LivePage,
  now: Date,
): Promise<LiveRow[]> {
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(now)}, instance.status::text as "instanceStatus",
           instance.paused_reason::text as "pausedReason", instance.hold_reason as "holdReason",
           (select min(touch.expires_at) from touch
             where touch.instance_id = instance.id and touch.generation = instance.generation
               and touch.status = 'awaiting_approval') as "approvalExpiresAt"
      from (select * from follow_up_instance
             where workspace_id = ${workspaceId}::uuid and live
               and (${after}::uuid is null or id > ${after}::uuid)
             order by id
             limit ${limit}) as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     order by instance.id`;
  const dueRows = parseDueRows(rows);
  const candidates = await readCandidates(db, dueRows, now);
  return dueRows.flatMap(({ row }, index) => {
    const candidate = candidates[index];
    return candidate ? [{ ...liveRow.parse(row), candidate }] : [];
  });
}

/** The workspaces that have live instances, by name. */
export async function readLiveWorkspaces(
  db: Queryable,
  workspaceId: string | null,
): Promise<readonly { readonly id: string; readonly name: string; readonly timeZone: string }[]> {
  return await many(db, z.object({ id: z.guid(), name: z.string(), timeZone: z.string() }))`
    select id, name, time_zone as "timeZone" from workspace
     where (${workspaceId}::uuid is null or id = ${workspaceId}::uuid)
       and exists (select from follow_up_instance where workspace_id = workspace.id and live)
     order by name, id`;
}
