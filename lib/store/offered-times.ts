import type { Offer } from "../domain/offered-slots.ts";
import { CLOCKS_DIFFER_MS } from "../domain/time-zone.ts";
import { KNOWN_AT } from "./availability.ts";
import { execute, type Queryable, type Sql, sql } from "./sql.ts";

/** The times that the text of a touch offers. */
export interface RecordedOffer {
  readonly touchId: string;
  readonly offer: Offer;
}

/**
 * Records the times of texts that offered none before. The versions of the reports were read in this transaction. The
 * start notices a report that commits later.
 */
export async function recordOffers(db: Queryable, offers: readonly RecordedOffer[]): Promise<void> {
  if (offers.length === 0) return;
  const times = offers.flatMap(({ touchId, offer }) => offer.times.map((time) => ({ touchId, ...time })));
  await execute(db)`
    with offering as (
      update touch
         set offer_version = offer.version, offer_until = offer.until
        from unnest(
          ${offers.map(({ touchId }) => touchId)}::uuid[],
          ${offers.map(({ offer }) => offer.version)}::bigint[],
          ${offers.map(({ offer }) => offer.until)}::timestamptz[]) as offer (id, version, until)
       where touch.id = offer.id
      returning touch.id, touch.workspace_id, touch.lead_id)
    insert into offered_time (touch_id, workspace_id, lead_id, starts_at, ends_at)
    select offering.id, offering.workspace_id, offering.lead_id, time.starts_at, time.ends_at
      from unnest(
        ${times.map(({ touchId }) => touchId)}::uuid[],
        ${times.map(({ startsAt }) => startsAt)}::timestamptz[],
        ${times.map(({ endsAt }) => endsAt)}::timestamptz[]) as time (touch_id, starts_at, ends_at)
      join offering on offering.id = time.touch_id`;
}

/** Records the times that texts offer now instead. */
export async function replaceOffers(db: Queryable, offers: readonly RecordedOffer[]): Promise<void> {
  if (offers.length === 0) return;
  await execute(db)`delete from offered_time where touch_id = any(${offers.map(({ touchId }) => touchId)}::uuid[])`;
  await recordOffers(db, offers);
}

/**
 * Whether the times that `touch` offers must be checked before it goes. True if the last check has expired, a tool
 * reported other times since, or a meeting that no report knows takes one of them. Never true right after `offerOf`
 * kept them.
 */
export const offerIsUnchecked = (now: Date): Sql => sql`
  touch.offer_until <= ${now}
  or touch.offer_version is distinct from (select max(version) from availability where workspace_id = touch.workspace_id)
  or exists (
    select from offered_time as offered
      join appointment as meeting
        on meeting.workspace_id = offered.workspace_id and meeting.status = 'confirmed'
       and meeting.starts_at < offered.ends_at and meeting.ends_at > offered.starts_at
     where offered.touch_id = touch.id and offered.workspace_id = touch.workspace_id
       and not exists (
         select from availability as report
          where report.workspace_id = offered.workspace_id and offered.starts_at = any(report.starts_at)
            and report.taken_at - ${CLOCKS_DIFFER_MS} * interval '1 millisecond' >= ${KNOWN_AT}))`;
