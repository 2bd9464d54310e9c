import * as z from "zod";
import { APPOINTMENT_STATUSES } from "../../domain/labels.ts";
import { isNews, type MeetingState } from "../../domain/meeting.ts";
import { instant } from "../rows.ts";
import { execute, many, one, type Queryable } from "../sql.ts";

const meetingRow = z.object({
  leadId: z.guid(),
  status: z.enum(APPOINTMENT_STATUSES),
  startsAt: instant,
  endsAt: instant,
  lastEventAt: instant,
  confirmedAt: instant.nullable(),
});

/** A stored meeting: one state, and one row per lead. */
export interface KnownMeeting {
  readonly state: MeetingState;
  /** The sender's time of the latest confirmation, kept after a cancellation. */
  readonly confirmedAt: Date | null;
  readonly leadIds: readonly string[];
}

/** Returns the latest state, or null. The rows of a meeting differ only if a direct write changed some of them. */
export async function findMeeting(db: Queryable, workspaceId: string, id: string): Promise<KnownMeeting | null> {
  const rows = await many(db, meetingRow)`
    select lead_id as "leadId", status::text, starts_at as "startsAt", ends_at as "endsAt",
           last_event_at as "lastEventAt", confirmed_at as "confirmedAt"
      from appointment
     where workspace_id = ${workspaceId}::uuid and external_id = ${id}
     order by confirmed_at desc nulls last, lead_id`;
  const [first] = rows;
  if (!first) return null;
  const state = rows.reduce<MeetingState>((latest, row) => (isNews(row, latest) ? row : latest), first);
  return { state, confirmedAt: first.confirmedAt, leadIds: rows.map(({ leadId }) => leadId) };
}

export interface MeetingToRecord {
  readonly workspaceId: string;
  readonly id: string;
  readonly leadIds: readonly string[];
  readonly state: MeetingState;
  readonly confirmedAt: Date | null;
  /** If false, existing rows keep their state and only take a later `confirmedAt`. */
  readonly isNews: boolean;
}

/** Upserts one row per lead. Triggers on the table book and unbook the leads. */
export async function recordMeeting(db: Queryable, meeting: MeetingToRecord): Promise<void> {
  const { workspaceId, id, leadIds, state, confirmedAt } = meeting;
  await execute(db)`
    insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at, confirmed_at)
    select ${workspaceId}::uuid, lead_id, ${id}, ${state.status}::appointment_status, ${state.startsAt},
           ${state.endsAt}, ${state.lastEventAt}, ${confirmedAt}::timestamptz
      from unnest(${[...leadIds]}::uuid[]) as given (lead_id)
    on conflict (workspace_id, external_id, lead_id) do update
       set status = case when ${meeting.isNews} then excluded.status else appointment.status end,
           starts_at = case when ${meeting.isNews} then excluded.starts_at else appointment.starts_at end,
           ends_at = case when ${meeting.isNews} then excluded.ends_at else appointment.ends_at end,
           last_event_at = case when ${meeting.isNews} then excluded.last_event_at else appointment.last_event_at end,
           confirmed_at = greatest(appointment.confirmed_at, excluded.confirmed_at)`;
}

const others = z.object({ confirmed: z.boolean(), bookedSince: z.boolean(), toldSince: z.boolean() });

/** Whether another meeting keeps the lead booked, was confirmed after `occurredAt`, or had any event after it. */
export async function otherMeetings(
  db: Queryable,
  { workspaceId, meetingId, occurredAt }: { workspaceId: string; meetingId: string; occurredAt: Date },
  leadId: string,
): Promise<z.infer<typeof others>> {
  return await one(db, others)`
    select coalesce(bool_or(appointment.status = 'confirmed' and (
             appointment.last_event_at > ${occurredAt} or appointment.ends_at > clock_timestamp())), false) as confirmed,
           coalesce(bool_or(appointment.confirmed_at > ${occurredAt}), false) as "bookedSince",
           coalesce(bool_or(appointment.last_event_at > ${occurredAt}), false) as "toldSince"
      from appointment
     where workspace_id = ${workspaceId}::uuid and lead_id = ${leadId}::uuid and external_id <> ${meetingId}`;
}
