import { expect, it } from "@jest/globals";
import { addInstance, addLead, addSequence, addWorkspace, type Columns } from "../support/factories.ts";
import { clockAt, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });

/** A Monday. */
const EVENING = "2030-01-07T16:59:00Z";
const NEXT_MORNING = "2030-01-08T09:00:00Z";
const MINUTE_MS = 60_000;

const runAt = (instant: string) => runner.run({}, clockAt(instant));
const minutesAfter = (instant: string, minutes: number) =>
  new Date(Date.parse(instant) + minutes * MINUTE_MS).toISOString();

/** A lead with a transient failure in the evening, and a step of another sequence due in the morning. */
async function oneFailedAndOneDue(channel: Columns): Promise<void> {
  const workspaceId = await addWorkspace(sql, { window_start: "09:00", window_end: "17:00", gap_minutes: 60 });
  const leadId = await addLead(sql, workspaceId);
  await addInstance(sql, leadId, (await addSequence(sql, workspaceId)).id, { next_step_due: EVENING });
  const other = await addSequence(sql, workspaceId, { steps: [channel] });
  await addInstance(sql, leadId, other.id, { next_step_due: NEXT_MORNING });
  runner.channel.answer = () => ({ kind: "retry", reason: "provider_is_busy" });
  await runAt(EVENING);
  expect(runner.channel.sent).toHaveLength(1);
  runner.channel.reset();
}

const sentChannels = () => runner.channel.sent.map(({ channel }) => channel);

it("a retry keeps the gap after a touch that another sequence sent since", async () => {
  await oneFailedAndOneDue({ channel: "sms" });
  await runAt(NEXT_MORNING);
  expect(sentChannels()).toHaveLength(1);
  await runAt(minutesAfter(NEXT_MORNING, 59));
  expect(sentChannels()).toHaveLength(1);
  await runAt(minutesAfter(NEXT_MORNING, 60));
  expect(sentChannels().sort()).toEqual(["email", "sms"]);
});

it("a retry goes on a later day than a touch of another sequence on its channel", async () => {
  await oneFailedAndOneDue({ channel: "email" });
  await runAt(NEXT_MORNING);
  await runAt(minutesAfter(NEXT_MORNING, 60));
  expect(sentChannels()).toHaveLength(1);
  await runAt(minutesAfter(NEXT_MORNING, 24 * 60));
  expect(sentChannels()).toHaveLength(2);
});

it("a retry keeps the gap after a touch that went while its own sequence was switched off", async () => {
  await oneFailedAndOneDue({ channel: "sms" });
  const switchOff =
    "update follow_up_sequence set active = id not in (select sequence_id from follow_up_instance where status = 'completed')";
  await sql.query(switchOff);
  await runAt(NEXT_MORNING);
  expect(sentChannels()).toEqual(["sms"]);
  await sql.query("update follow_up_sequence set active = true");
  await runAt(minutesAfter(NEXT_MORNING, 15));
  expect(sentChannels()).toEqual(["sms"]);
  await runAt(minutesAfter(NEXT_MORNING, 60));
  expect(sentChannels()).toEqual(["sms", "email"]);
});

it("a retry does not wait for the gap after its previous attempt", async () => {
  await oneFailedAndOneDue({ channel: "sms" });
  await sql.query("update follow_up_instance set next_step_due = next_step_due + interval '1 year'");
  await runAt(NEXT_MORNING);
  expect(sentChannels()).toEqual(["email"]);
});
