import { Prisma } from "../../lib/store/generated/client.ts";
import { REACHED } from "./cast.ts";
import { type Part, sqlId } from "./fragments.ts";
import { COMPANY_OR_TEAM } from "./sequences.ts";

/** Fills one table from `demo_cast` for a range of leads. */
export interface Filling {
  /** The name of the data in progress messages. */
  readonly what: string;
  readonly statement: (part: Part) => Prisma.Sql;
}

const leadId = sqlId("lead", Prisma.sql`number`);
const instanceId = sqlId("instance", Prisma.sql`number * 4`);

const leads: Filling = {
  what: "leads",
  statement: ({ isMember, now }) => Prisma.sql`
    insert into lead (id, workspace_id, first_name, last_name, company, email, phone, linkedin_url,
                      linkedin_connected_at, time_zone, status, automation_enabled, opted_out_at, snoozed_until,
                      last_inbound_at, last_outbound_at, enrichment_status, created_at)
    select ${leadId}, workspace_id, first_name, last_name, company, email, phone,
           case when linked then 'https://linkedin.example/in/' || number end,
           case when linked then coalesce(enrolled_at, ${now}) - interval '2 days' end,
           zone, coalesce(standing, 'new')::lead_status, coalesce(automation, true),
           case when refused then ${now}::timestamptz - interval '2 hours' end, snoozed_until, inbound_at, outbound_at,
           coalesce(enrichment, 'not_requested')::enrichment_status,
           coalesce(enrolled_at, ${now}) - interval '3 days'
      from demo_cast
     where ${isMember}
     order by number`,
};

const instances: Filling = {
  what: "instances",
  statement: ({ isMember }) => Prisma.sql`
    insert into follow_up_instance (id, workspace_id, lead_id, sequence_id, status, paused_reason, position, next_step_due,
                                    recheck_at, completed_at, completed_reason, created_at, started_at)
    select ${instanceId}, workspace_id, ${leadId}, sequence_id, status::instance_status,
           case when status = 'paused' then reason::paused_reason end, step, case when status = 'active' then due_at end,
           case when status = 'paused' then case reason
             when 'lead_replied' then inbound_at + interval '7 days'
             when 'lead_snoozed' then snoozed_until
             when 'awaiting_enrichment' then look_at end end,
           case when status = 'completed' then due_at end, case when status = 'completed' then reason end,
           enrolled_at, enrolled_at
      from demo_cast
     where sequence_id is not null and ${isMember}
     order by number`,
};

/** Some leads are in a second sequence, which is not due yet. */
const secondInstances: Filling = {
  what: "second instances",
  statement: ({ isMember, now, chances }) => Prisma.sql`
    insert into follow_up_instance (id, workspace_id, lead_id, sequence_id, status, next_step_due, created_at,
                                    started_at)
    select ${sqlId("instance", Prisma.sql`number * 4 + 1`)}, workspace_id, ${leadId}, sequence.id, 'active',
           ${now}::timestamptz + make_interval(hours => 2 + ${chances.below(90, 21)}), enrolled_at, enrolled_at
      from demo_cast
      join demo_sequence as sequence on ${sqlId("workspace", Prisma.sql`sequence.place`)} = workspace_id
       and sequence.key = 'manual'
     where demo_cast.key <> 'manual' and status = 'active' and step > 1 and ${chances.below(10, 22)} = 0 and ${isMember}
     order by number`,
};

/** A template rendered for the lead. Supports only the placeholders of the demo's templates. */
const rendered = (template: Prisma.Sql): Prisma.Sql => Prisma.sql`
  replace(replace(replace(${template}, '{{ lead.first_name }}', first_name),
    ${COMPANY_OR_TEAM}, coalesce(company, 'your team')), '{{ workspace.name }}', workspace.name)`;

/** The touches of completed steps and of the next step. */
const touches: Filling = {
  what: "touches",
  statement: ({ isMember, now }) => Prisma.sql`
    insert into touch (id, workspace_id, instance_id, lead_id, step_id, generation, channel, status, reason, subject, body,
                       attempts, failures, claimed_at, next_attempt_at, recheck_at, send_until, sent_at,
                       provider_id)
    select ${sqlId("touch", Prisma.sql`number::bigint * 64 + step.position`)}, workspace_id, ${instanceId}, ${leadId},
           step.id, 1, step.channel::channel, outcome::touch_status,
           case outcome when 'failed' then 'smtp_550' when 'unknown' then 'etimedout' when 'claimed' then 'smtp_451' end,
           ${rendered(Prisma.sql`step.subject`)}, ${rendered(Prisma.sql`step.body`)},
           case outcome when 'awaiting_approval' then 0 else 1 end, case outcome when 'claimed' then 1 else 0 end,
           claimed_at, case outcome when 'claimed' then ${now}::timestamptz + interval '20 minutes' end,
           case outcome when 'claimed' then ${now}::timestamptz + interval '20 minutes'
                        when 'sending' then ${now}::timestamptz - interval '5 minutes' end,
           case outcome when 'claimed' then ${now}::timestamptz + interval '8 hours' end,
           case outcome when 'sent' then claimed_at end, case outcome when 'sent' then 'demo:' || number end
      from demo_cast
      join workspace on workspace.id = workspace_id
      join demo_step as step using (sequence_id)
     cross join lateral (
       select case when step.position > done then current when step.position = done then coalesce(latest, 'sent')
                   else 'sent' end as outcome,
              reference - make_interval(mins => demo_cast.elapsed - least(step.elapsed, demo_cast.elapsed)) as claimed_at
     ) as touch
     where (step.position <= done or (step.position = demo_cast.step and current is not null)) and ${REACHED} and ${isMember}
     order by number, step.position`,
};

