import { expect, it } from "@jest/globals";
import fc from "fast-check";
import { onPool } from "../../lib/store/sql.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, type Columns } from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { ONE_OF_FEW_IN } from "../support/one-case-in.ts";
import { noLock, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner();
let workspaceId: string;
let leads: readonly string[];
let chaseId: string;

const LEADS = 3;

async function aWorld(): Promise<void> {
  workspaceId = await addWorkspace(sql);
  const steps = [{ delay_minutes: 0, channel: "task" }, { channel: "task" }, { channel: "task" }];
  ({ id: chaseId } = await addSequence(sql, workspaceId, { steps }));
  await addSequence(sql, workspaceId, { steps, trigger_on: "meeting_selected" });
  await addSequence(sql, workspaceId, { steps, trigger_on: "meeting_missed" });
  await addSequence(sql, workspaceId, { steps, trigger_on: "setter_reply" });
  const added = Array.from({ length: LEADS }, (_, index) =>
    addFollowedLead(sql, workspaceId, chaseId, {
      lead: { external_id: `lead-${index}`, email: `lead-${index}@example.test` },
      instance: { started_at: hoursAgo(500) },
    }),
  );
  leads = (await Promise.all(added)).map(({ leadId }) => leadId);
}

/** An event for one of the leads or for the environment. */
type Step =
  | {
      readonly kind: "fact";
      readonly type: string;
      readonly lead: number;
      readonly meeting: number;
      readonly ago: number;
    }
  | { readonly kind: "status"; readonly status: string; readonly lead: number }
  | { readonly kind: "appointment"; readonly status: string; readonly lead: number }
  | { readonly kind: "days pass"; readonly days: number }
  | { readonly kind: "run" }
  | { readonly kind: "run dies" };

const lead = fc.nat(LEADS - 1);
const fact = fc.record({
  kind: fc.constant("fact" as const),
  type: fc.constantFrom(
    ...["meeting.booked", "meeting.booked", "meeting.rescheduled", "meeting.cancelled", "meeting.missed"],
    ...["lead.replied", "lead.contacted", "lead.snoozed", "lead.opted_out", "lead.enrolled"],
  ),
  lead,
  meeting: fc.nat(2),
  ago: fc.integer({ min: 1, max: 200 }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: fact, weight: 6 },
  { arbitrary: fc.record({ kind: fc.constant("run" as const) }), weight: 3 },
  fc.record({ kind: fc.constant("run dies" as const) }),
  fc.record({
    kind: fc.constant("status" as const),
    status: fc.constantFrom("qualified", "meeting-booked", "meeting-requested", "not-interested"),
    lead,
  }),
  fc.record({
    kind: fc.constant("appointment" as const),
    status: fc.constantFrom("confirmed", "cancelled", "missed"),
    lead,
  }),
  fc.record({ kind: fc.constant("days pass" as const), days: fc.integer({ min: 1, max: 4 }) }),
);
const atOnce = fc.array(step, { minLength: 1, maxLength: 3 });

let number = 0;

async function take(one: Step): Promise<void> {
  switch (one.kind) {
    case "fact":
      await tell(onPool(sql), one.type, detailOf(one));
      return;
    case "status":
      await sql.query("update lead set status = $2 where id = $1", [leads[one.lead], one.status]);
      return;
    case "appointment":
      await sql.query("update appointment set status = $2 where lead_id = $1", [leads[one.lead], one.status]);
      return;
    case "days pass":
      await letDaysPass(one.days);
      return;
    case "run":
      expect(await runner.run({ workspaceId }, { lock: noLock })).toMatchObject({ success: true, errors: [] });
      return;
    case "run dies":
      await runner.run({ workspaceId }, { lock: noLock, remainingMs: dyingAfter(12) });
      return;
    default:
      one satisfies never;
  }
}

/** A remaining time that drops to 0 after that many reads. */
function dyingAfter(questions: number): () => number {
  let left = questions;
  return () => (left-- > 0 ? 60_000 : 0);
}

function detailOf({ type, lead: index, meeting, ago }: Extract<Step, { kind: "fact" }>): Columns {
  const about = { workspaceId, eventId: `event-${++number}`, occurredAt: hoursAgo(ago) };
  const externalId = `lead-${index}`;
  if (type === "lead.enrolled") return { ...about, sequence: { id: chaseId }, leads: [{ externalId }], restart: true };
  const meetingOf = {
    id: `${externalId}-${meeting}`,
    startsAt: hoursAgo(-24 * meeting),
    endsAt: hoursAgo(-24 * meeting - 1),
  };
  if (type.startsWith("meeting")) return { ...about, lead: { externalId }, meeting: meetingOf };
  const more = { "lead.snoozed": { until: hoursAgo(-30) }, "lead.contacted": { channel: "call" } }[type];
  return { ...about, lead: { externalId }, ...more };
}

/** Moves all past timestamps back by that many days. */
const letDaysPass = async (days: number) => {
  const columns = {
    lead: [
      "last_outbound_at",
      "last_task_at",
      "last_inbound_at",
      "first_inbound_at",
      "last_contacted_at",
      "snoozed_until",
    ],
    follow_up_instance: ["next_step_due", "recheck_at"],
    touch: ["next_attempt_at", "recheck_at", "expected_outbound_at"],
  };
  for (const [table, names] of Object.entries(columns)) {
    const moved = names.map((name) => `${name} = ${name} - make_interval(days => $2)`).join(", ");
    await sql.query(`update ${table} set ${moved} where workspace_id = $1`, [workspaceId, days]);
  }
};

/** Independent restatement of the section "The promise"; uses no code of the engine. */
const BOOKED = `
  select lead.id, lead.booked_at from lead
   where workspace_id = $1
     and (status = 'meeting-booked' and missed_at is null
          or exists (select from appointment
                      where lead_id = lead.id and appointment.status = 'confirmed' and ends_at > now()))`;

async function rows(query: string): Promise<readonly unknown[]> {
  return (await sql.query(query, [workspaceId])).rows;
}

/** Must be empty at all times: chasing steps claimed by a run that began after the booking. */
const claimedAfterBooking = () =>
  rows(`
    with booked as (${BOOKED})
    select touch.id, touch.claimed_at, booked.booked_at
      from booked
      join touch on touch.lead_id = booked.id
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = step.sequence_id
     where sequence.trigger_on <> 'meeting_selected' and touch.claimed_at > booked.booked_at`);

/** Must be empty after a run: instances and unsent touches that chase a booked lead. */
const stillChasing = () =>
  rows(`
    with booked as (${BOOKED})
    select instance.id, instance.status, touch.status as touch
      from booked
      join follow_up_instance as instance on instance.lead_id = booked.id
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
      left join touch on touch.instance_id = instance.id and touch.generation = instance.generation
                     and touch.status in ('claimed', 'awaiting_approval')
     where sequence.trigger_on <> 'meeting_selected'
       and (instance.status in ('active', 'paused')
            or touch.status is not null and instance.completed_reason = 'meeting_booked')`);

/** Must be empty after a run: live work for a lead that opted out. */
const heardAfterOptOut = () =>
  rows(`
    select instance.id from lead join follow_up_instance as instance on instance.lead_id = lead.id
     where lead.workspace_id = $1 and opted_out_at is not null and instance.status in ('active', 'paused')
       and instance.next_step_due <= now()`);

it("the promise holds for any sequential and concurrent facts, direct writes and runs", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(atOnce, { maxLength: 12 }), async (story) => {
      await aWorld();
      for (const moment of story) {
        await Promise.all(moment.map(take));
        expect(await claimedAfterBooking()).toEqual([]);
        await take({ kind: "run" });
        expect([await claimedAfterBooking(), await stillChasing(), await heardAfterOptOut()]).toEqual([[], [], []]);
      }
    }),
    { numRuns: Math.ceil(25 / ONE_OF_FEW_IN) },
  );
}, 180_000);

