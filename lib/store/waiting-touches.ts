import * as z from "zod";
import { CHANNELS, TOUCH_STATUSES } from "../domain/labels.ts";
import { instant, instantOrNull } from "./rows.ts";
import { many, type Queryable, sql } from "./sql.ts";

const touchRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  workspaceName: z.string(),
  sequenceName: z.string(),
  position: z.int(),
  channel: z.enum(CHANNELS),
  status: z.enum(TOUCH_STATUSES),
  claimedAt: instant,
  expiresAt: instantOrNull,
});

/** A touch that waits, or waited, for approval: with readable names, without its text. */
export type WaitingTouch = z.infer<typeof touchRow>;

const COLUMNS = sql`
  touch.id, workspace.id as "workspaceId", workspace.name as "workspaceName", sequence.name as "sequenceName",
  step.position, touch.channel::text, touch.status::text, touch.claimed_at as "claimedAt", touch.expires_at as "expiresAt"`;

/** Touches that wait for approval, by expiry, then by age. */
export async function listWaiting(
  db: Queryable,
  { workspaceId, limit }: { readonly workspaceId: string | null; readonly limit: number },
): Promise<readonly WaitingTouch[]> {
  return await many(db, touchRow)`
    select ${COLUMNS}
      from follow_up_instance as instance
      join touch on touch.instance_id = instance.id and touch.generation = instance.generation
       and touch.status = 'awaiting_approval'
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
      join workspace on workspace.id = instance.workspace_id
     where instance.paused_reason = 'awaiting_approval'
       and (${workspaceId}::uuid is null or instance.workspace_id = ${workspaceId}::uuid)
     order by touch.expires_at, touch.claimed_at, touch.id
     limit ${limit}`;
}

/** Undefined if there is no such touch. */
export async function findTouch(db: Queryable, touchId: string): Promise<WaitingTouch | undefined> {
  const [touch] = await many(db, touchRow)`
    select ${COLUMNS}
      from touch
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = step.sequence_id
      join workspace on workspace.id = touch.workspace_id
     where touch.id = ${touchId}::uuid`;
  return touch;
}
