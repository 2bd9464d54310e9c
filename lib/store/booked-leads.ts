import * as z from "zod";
import { DAY_MS } from "../domain/time-zone.ts";
import type { CompleteBooked } from "../run/store-ports.ts";
import { execute, exists, one, type Queryable, type Sql, sql } from "./sql.ts";
import { BATCH_SIZE } from "./stops.ts";

/** Whether no comparison ran in the last 24 hours. Ignores one dated in the future: its clock was wrong. */
export async function comparisonIsDue(db: Queryable, now: Date): Promise<boolean> {
  const since = new Date(now.getTime() - DAY_MS);
  return !(await exists(db)`select from run where compared_at > ${since} and compared_at <= ${now} limit 1`);
}

/** Live instances of booked leads, by the definition of booked, that are not marked as orphans. */
export const missedByMarker = (now: Date): Sql => sql`
    select instance.id, instance.workspace_id, null::timestamptz as orphan_since
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
     where instance.status in ('active', 'paused') and sequence.trigger_on <> 'meeting_selected'
       and not (instance.lead_booked and not instance.post_booking)
       and ((lead.status = 'meeting-booked' and lead.missed_at is null) or exists (
         select from appointment
          where appointment.workspace_id = lead.workspace_id and appointment.lead_id = lead.id
            and appointment.status = 'confirmed' and appointment.ends_at > ${now}))`;

/** Clears `booked_until` after the meeting, once no orphans remain. */
export async function unbookAfterTheMeeting(db: Queryable, { now, workspaceId, stopping, report }: CompleteBooked) {
  while (!stopping()) {
    const unbooked = await execute(db)`
      update lead set booked_until = null
       where id in (
         select id from lead
          where booked_until <= ${now} and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
            and not exists (
              select from follow_up_instance as instance
               where instance.workspace_id = lead.workspace_id and instance.lead_id = lead.id
                 and instance.status in ('active', 'paused') and instance.lead_booked and not instance.post_booking)
          order by booked_until
          limit ${BATCH_SIZE}
            for update skip locked)
         and booked_until <= ${now}`;
    report.unbookedLeads += unbooked;
    if (unbooked < BATCH_SIZE) return;
  }
}

/** Counts the bookings that `unbookAfterTheMeeting` would clear after the orphans are completed. */
export async function countMeetingsOver(db: Queryable, { now, workspaceId }: CompleteBooked): Promise<number> {
  const { count } = await one(db, z.object({ count: z.int() }))`
    select count(*)::int as count from lead
     where booked_until <= ${now} and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)`;
  return count;
}
