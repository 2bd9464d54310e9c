import * as z from "zod";
import { ADDRESS_OF_TOUCH, LEAD_NAME } from "./columns.ts";
import { storedInstant, storedInstantOrNull } from "./rows.ts";
import { many, type Queryable, sql } from "./sql.ts";

export const waitingTouchRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  workspaceName: z.string(),
  sequenceName: z.string(),
  position: z.int(),
  /** Labels of `CHANNELS` and `TOUCH_STATUSES`, or unknown ones if the database is newer than this code. */
  channel: z.string(),
  status: z.string(),
  claimedAt: storedInstant,
  expiresAt: storedInstantOrNull,
  leadId: z.guid(),
  leadName: z.string(),
  /** The lead's address for the channel; null if the channel needs none. */
  recipient: z.string().nullable(),
});

/** A touch that waits, or waited, for approval: with readable names and its recipient, without its text. */
export type WaitingTouch = z.infer<typeof waitingTouchRow>;

const COLUMNS = sql`
  touch.id, workspace.id as "workspaceId", workspace.name as "workspaceName", sequence.name as "sequenceName",
  step.position, touch.channel::text, touch.status::text, touch.claimed_at as "claimedAt", touch.expires_at as "expiresAt",
  touch.lead_id as "leadId", ${LEAD_NAME} as "leadName",
  ${ADDRESS_OF_TOUCH} as recipient`;

interface WaitingQuery {
  /** Null: all workspaces. */
  readonly workspaceId: string | null;
  /** Only touches that are listed after this one, which may be decided by now. */
  readonly after: string | null;
  readonly limit: number;
}

const PLACE = sql`coalesce(touch.expires_at, 'infinity'), touch.claimed_at, touch.id`;

/** Touches that wait for approval, by expiry, then by age. */
export async function listWaiting(
  db: Queryable,
  { workspaceId, after, limit }: WaitingQuery,
): Promise<readonly WaitingTouch[]> {
  return await many(db, waitingTouchRow)`
    select ${COLUMNS}
      from follow_up_instance as instance
      join touch on touch.instance_id = instance.id and touch.generation = instance.generation
       and touch.status = 'awaiting_approval'
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
      join workspace on workspace.id = instance.workspace_id
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     where instance.paused_reason = 'awaiting_approval'
       and (${workspaceId}::uuid is null or instance.workspace_id = ${workspaceId}::uuid)
       and (${after}::uuid is null or (${PLACE}) > (select ${PLACE} from touch where touch.id = ${after}::uuid))
     order by ${PLACE}
     limit ${limit}`;
}

/** Undefined if there is no such touch. */
export async function readTouchToDecide(db: Queryable, touchId: string): Promise<WaitingTouch | undefined> {
  const [touch] = await many(db, waitingTouchRow)`
    select ${COLUMNS}
      from touch
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = step.sequence_id
      join workspace on workspace.id = touch.workspace_id
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
     where touch.id = ${touchId}::uuid`;
  return touch;
}
