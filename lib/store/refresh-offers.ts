import * as z from "zod";
import { withOffer } from "../domain/late-values.ts";
import { type Availability, type Offer, type OfferedTime, offerOf } from "../domain/offered-slots.ts";
import { meetingPlace } from "../domain/rule-context.ts";
import { recheckSoon } from "../domain/time-zone.ts";
import { OFFER_CHANGED, type RefreshedOffer } from "../run/delivery-ports.ts";
import { readAvailability, readOffered } from "./availability.ts";
import { loadHolidaysFor, SEND_TIMES, sendTimeColumns, sendTimesOf } from "./columns.ts";
import { insertTouchEvents } from "./digests.ts";
import { replaceOffers } from "./offered-times.ts";
import { columnFaults } from "./rows.ts";
import { execute, many, type Queryable, sql, type Transactional } from "./sql.ts";

const claimedRow = z.looseObject({
  id: z.guid(),
  workspaceId: z.guid(),
  leadId: z.guid(),
  body: z.string(),
  isApproved: z.boolean(),
});
type ClaimedRow = z.infer<typeof claimedRow>;

/** Read one by one: an invalid row of a workspace blocks no other. */
const placeRow = z.object({
  leadTimeZone: z.string().nullable(),
  workspaceTimeZone: z.string(),
  ...sendTimeColumns,
});

type HeldBack = Pick<RefreshedOffer, "fault"> & { readonly reason: Exclude<RefreshedOffer["reason"], null> };
const isHeld = (offer: Offer | HeldBack): offer is HeldBack => "reason" in offer;

/** A claimed touch with its current offer, or the reason why there is none. */
interface Looked {
  readonly row: ClaimedRow;
  readonly offer: Offer | HeldBack;
  /** The text with these times. */
  readonly body: string;
  /** Whether the times differ from those that the text offers. */
  readonly changed: boolean;
}

/**
 * Checks the times that claimed touches offer, and replaces those that are no longer free. Locks lead, instance and
 * touch as a claim does, and skips what another transaction holds. The start notices later commits.
 */
export function refreshOffers(
  db: Transactional,
  touchIds: readonly string[],
  now: Date,
): Promise<readonly RefreshedOffer[]> {
  return db.transaction(async (transaction) => {
    const looked = await lookAt(transaction, touchIds, now);
    const offering = looked.flatMap(({ row, offer }) => (isHeld(offer) ? [] : [{ touchId: row.id, offer }]));
    const changed = looked.filter((each) => each.changed);
    await replaceOffers(transaction, offering);
    await storeBodies(
      transaction,
      changed.filter(({ row }) => !row.isApproved),
    );
    const returned = await returnToApproval(
      transaction,
      changed.filter(({ row }) => row.isApproved),
      now,
    );
    return [...returned, ...(await settle(transaction, looked, returned, now))];
  });
}

async function lookAt(db: Queryable, touchIds: readonly string[], now: Date): Promise<readonly Looked[]> {
  const rows = await many(db, claimedRow)`
    select touch.id, touch.workspace_id as "workspaceId", touch.lead_id as "leadId", touch.body,
           touch.decided_at is not null as "isApproved", lead.time_zone as "leadTimeZone",
           workspace.time_zone as "workspaceTimeZone", ${SEND_TIMES}
      from touch
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
      join follow_up_instance as instance on instance.id = touch.instance_id
      join workspace on workspace.id = touch.workspace_id
     where touch.id = any(${[...touchIds]}::uuid[]) and case when touch.status = 'claimed' then true end
       and touch.offer_until is not null
       for no key update of lead, instance, touch skip locked`;
  if (rows.length === 0) return [];
  await loadHolidaysFor(rows);
  const availability = await readAvailability(db, [...new Set(rows.map(({ workspaceId }) => workspaceId))], now);
  const offered = await readOffered(db, rows);
  return rows.map((row) => {
    const times = offered.get(row.leadId) ?? [];
    const offer = offerNow(row, availability.get(row.workspaceId), times, now);
    if (isHeld(offer)) return { row, offer, body: row.body, changed: false };
    const changed = differs(
      offer,
      times.filter(({ touchId }) => touchId === row.id),
    );
    const body = changed ? withOffer(row, offer.text).body : row.body;
    return { row, offer, body, changed };
  });
}

function offerNow(
  row: ClaimedRow,
  availability: Availability | undefined,
  offered: readonly OfferedTime[],
  now: Date,
): Looked["offer"] {
  const parsed = placeRow.safeParse(row);
  const { workspaceId } = row;
  if (!parsed.success) return { reason: "unreadable_row", fault: { workspaceId, fault: columnFaults(parsed.error) } };
  if (!availability) return { reason: "availability_outdated" };
  const { leadTimeZone, workspaceTimeZone } = parsed.data;
  const workspace = { timeZone: workspaceTimeZone, ...sendTimesOf(parsed.data) };
  try {
    const offer = offerOf({ availability, offered }, meetingPlace({ timeZone: leadTimeZone }, workspace), now, row.id);
    return typeof offer === "string" ? { reason: offer } : offer;
  } catch (thrown) {
    // The send window or the holidays were changed by SQL.
    if (!(thrown instanceof RangeError)) throw thrown;
    return { reason: "invalid_send_times", fault: { workspaceId, fault: thrown.message } };
  }
}

