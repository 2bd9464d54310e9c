import * as z from "zod";
import { stepFrom } from "../domain/due-item.ts";
import { writesSlots } from "../domain/late-values.ts";
import type { Availability, OfferedTime } from "../domain/offered-slots.ts";
import { CLOCKS_DIFFER_MS } from "../domain/time-zone.ts";
import type { DueCandidate } from "../run/claim-ports.ts";
import { storedInstant } from "./rows.ts";
import { execute, many, type Queryable, sql } from "./sql.ts";

/** A booking tool's report of free times. */
interface Reported {
  readonly workspaceId: string;
  readonly tool: string;
  readonly takenAt: Date;
  /** In order. */
  readonly slots: readonly { readonly startsAt: Date; readonly endsAt: Date }[];
  readonly bookingUrl: string | null;
}

/**
 * Stores the free times of a booking tool, unless a later report is known or there is no such workspace. Returns whether it
 * stored them. The caller must serialise the reports of a workspace.
 */
export async function storeAvailability(db: Queryable, reported: Reported): Promise<boolean> {
  const { workspaceId, tool, takenAt, slots, bookingUrl } = reported;
  const stored = await execute(db)`
    insert into availability as known (workspace_id, tool, taken_at, starts_at, ends_at, booking_url, version)
    select id, ${tool}, ${takenAt}::timestamptz, ${slots.map(({ startsAt }) => startsAt)}::timestamptz[],
           ${slots.map(({ endsAt }) => endsAt)}::timestamptz[], ${bookingUrl},
           1 + coalesce((select max(version) from availability where workspace_id = workspace.id), 0)
      from workspace where id = ${workspaceId}::uuid
        on conflict (workspace_id, tool) do update
       set taken_at = excluded.taken_at, starts_at = excluded.starts_at, ends_at = excluded.ends_at,
           booking_url = excluded.booking_url,
           version = case when (known.starts_at, known.ends_at, known.booking_url)
                               is distinct from (excluded.starts_at, excluded.ends_at, excluded.booking_url)
                          then excluded.version else known.version end
     where known.taken_at < excluded.taken_at`;
  return stored > 0;
}

/** Between 1970 and the year 9999. */
const epoch = z
  .number()
  .min(0)
  .max(253_402_300_799_999)
  .transform((milliseconds) => new Date(milliseconds));
const span = { startsAt: epoch, endsAt: epoch };
const freeTime = z.object(span).refine(({ startsAt, endsAt }) => endsAt > startsAt, "must end after it starts");
const availabilityRow = z.object({
  version: z.string(),
  maxAgeMinutes: z.int(),
  reports: z.array(z.object({ takenAt: epoch, bookingUrl: z.string().nullable(), free: z.array(freeTime) })),
  meetings: z.array(z.object({ ...span, knownAt: epoch })),
});

/**
 * The known free times of these workspaces; none for those without a report. Parses each alone: a row that was changed
 * by SQL and cannot be read counts as no report.
 */