const tasks: Filling = {
  what: "tasks",
  statement: ({ isMember, now }) => Prisma.sql`
    insert into task (id, workspace_id, touch_id, lead_id, title, notes, done_at, created_at)
    select ${sqlId("task", Prisma.sql`number`)}, touch.workspace_id, touch.id, touch.lead_id, touch.subject, touch.body,
           least(touch.sent_at + interval '6 hours', ${now}), touch.sent_at
      from demo_cast
      join touch on touch.instance_id = ${instanceId} and touch.channel = 'task'
     where ${isMember}
     order by number`,
};

/** Bookings that no function processed, as a hand-typed update makes them. */
const bookingsByHand: Filling = {
  what: "bookings",
  statement: ({ isMember }) => Prisma.sql`
    update lead set status = 'meeting-booked'
      from demo_cast
     where lead.id = ${leadId} and booking in ('by_hand', 'earlier') and ${isMember}`,
};

const appointments: Filling = {
  what: "appointments",
  statement: ({ isMember, now, chances }) => Prisma.sql`
    insert into appointment (id, workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at, created_at)
    select ${sqlId("appointment", Prisma.sql`number`)}, workspace_id, ${leadId}, 'demo-' || number,
           case booking when 'missed' then 'missed' else 'confirmed' end::appointment_status,
           starts_at, starts_at + interval '30 minutes', last_event_at, last_event_at
      from demo_cast
     cross join lateral (
       select ${now}::timestamptz as last_event_at,
              date_bin('30 minutes', case booking when 'missed' then enrolled_at - interval '1 hour'
                else ${now}::timestamptz + make_interval(hours => 4 + ${chances.below(300, 23)}) end, 'epoch') as starts_at
     ) as meeting
     where booking in ('by_calendar', 'earlier', 'missed') and ${isMember}
     order by number`,
};

/** Instances of the sequence that a booking starts. A booking does not stop them. */
const postBookingInstances: Filling = {
  what: "post-booking instances",
  statement: ({ isMember, now, chances }) => Prisma.sql`
    insert into follow_up_instance (id, workspace_id, lead_id, sequence_id, lead_booked, post_booking, status,
                                    next_step_due, created_at, started_at)
    select ${sqlId("instance", Prisma.sql`number * 4 + 2`)}, workspace_id, ${leadId}, sequence.id, true, true, 'active',
           ${now}::timestamptz + make_interval(mins => ${chances.below(2_000, 24)} - 200), ${now}, ${now}
      from demo_cast
      join demo_sequence as sequence on ${sqlId("workspace", Prisma.sql`sequence.place`)} = workspace_id
       and sequence.key = 'meeting_selected'
     where booking in ('by_hand', 'by_calendar', 'earlier') and ${chances.below(2, 25)} = 0 and ${isMember}
       and exists (select from lead where lead.id = ${leadId} and is_booked)
     order by number`,
};

/** The events of the first digest. */
const notifications: Filling = {
  what: "notifications",
  statement: ({ isMember, now, chances }) => Prisma.sql`
    insert into notification_event (id, workspace_id, kind, lead_id, touch_id, occurred_at)
    select ${sqlId("notification", Prisma.sql`number::bigint * 64 + place`)}, workspace_id, kind::notification_kind, lead_id,
           touch_id, occurred_at
      from demo_cast
     cross join lateral (
       select 62 as place, 'lead_replied' as kind, ${leadId} as lead_id, null::uuid as touch_id, inbound_at as occurred_at
        where inbound_at > ${now}::timestamptz - interval '3 days'
       union all
       select 63, 'meeting_booked', ${leadId}, null,
              ${now}::timestamptz - make_interval(hours => 25 + ${chances.below(48, 26)})
        where booking = 'earlier'
       union all
       select step.position, case touch.status when 'failed' then 'touch_failed' when 'unknown' then 'touch_unknown'
                                  else 'approval_waiting' end, null, touch.id, touch.claimed_at
         from touch
         join demo_step as step on step.id = touch.step_id
        where touch.instance_id = ${instanceId} and touch.status in ('failed', 'unknown', 'awaiting_approval')) as event
     where ${isMember}
     order by number, place`,
};

/** In chronological order: leads are enrolled first and book later. */
export const FILLINGS: readonly Filling[] = [
  leads,
  instances,
  secondInstances,
  touches,
  tasks,
  bookingsByHand,
  appointments,
  postBookingInstances,
  notifications,
];