const differs = ({ times }: Offer, before: readonly OfferedTime[]): boolean =>
  times.length !== before.length ||
  times.some(
    ({ startsAt, endsAt }, place) =>
      +startsAt !== +(before[place]?.startsAt ?? 0) || +endsAt !== +(before[place]?.endsAt ?? 0),
  );

async function storeBodies(db: Queryable, changed: readonly Looked[]): Promise<void> {
  if (changed.length === 0) return;
  await execute(db)`
    update touch set body = changed.body
      from unnest(
        ${changed.map(({ row }) => row.id)}::uuid[], ${changed.map(({ body }) => body)}::text[]) as changed (id, body)
     where touch.id = changed.id`;
}

/** Holds the touches without an offer, and reports the others. */
async function settle(
  db: Queryable,
  looked: readonly Looked[],
  returned: readonly RefreshedOffer[],
  now: Date,
): Promise<readonly RefreshedOffer[]> {
  const settled = new Set(returned.map(({ touchId }) => touchId));
  const refreshed = looked
    .filter(({ row }) => !settled.has(row.id))
    .map(
      ({ row, offer }): RefreshedOffer =>
        isHeld(offer)
          ? { touchId: row.id, outcome: "held", ...offer }
          : { touchId: row.id, outcome: "checked", reason: null },
    );
  const held = refreshed.filter(({ outcome }) => outcome === "held");
  if (held.length > 0) {
    const until = recheckSoon(now);
    await execute(db)`
      update touch set reason = held.reason, next_attempt_at = ${until}, recheck_at = ${until}
        from unnest(
          ${held.map(({ touchId }) => touchId)}::uuid[], ${held.map(({ reason }) => reason)}::text[]) as held (id, reason)
       where touch.id = held.id`;
  }
  return refreshed;
}

const returnedRow = z.object({ touchId: z.guid(), outcome: z.enum(["returned", "cancelled", "unknown"]) });

/**
 * Puts approved touches up for approval again, with their new text, and their instances back to that step. Cancels a
 * touch whose instance cannot go back, because it has moved on or ended for another reason. An attempt that may have
 * arrived makes it `unknown` instead.
 */
async function returnToApproval(
  db: Queryable,
  changed: readonly Looked[],
  now: Date,
): Promise<readonly RefreshedOffer[]> {
  if (changed.length === 0) return [];
  const rows = await many(db, returnedRow)`
    with changed as materialized (
      select touch.id, touch.instance_id, touch.generation, touch.unknown_attempt_at, step.position, given.body
        from unnest(
          ${changed.map(({ row }) => row.id)}::uuid[], ${changed.map(({ body }) => body)}::text[]) as given (id, body)
        join touch on touch.id = given.id
        join follow_up_step as step on step.id = touch.step_id),
    back as (
      update follow_up_instance as instance
         set status = 'paused', paused_reason = 'awaiting_approval', position = changed.position, next_step_due = null,
             recheck_at = null, completed_at = null, completed_reason = null
        from changed
       where instance.id = changed.instance_id and instance.generation = changed.generation
         and changed.unknown_attempt_at is null
         and (instance.status in ('active', 'paused')
              or (instance.status = 'completed' and instance.completed_reason = 'out_of_steps'))
         and not exists (
           select from touch as later join follow_up_step as later_step on later_step.id = later.step_id
            where later.instance_id = instance.id and later.generation = instance.generation
              and later_step.position > changed.position)
         and not exists (
           select from follow_up_instance as other
            where other.workspace_id = instance.workspace_id and other.lead_id = instance.lead_id
              and other.sequence_id = instance.sequence_id and other.id <> instance.id and other.live)
      returning changed.id),
    ended as (
      update touch
         set status = case when back.id is not null then 'awaiting_approval' when touch.unknown_attempt_at is null then 'cancelled'
                           else 'unknown' end::touch_status,
             reason = ${OFFER_CHANGED}, next_attempt_at = null, send_until = null,
             body = case when back.id is not null then changed.body else touch.body end,
             fingerprint = case when back.id is not null then message_fingerprint(touch.subject, changed.body) else touch.fingerprint end,
             recheck_at = case when back.id is not null then touch.expires_at end,
             decided_at = case when back.id is null then touch.decided_at end,
             decided_by = case when back.id is null then touch.decided_by end
        from changed left join back on back.id = changed.id
       where touch.id = changed.id
      returning touch.id, touch.workspace_id, touch.status),
    waiting as (${insertTouchEvents("approval_waiting", now, sql`from ended where status = 'awaiting_approval'`)}),
    doubtful as (${insertTouchEvents("touch_unknown", now, sql`from ended where status = 'unknown'`)})
    select id as "touchId",
           case status when 'awaiting_approval' then 'returned' else status::text end as outcome
      from ended`;
  return rows.map((row) => ({ ...row, reason: OFFER_CHANGED }));
}
