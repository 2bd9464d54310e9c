import { randomUUID } from "node:crypto";
import { parseEvent } from "../../lib/inbound/parse-event.ts";
import type { FactOutcome } from "../../lib/run/apply-messages.ts";
import { applyFact } from "../../lib/store/facts/apply-fact.ts";
import type { Transactional } from "../../lib/store/sql.ts";
import type { Columns, Sql } from "./factories.ts";

/** The text of an event, as EventBridge delivers it. */
export const bodyOf = (type: string, detail: Columns): string =>
  JSON.stringify({ version: "0", id: randomUUID(), source: "test", "detail-type": type, detail });

/**
 * Parses and applies a fact; by default a new one of an hour ago. Throws if the event is invalid, which is a bug of the
 * test.
 */
export function tell(db: Transactional, type: string, detail: Columns): Promise<FactOutcome> {
  const parsed = parseEvent(bodyOf(type, { eventId: randomUUID(), occurredAt: hoursAgo(1), ...detail }));
  if (!parsed.ok) throw new Error(parsed.reason);
  return applyFact(db, parsed.fact);
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** The instant this many hours ago. */
export const hoursAgo = (hours: number): string => new Date(Date.now() - hours * HOUR_MS).toISOString();

/** A one-hour meeting this many days from now. */
export function aMeeting(id: string, days = 3): Columns {
  const startsAt = new Date(Date.now() + days * DAY_MS);
  return { id, startsAt: startsAt.toISOString(), endsAt: new Date(startsAt.getTime() + HOUR_MS).toISOString() };
}

/** A lead's state that decides about touches and bookings. Two histories of the same facts must agree on it. */
export async function standing(sql: Sql, workspaceId: string) {
  const { rows } = await sql.query(
    `select lead.status, is_booked, opted_out_at, snoozed_until, last_inbound_at, missed_at,
            (select json_agg(json_build_object('sequence', sequence_id, 'status', instance.status, 'reason', paused_reason)
                             order by sequence_id)
               from follow_up_instance as instance
              where lead_id = lead.id and instance.status in ('active', 'paused')) as live,
            (select json_agg(json_build_object('id', external_id, 'status', status, 'ends', ends_at) order by external_id)
               from appointment where lead_id = lead.id) as meetings,
            (select count(*)::int from touch where lead_id = lead.id and status in ('claimed', 'awaiting_approval')) as unsent
       from lead where workspace_id = $1 order by lead.id`,
    [workspaceId],
  );
  return rows;
}
