import * as z from "zod";
import type { TouchStatus } from "../domain/labels.ts";
import { ADDRESS_OF_TOUCH, LEAD_NAME } from "./columns.ts";
import { storedInstant } from "./rows.ts";
import { many, type Queryable, sql } from "./sql.ts";

export const listedTouchRow = z.object({
  id: z.guid(),
  status: z.string(),
  /** Explains the status. */
  reason: z.string().nullable(),
  /** A label of `CHANNELS`, or an unknown one if the database is newer than this code. */
  channel: z.string(),
  workspaceId: z.guid(),
  workspace: z.string(),
  leadId: z.guid(),
  leadName: z.string(),
  /** The lead's address for the channel; null if the channel needs none. */
  address: z.string().nullable(),
  sequence: z.string(),
  position: z.int(),
  at: storedInstant,
});

/** A touch with readable names, without its text. `at`: when it was sent, last tried, or else claimed. */
type ListedTouch = z.infer<typeof listedTouchRow>;

interface TouchQuery {
  readonly statuses: readonly TouchStatus[];
  /** Null: all workspaces. */
  readonly workspaceId: string | null;
  /** Null: of any age. */
  readonly since: Date | null;
  /** Only touches that were claimed after this one. */
  readonly after: string | null;
  readonly limit: number;
}

/** When `touch` was sent, last tried, or else claimed. */
export const TOUCHED_AT = sql`coalesce(touch.sent_at, touch.last_attempt_at, touch.claimed_at)`;

/**
 * Touches with one of these statuses, the oldest claim first. An index by status would cost each send: for rare statuses
 * it reads all touches. It looks up names for one page only, and stops reading early if the status is frequent.
 */
export async function readTouches(db: Queryable, query: TouchQuery): Promise<ListedTouch[]> {
  const { statuses, workspaceId, since, after, limit } = query;
  return await many(db, listedTouchRow)`
    with page as materialized (
      select touch.*
        from touch
       where touch.status = any(${[...statuses]}::touch_status[])
         and (${workspaceId}::uuid is null or touch.workspace_id = ${workspaceId}::uuid)
         and (${since}::timestamptz is null or ${TOUCHED_AT} >= ${since}::timestamptz)
         and (${after}::uuid is null or touch.id > ${after}::uuid)
       order by touch.id
       limit ${limit})
    select touch.id, touch.status::text, touch.reason, touch.channel::text, touch.workspace_id as "workspaceId",
           workspace.name as workspace, touch.lead_id as "leadId",
           ${LEAD_NAME} as "leadName",
           ${ADDRESS_OF_TOUCH} as address,
           sequence.name as sequence, step.position, ${TOUCHED_AT} as at
      from page as touch
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = step.sequence_id
      join workspace on workspace.id = touch.workspace_id
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
     order by touch.id`;
}

export const touchCount = z.object({
  status: z.string(),
  channel: z.string(),
  reason: z.string().nullable(),
  touches: z.int(),
  /** Claimed ones that may be sent now. */
  due: z.int(),
  oldest: storedInstant,
});

interface CountQuery extends Pick<TouchQuery, "statuses" | "workspaceId"> {
  /** Only those that were claimed then or later; null: of any age. */
  readonly claimedSince: Date | null;
  readonly now: Date;
}

/** Touches by status, channel and reason, the most frequent first. Reads all touches. */
export async function countTouches(db: Queryable, query: CountQuery): Promise<z.infer<typeof touchCount>[]> {
  const { statuses, workspaceId, claimedSince, now } = query;
  return await many(db, touchCount)`
    select touch.status::text, touch.channel::text, touch.reason, count(*)::int as touches,
           (count(*) filter (where touch.status = 'claimed' and touch.next_attempt_at <= ${now}))::int as due,
           min(touch.claimed_at) as oldest
      from touch
     where touch.status::text = any(${[...statuses]}::text[])
       and (${workspaceId}::uuid is null or touch.workspace_id = ${workspaceId}::uuid)
       and (${claimedSince}::timestamptz is null or touch.claimed_at >= ${claimedSince}::timestamptz)
     group by 1, 2, 3
     order by touches desc, 1, 2, 3 nulls first`;
}
