import * as z from "zod";
import { TOUCH_STATUSES, type TouchStatus } from "../domain/labels.ts";
import { many, type Queryable, sql } from "./sql.ts";
import { CANCEL_REASON } from "./start-sending.ts";
import { TOUCHED_AT } from "./touch-lists.ts";
import { sentAtAttempt } from "./touch-outcomes.ts";

interface HandSettlement {
  readonly touchId: string;
  readonly outcome: "sent" | "failed";
  readonly at: Date;
}

const settledRow = z.object({
  workspaceId: z.guid(),
  leadId: z.guid(),
  status: z.enum(TOUCH_STATUSES),
  settled: z.boolean(),
});

/**
 * Settles a touch whose outcome is unknown, as a person found it. Returns its status after that, and whether this call
 * changed it. Changes no other touch. Undefined if there is none with this id.
 *
 * A touch that arrived counts as sent when its attempt started.
 */
export async function settleUnknown(
  db: Queryable,
  { touchId, outcome, at }: HandSettlement,
): Promise<z.infer<typeof settledRow> | undefined> {
  const changed = await many(db, settledRow)`
    update touch
       set status = ${outcome}::touch_status, reason = 'settled_by_person',
           sent_at = case when ${outcome} = 'sent' then ${sentAtAttempt(at)} end,
           unknown_attempt_at = case when ${outcome} = 'sent' then unknown_attempt_at end
     where id = ${touchId}::uuid and status = 'unknown'
    returning workspace_id as "workspaceId", lead_id as "leadId", status::text, true as settled`;
  if (changed[0]) return changed[0];
  const [touch] = await many(db, settledRow)`
    select workspace_id as "workspaceId", lead_id as "leadId", status::text, false as settled from touch where id = ${touchId}::uuid`;
  return touch;
}

/** Failed touches of a workspace. */
interface FailedQuery {
  readonly workspaceId: string;
  /** Why they failed; null: for any reason. */
  readonly failure: string | null;
  /** Null: at any time. */
  readonly since: Date | null;
  readonly until: Date | null;
  readonly now: Date;
}

/** Statuses of a touch that went out, may have gone out, or is about to go out. */
const GOES_OUT = ["claimed", "sending", "sent", "unknown"] satisfies readonly TouchStatus[];

/** Why `touch`, which failed, may not be sent again; null if it may. A message that is overtaken stays unsent. */
const bar = (now: Date) => sql`
  coalesce(${CANCEL_REASON},
    case when instance.status = 'completed' and instance.completed_reason is distinct from 'out_of_steps'
           then 'sequence_ended'
         when touch.expires_at <= ${now}::timestamptz then 'time_to_live_over'
         when exists (
           select from touch as later
             join follow_up_step as later_step on later_step.id = later.step_id
            where later.instance_id = touch.instance_id and later.generation = touch.generation
              and later_step.position > step.position and later.status::text = any(${[...GOES_OUT]}::text[]))
           then 'later_step_went_out'
    end)`;

const failed = ({ workspaceId, failure, since, until }: FailedQuery) => sql`
  touch
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_instance as instance on instance.id = touch.instance_id
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
     where touch.workspace_id = ${workspaceId}::uuid and touch.status = 'failed'
       and (${failure}::text is null or touch.reason = ${failure})
       and (${since}::timestamptz is null or ${TOUCHED_AT} >= ${since}::timestamptz)
       and (${until}::timestamptz is null or ${TOUCHED_AT} < ${until}::timestamptz)`;

const groupRow = z.object({ failure: z.string().nullable(), bar: z.string().nullable(), touches: z.int() });

/** Counts failed touches by why they failed and by why they may not be sent again, the most frequent first. */
export async function countFailed(
  db: Queryable,
  query: FailedQuery & { readonly limit: number },
): Promise<z.infer<typeof groupRow>[]> {
  return await many(db, groupRow)`
    select failure, bar, count(*)::int as touches
      from (select touch.reason as failure, ${bar(query.now)} as bar from ${failed(query)}) as failed
     group by failure, bar
     order by touches desc, failure, bar
     limit ${query.limit}`;
}

interface Retry extends FailedQuery {
  /** The order that retries them, for their story; null if none does. */
  readonly orderId: string | null;
  readonly limit: number;
}

/**
 * Claims failed touches again, at most `limit`; the next run decides again when each may go. Returns how many. Skips those
 * that may not be sent, and leads that another transaction holds. Locks the lead first: a booking is either visible here
 * or commits later and is handled by the backstop.
 */
export async function retryFailed(db: Queryable, query: Retry): Promise<number> {
  const retried = await many(db, z.unknown())`
    with again as materialized (
      select touch.id
        from ${failed(query)} and ${bar(query.now)} is null
       order by lead.id, touch.id
       limit ${query.limit}
         for no key update of lead, instance, touch skip locked)
    update touch
       set status = 'claimed', reason = null, next_attempt_at = ${query.now}, recheck_at = ${query.now},
           send_until = null, failures = 0, deferred_since = null, retry_order_id = ${query.orderId}::uuid
      from again
     where touch.id = again.id
    returning touch.id`;
  return retried.length;
}