export async function readAvailability(
  db: Queryable,
  workspaceIds: readonly string[],
  now: Date,
): Promise<ReadonlyMap<string, Availability>> {
  const rows = await many(db, z.looseObject({ id: z.guid() }))`
    select workspace.id, workspace.availability_max_age_minutes as "maxAgeMinutes", reported.version::text, reported.reports,
           coalesce((
             select json_agg(json_build_object(
                      'startsAt', ${milliseconds(sql`greatest(starts_at, ${now}::timestamptz)`)},
                      'endsAt', ${milliseconds(sql`least(ends_at, ${now}::timestamptz + interval '2 years')`)},
                      'knownAt', ${milliseconds(sql`least(${KNOWN_AT}, ${now}::timestamptz)`)}))
               from appointment as meeting
              where workspace_id = workspace.id and status = 'confirmed' and ends_at > ${now}
                and starts_at < ${now}::timestamptz + interval '1 year'
                and ${KNOWN_AT} > reported.since - ${CLOCKS_DIFFER_MS} * interval '1 millisecond'), '[]'::json) as meetings
      from workspace
     cross join lateral (
       select max(version) as version, min(taken_at) as since,
              json_agg(json_build_object(
                'takenAt', ${milliseconds(sql`taken_at`)}, 'bookingUrl', booking_url,
                'free', (select coalesce(json_agg(json_build_object(
                                  'startsAt', ${milliseconds(sql`free.starts_at`)}, 'endsAt', ${milliseconds(sql`free.ends_at`)})
                                  order by free.starts_at), '[]'::json)
                           from unnest(availability.starts_at, availability.ends_at) as free (starts_at, ends_at)))) as reports
         from availability where workspace_id = workspace.id) as reported
     where workspace.id = any(${[...workspaceIds]}::uuid[]) and reported.version is not null`;
  return new Map(
    rows.flatMap((row) => {
      const parsed = availabilityRow.safeParse(row);
      return parsed.success ? [[row.id, parsed.data] as const] : [];
    }),
  );
}

/** Since when we know the times of `meeting`. */
export const KNOWN_AT = sql`greatest(meeting.created_at, meeting.last_event_at, '2000-01-01')`;

const milliseconds = (instant: ReturnType<typeof sql>) => sql`trunc(extract(epoch from ${instant}) * 1000)`;

const offeredRow = z.object({ leadId: z.guid(), touchId: z.guid(), startsAt: storedInstant, endsAt: storedInstant });

/** The times that texts to these leads offer or offered, by lead. Without texts that never went and never will. */
export async function readOffered(
  db: Queryable,
  leads: readonly { readonly workspaceId: string; readonly leadId: string }[],
): Promise<ReadonlyMap<string, readonly OfferedTime[]>> {
  const rows = await many(db, offeredRow)`
    select offered.lead_id as "leadId", offered.touch_id as "touchId", offered.starts_at as "startsAt", offered.ends_at as "endsAt"
      from unnest(
        ${leads.map(({ workspaceId }) => workspaceId)}::uuid[],
        ${leads.map(({ leadId }) => leadId)}::uuid[]) as lead (workspace_id, id)
      join offered_time as offered on offered.workspace_id = lead.workspace_id and offered.lead_id = lead.id
      join touch on touch.id = offered.touch_id and touch.workspace_id = offered.workspace_id
     where touch.status not in ('cancelled', 'expired', 'rejected', 'failed')
     order by offered.starts_at`;
  return Map.groupBy(rows, ({ leadId }) => leadId);
}

/** Adds what an offer depends on to the candidates whose next text offers times. */
export async function withSlots(
  db: Queryable,
  candidates: readonly DueCandidate[],
  now: Date,
): Promise<readonly DueCandidate[]> {
  const offering = candidates.flatMap(({ instanceId, position, workspaceId, read }) => {
    const step = "item" in read && stepFrom(read.item.sequence, position);
    return step && writesSlots(step) ? [{ instanceId, workspaceId, leadId: read.item.lead.id }] : [];
  });
  if (offering.length === 0) return candidates;
  const ids = new Set(offering.map(({ instanceId }) => instanceId));
  const availability = await readAvailability(db, [...new Set(offering.map(({ workspaceId }) => workspaceId))], now);
  const offered = await readOffered(db, uniqueLeads(offering));
  return candidates.map((candidate): DueCandidate => {
    const { read } = candidate;
    const known = availability.get(candidate.workspaceId);
    if ("fault" in read || !known || !ids.has(candidate.instanceId)) return candidate;
    const slots = { availability: known, offered: offered.get(read.item.lead.id) ?? [] };
    return { ...candidate, read: { item: { ...read.item, slots } } };
  });
}

const uniqueLeads = <Lead extends { readonly leadId: string }>(leads: readonly Lead[]): readonly Lead[] => [
  ...new Map(leads.map((lead) => [lead.leadId, lead])).values(),
];