it("would be seen to be broken by a step that was claimed after the booking", async () => {
  await aWorld();
  await take({ kind: "fact", type: "meeting.booked", lead: 0, meeting: 1, ago: 5 });
  const { rows: instances } = await sql.query(
    "select id from follow_up_instance where lead_id = $1 and not post_booking",
    [leads[0]],
  );
  const { rows: steps } = await sql.query("select id from follow_up_step where sequence_id = $1", [chaseId]);
  expect([await claimedAfterBooking(), await stillChasing()]).toEqual([[], []]);
  await addTouch(sql, instances[0].id, steps[0].id, { claimed_at: new Date() });
  expect([await claimedAfterBooking(), await stillChasing()]).toMatchObject([[{}], [{}]]);
});

it("two concurrent connections return the same as one after the other", async () => {
  await aWorld();
  const meeting = { id: "one", startsAt: hoursAgo(-24), endsAt: hoursAgo(-25) };
  const booking = { workspaceId, eventId: "same", occurredAt: hoursAgo(1), lead: { id: leads[0] }, meeting };
  const outcomes = await Promise.all(Array.from({ length: 8 }, () => tell(onPool(sql), "meeting.booked", booking)));
  expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(["applied", ...Array(7).fill("duplicate")]);
  const enrolments = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      tell(onPool(sql), "lead.enrolled", {
        workspaceId,
        eventId: `new-${index}`,
        occurredAt: hoursAgo(1),
        sequence: { id: chaseId },
        leads: [{ email: "new@example.test" }],
      }),
    ),
  );
  const verdicts = enrolments.flatMap((outcome) => ("verdicts" in outcome ? (outcome.verdicts ?? []) : []));
  expect(verdicts.sort()).toEqual([...Array(7).fill("already_enrolled"), "enrolled"]);
});
