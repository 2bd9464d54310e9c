import { insertTouchEvents } from "./digests.ts";
import { execute, type Queryable, raw, type Sql, sql } from "./sql.ts";

/** Whether something shows that the message of `touch` left the provider: it is not sent again. */
export const WENT_OUT = sql`coalesce(touch.delivered_at, touch.bounced_at, touch.complained_at) is not null`;

/** When `touch`, whose outcome was unknown and which turned out to have been sent, counts as sent: at its attempt. */
export const sentAtAttempt = (otherwise: Date): Sql =>
  sql`coalesce(touch.unknown_attempt_at, touch.last_attempt_at, ${otherwise}::timestamptz)`;

interface Outcome {
  readonly workspaceId: string;
  readonly touchIds: readonly string[];
  /** `deferred`: a transient bounce. It has no column, but shows that the message went out. */
  readonly outcome: "delivered" | "bounced" | "complained" | "deferred";
  readonly at: Date;
}

/**
 * Records the outcomes of messages, each at its earliest time, and settles their touches as sent from any earlier
 * state. A touch that is `sending` is settled by its sender, or when its lease ends. Ignores touches without an
 * attempt, and those of other workspaces. Returns how many are known.
 */
export async function recordOutcome(db: Queryable, { workspaceId, touchIds, outcome, at }: Outcome): Promise<number> {
  if (touchIds.length === 0) return 0;
  const column = raw(`${outcome}_at`);
  const stamp = outcome === "deferred" ? sql`` : sql`${column} = least(touch.${column}, ${at}::timestamptz),`;
  return await execute(db)`
    update touch
       set ${stamp}
           status = case when touch.status = 'sending' then touch.status else 'sent' end,
           reason = case when touch.status in ('sending', 'sent') then touch.reason else 'settled_by_provider' end,
           sent_at = case when touch.status in ('sending', 'sent') then touch.sent_at else ${sentAtAttempt(at)} end,
           next_attempt_at = null, recheck_at = case when touch.status = 'sending' then touch.recheck_at end
     where touch.workspace_id = ${workspaceId}::uuid and touch.id = any(${[...touchIds]}::uuid[])
       and (touch.last_attempt_at is not null or touch.status in ('sent', 'sending', 'unknown'))`;
}

interface Failure {
  readonly workspaceId: string;
  readonly touchId: string;
  readonly reason: string;
  readonly now: Date;
}

/** Fails a touch that the provider did not send after all, and queues the digest event. False if nothing changed. */
export async function failTouch(db: Queryable, { workspaceId, touchId, reason, now }: Failure): Promise<boolean> {
  const failed = await execute(db)`
    with failed as (
      update touch
         set status = 'failed', reason = ${reason}, sent_at = null, unknown_attempt_at = null, recheck_at = null
       where workspace_id = ${workspaceId}::uuid and id = ${touchId}::uuid
         and status in ('sent', 'sending', 'unknown') and not (${WENT_OUT})
      returning id, workspace_id)
    ${insertTouchEvents("touch_failed", now, sql`from failed`)}`;
  return failed > 0;
}
