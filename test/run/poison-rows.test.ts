import { beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { PROBLEMS_REPORTED, type ReportedProblem, type SendDueReport } from "../../lib/run/step-reports.ts";
import {
  addBystanders,
  addFollowedLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  rowsOf,
} from "../support/factories.ts";
import { clockAt, leftClaimed, useRunner } from "../support/run.ts";

const NOW = new Date("2030-01-07T09:00:00Z");
const DAY_MS = 24 * 60 * 60_000;

const { sql, runner } = await useRunner({ empty: true });
let bystanders: string;
let workspaceId: string;

/** The labels simulate a database newer than this code; they must exist before any connection uses them. */
beforeAll(async () => {
  await sql.query("alter type step_condition add value 'moon_is_full'");
  await sql.query("alter type lead_status add value 'won'");
  await sql.query("alter type channel add value 'pigeon'");
  await sql.query("alter type enrichment_status add value 'postponed'");
  await sql.query("alter type sequence_trigger add value 'birthday'");
});

beforeEach(async () => {
  bystanders = await addBystanders(sql);
  workspaceId = await addWorkspace(sql);
});

interface Poison {
  readonly name: string;
  readonly step?: Columns;
  readonly noSteps?: boolean;
  readonly sequence?: Columns;
  readonly lead?: Columns;
  readonly instance?: Columns;
  readonly workspace?: Columns;
  readonly problem: Omit<Partial<ReportedProblem>, "detail"> & { readonly detail?: unknown };
  /** The row afterwards. */
  readonly becomes: Columns;
  readonly counted: Partial<SendDueReport>;
}

const heldForADay = (reason: string): Pick<Poison, "becomes" | "counted"> => ({
  becomes: { status: "active", next_step_due: new Date(NOW.getTime() + DAY_MS), hold_reason: reason },
  counted: { held: 1 },
});

const names = (...parts: readonly string[]) => expect.stringMatching(new RegExp(parts.join(".*")));

const POISONS: readonly Poison[] = [
  {
    name: "a condition that the code does not know",
    step: { condition: "moon_is_full" },
    problem: { reason: "unknown_condition", detail: names("moon_is_full") },
    ...heldForADay("unknown_condition"),
  },
  {
    name: "a template whose value the lead lacks",
    step: { body: "How is {{ lead.company }}?" },
    problem: { reason: "missing_data", detail: names("company") },
    becomes: { status: "paused", paused_reason: "missing_data", next_step_due: null },
    counted: { paused: 1 },
  },
  {
    name: "a template whose value is blank",
    lead: { first_name: "  " },
    problem: { reason: "missing_data", detail: names("first_name") },
    becomes: { status: "paused", paused_reason: "missing_data", next_step_due: null },
    counted: { paused: 1 },
  },
  {
    name: "a template that does not parse",
    step: { body: "Hello {{ lead.first_name" },
    problem: { reason: "invalid_template", detail: "body: an output is not closed, line 1, column 7" },
    ...heldForADay("invalid_template"),
  },
  {
    name: "a template with a loop",
    step: { body: "Hello {% for i in (1..99999999) %}x{% endfor %}" },
    problem: { reason: "invalid_template", detail: "body: the tag for is not allowed, line 1, column 7" },
    ...heldForADay("invalid_template"),
  },
  {
    name: "a template with an expression filter",
    step: { body: "{% assign a = lead.company | find_exp: 'i', 'i == 0' %}Hello" },
    problem: { reason: "invalid_template", detail: "body: the filter find_exp is not allowed, line 1, column 30" },
    ...heldForADay("invalid_template"),
  },
  {
    name: "a template that doubles its text",
    step: { body: `{% assign x = "0123456789" %}${"{% assign x = x | append: x %}".repeat(30)}{{ x }}` },
    problem: {
      reason: "invalid_template",
      detail: "body: the text, or a value in it, becomes longer than 100000 characters",
    },
    ...heldForADay("invalid_template"),
  },
  {
    name: "a template with a filter that is not there",
    step: { body: "Hello {{ lead.first_name | shout }}" },
    problem: { reason: "invalid_template", detail: "body: unknown filter, line 1, column 28" },
    ...heldForADay("invalid_template"),
  },
  {
    name: "a template that makes a text no database takes",
    step: { body: 'Hello {{ "\\u0000" }}' },
    problem: { reason: "invalid_template", detail: "body: the text contains a NUL character" },
    ...heldForADay("invalid_template"),
  },
  {
    name: "a sequence without steps",
    noSteps: true,
    problem: { reason: "out_of_steps" },
    becomes: { status: "completed", completed_reason: "out_of_steps", next_step_due: null },
    counted: { completed: 1 },
  },
  {
    name: "an instance behind the last step",
    instance: { position: 7 },
    problem: { reason: "out_of_steps" },
    becomes: { status: "completed", completed_reason: "out_of_steps", next_step_due: null },
    counted: { completed: 1 },
  },
  {
    name: "a time zone of the lead that does not exist",
    lead: { time_zone: "Mars/Olympus" },
    problem: { reason: "invalid_time_zone", detail: names("lead", "time_zone") },
    ...heldForADay("invalid_time_zone"),
  },
  {
    name: "a time zone of the workspace that does not exist",
    workspace: { time_zone: "Europe/Atlantis" },
    problem: { reason: "invalid_time_zone", detail: names("workspace", "time_zone") },
    ...heldForADay("invalid_time_zone"),
  },
  {
    name: "a status of the lead that the code does not know",
    lead: { status: "won" },
    problem: { reason: "unreadable_row", detail: names("status") },
    ...heldForADay("unreadable_row"),
  },
  {
    name: "an enrichment status that the code does not know",
    lead: { enrichment_status: "postponed" },
    problem: { reason: "unreadable_row", detail: names("enrichment_status") },
    ...heldForADay("unreadable_row"),
  },
  {
    name: "a channel that the code does not know",
    step: { channel: "pigeon" },
    problem: { reason: "unreadable_row", detail: names("channel") },
    ...heldForADay("unreadable_row"),
  },
  {
    name: "a trigger that the code does not know",
    sequence: { trigger_on: "birthday" },
    problem: { reason: "unreadable_row", detail: names("trigger_on") },
    ...heldForADay("unreadable_row"),
  },
  {
    name: "an instant of the lead that is no instant",
    lead: { last_outbound_at: "infinity" },
    problem: { reason: "unreadable_row", detail: names("last_outbound_at") },
    ...heldForADay("unreadable_row"),
  },
  {
    name: "an instant of the workspace that is no instant",
    workspace: { paused_at: "infinity" },
    problem: { reason: "unreadable_row", detail: names("workspace", "paused_at") },
    ...heldForADay("unreadable_row"),
  },
  {
    name: "a sender that the database takes for an address, and that is none",
    workspace: { email_from: "Ann <ann@localhost>" },
    problem: { reason: "invalid_sender", detail: names("workspace", "email_from") },
    ...heldForADay("invalid_sender"),
  },
  ...["sender_email", "reply_to"].map((column) => ({
    name: `a lead's ${column} that the database takes for an address, and that is none`,
    lead: { [column]: "ann@localhost" },
    problem: { reason: "invalid_sender", detail: names("lead", column) },
    ...heldForADay("invalid_sender"),
  })),
  {
    name: "a lead's sender name with a control character that the database accepts",
    lead: { sender_name: "Ann\u0085Bcc: b@x.example" },
    problem: { reason: "invalid_sender", detail: names("lead", "sender_name") },
    ...heldForADay("invalid_sender"),
  },
  {
    name: "a holiday country that does not exist",
    workspace: { holiday_country: "ZZ" },
    problem: { reason: "invalid_send_times", detail: names("workspace", "holiday_country") },
    ...heldForADay("invalid_send_times"),
  },
  {
    name: "a holiday region without a country",
    workspace: { holiday_region: "BY" },
    problem: { reason: "invalid_send_times", detail: names("workspace", "holiday_region") },
    ...heldForADay("invalid_send_times"),
  },
  {
    name: "a last touch in a year without known holidays",
    workspace: { holiday_country: "IR" },
    lead: { last_outbound_at: "9000-01-01T00:00Z" },
    problem: { reason: "invalid_send_times", detail: names("workspace", "from 1970 to 2199") },
    ...heldForADay("invalid_send_times"),
  },
  {
    name: "an own holiday that is no day",
    workspace: { own_holidays: "{NULL}" },
    problem: { reason: "unreadable_row", detail: names("workspace", "own_holidays") },
    ...heldForADay("unreadable_row"),
  },
  {
    name: "a snooze until after all times",
    lead: { snoozed_until: "10000-01-01T00:00Z" },
    problem: { reason: "decision_failed", detail: "recheckAt would be after the year 9999" },
    ...heldForADay("decision_failed"),
  },
  {
    name: "a last touch after all times",
    lead: { last_outbound_at: "20000-01-01T00:00Z" },
    problem: { reason: "decision_failed", detail: "nextStepDue would be after the year 9999" },
    ...heldForADay("decision_failed"),
  },
];

async function addPoison({ step = {}, noSteps, sequence = {}, lead = {}, instance = {}, workspace }: Poison) {
  const own = workspace ? await addWorkspace(sql, workspace) : workspaceId;
  const steps = noSteps ? [] : [step];
  const { id } = await addSequence(sql, own, { ...sequence, steps });
  return { own, ...(await addFollowedLead(sql, own, id, { lead, instance })) };
}

async function addHealthy(count: number): Promise<readonly string[]> {
  const { id } = await addSequence(sql, workspaceId);
  const leadIds: string[] = [];
  for (let number = 0; number < count; number++) {
    leadIds.push((await addFollowedLead(sql, workspaceId, id)).leadId);
  }
  return leadIds;
}

async function instanceRow(id: string): Promise<Columns | undefined> {
  const { rows } = await sql.query<Columns>("select * from follow_up_instance where id = $1", [id]);
  return rows[0];
}

const runAt = (instant: Date) => runner.run({}, clockAt(instant));

describe("a poison row", () => {
  it.each(POISONS)("is reported and set aside, and the rest of its batch is sent: $name", async (poison) => {
    const [before] = await addHealthy(1);
    const { own, instanceId } = await addPoison(poison);
    const [after] = await addHealthy(1);
    const untouched = await rowsOf(sql, bystanders);

    const report = await runAt(NOW);

    expect(report).toMatchObject({ success: true, errors: [], results: { due: 3, claimed: 2, ...poison.counted } });
    expect(report.results?.problems).toEqual([{ instanceId, workspaceId: own, ...poison.problem }]);
    expect(report.results?.reasons).toEqual({ ready: 2, [String(poison.problem.reason)]: 1 });
    expect(runner.channel.sent.map(({ leadId }) => leadId).sort()).toEqual([before, after].sort());
    expect(await instanceRow(instanceId)).toMatchObject(poison.becomes);
    expect(await rowsOf(sql, bystanders)).toEqual(untouched);

    // It has left the due set: the next run does not read it.
    expect((await runAt(new Date(NOW.getTime() + 60_000))).results).toMatchObject({ due: 0, problems: [] });
  });

  it("is rechecked after a day if it is held, and keeps its original due time", async () => {
    const { instanceId } = await addPoison({ ...(POISONS[0] as Poison) });
    const due = (await instanceRow(instanceId))?.["next_step_due"];
    await runAt(NOW);
    expect((await runAt(new Date(NOW.getTime() + DAY_MS - 1))).results).toMatchObject({ due: 0 });
    expect((await runAt(new Date(NOW.getTime() + DAY_MS))).results).toMatchObject({ due: 1, held: 1 });
    expect(await instanceRow(instanceId)).toMatchObject({ held_since: due });
  });

  it("goes out after the repair", async () => {
    const { instanceId, leadId } = await addPoison({ ...(POISONS[0] as Poison) });
    await runAt(NOW);
    await sql.query("update follow_up_step set condition = 'always' where workspace_id = $1", [workspaceId]);
    await sql.query("update follow_up_instance set next_step_due = $2 where id = $1", [instanceId, NOW]);
    await runAt(NOW);
    expect(runner.channel.sent.map((touch) => touch.leadId)).toEqual([leadId]);
    expect(await instanceRow(instanceId)).toMatchObject({ hold_reason: null, held_since: null });
  });
});

it("a hold since a time outside the range of Date is decided like any other", async () => {
  const { id } = await addSequence(sql, workspaceId);
  const instance = { hold_reason: "too_soon", held_since: "290000-01-01T00:00Z" };
  await addFollowedLead(sql, workspaceId, id, { instance });
  await addFollowedLead(sql, workspaceId, id);
  expect(await runAt(NOW)).toMatchObject({ success: true, results: { due: 2, claimed: 2 } });
});

describe("a claimed touch that cannot be read", () => {
  const due = { next_attempt_at: NOW, recheck_at: NOW, send_until: null };
  const claimed = async (lead: Columns, touch: Columns = {}) => {
    const { id, steps } = await addSequence(sql, workspaceId, { steps: [{}, {}] });
    const instance = { position: 2, next_step_due: new Date("2100-01-04T09:00:00Z") };
    const followed = await addFollowedLead(sql, workspaceId, id, { lead, instance });
    return { ...followed, touchId: await addTouch(sql, followed.instanceId, steps[0] ?? "", { ...due, ...touch }) };
  };
  const touchRow = async (id: string) => (await sql.query<Columns>("select * from touch where id = $1", [id])).rows[0];

  it("of a lead with an invalid snooze is rechecked after a day, and the other waiting touches go", async () => {
    const healthy = await claimed({});
    const poison = await claimed({ snoozed_until: "infinity" });
    const report = await runAt(NOW);
    expect(report).toMatchObject({
      success: true,
      recovered: { takenUp: 2, delivery: { sent: 1, deferred: 1, retrying: 0 } },
    });
    expect(runner.channel.sent.map(({ leadId }) => leadId)).toEqual([healthy.leadId]);
    expect(await touchRow(poison.touchId)).toMatchObject({
      status: "claimed",
      reason: "unreadable_row",
      next_attempt_at: new Date(NOW.getTime() + DAY_MS),
    });
    await sql.query("update lead set snoozed_until = null where id = $1", [poison.leadId]);
    await runAt(new Date(NOW.getTime() + DAY_MS));
    expect(await touchRow(poison.touchId)).toMatchObject({ status: "sent" });
  });

  it("of a lead that is snoozed until after all times waits until then, and the others that wait go", async () => {
    const healthy = await claimed({});
    const poison = await claimed({ snoozed_until: "10000-01-01T00:00Z" });
    expect(await runAt(NOW)).toMatchObject({
      success: true,
      recovered: { takenUp: 2, delivery: { sent: 1, deferred: 1 } },
    });
    expect(runner.channel.sent.map(({ leadId }) => leadId)).toEqual([healthy.leadId]);
    const row = await touchRow(poison.touchId);
    expect(row).toMatchObject({ status: "claimed", reason: "lead_snoozed" });
    expect(Number(row?.["next_attempt_at"])).toBeGreaterThanOrEqual(Date.UTC(10_000, 0, 1));
  });

  it("of a channel that the code does not know is left to code that does, and the others go", async () => {
    const readable = { send_until: new Date("2100-01-04T09:00:00Z") };
    const healthy = await claimed({}, readable);
    const newer = await claimed({}, { ...readable, channel: "pigeon" });
    expect(await runAt(NOW)).toMatchObject({ success: true, recovered: { takenUp: 1, delivery: { sent: 1 } } });
    const store = runner.ports.store;
    const lease = { now: NOW, until: NOW };
    expect(await store.startSending([newer.touchId], lease)).toMatchObject({ started: [], waiting: [] });
    expect(runner.channel.sent.map(({ leadId }) => leadId)).toEqual([healthy.leadId]);
    expect(await touchRow(newer.touchId)).toMatchObject({ status: "claimed", attempts: 0 });
  });
});

describe("ids that another system made, and no version of a UUID allows", () => {
  const id = "11111111-1111-1111-1111-111111111111";

  it("are as good as any: the lead is sent to, and is completed when it books", async () => {
    const own = await addWorkspace(sql, { id });
    const chase = await addSequence(sql, own, { id, steps: [{}, {}] });
    const { leadId, instanceId } = await addFollowedLead(sql, own, chase.id, { lead: { id }, instance: { id } });
    expect(await runAt(NOW)).toMatchObject({ success: true, results: { due: 1, delivery: { sent: 1 } } });
    await addFollowedLead(sql, own, (await addSequence(sql, own)).id, { lead: { email: "second@example.test" } });
    expect(await runner.run({}, { ...clockAt(NOW), store: leftClaimed(runner.ports.store) })).toMatchObject({
      success: true,
      results: { due: 1, delivery: { sent: 1 } },
    });
    await sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
    expect(await runAt(NOW)).toMatchObject({ success: true, backstop: { completedCount: 1 } });
    expect(await instanceRow(instanceId)).toMatchObject({ status: "completed" });
  });
});

describe("a due time before all times", () => {
  it("is due like any other that is past, and does not stop its batch", async () => {
    const healthy = await addHealthy(1);
    const { id } = await addSequence(sql, workspaceId);
    const endless = await addFollowedLead(sql, workspaceId, id, { instance: { next_step_due: "-infinity" } });
    expect((await runAt(NOW)).results).toMatchObject({ due: 2, claimed: 2 });
    expect(runner.channel.sent.map(({ leadId }) => leadId).sort()).toEqual([...healthy, endless.leadId].sort());
  });

  it("does not block a batch if a step is held since infinity", async () => {
    const [healthy] = await addHealthy(1);
    const since = new Date("+020000-01-01T00:00:00Z");
    const { instanceId } = await addPoison({
      ...(POISONS[0] as Poison),
      instance: { hold_reason: "window", held_since: since },
    });
    expect(await runAt(NOW)).toMatchObject({ success: true, results: { due: 2, claimed: 1, held: 1 } });
    expect(runner.channel.sent.map(({ leadId }) => leadId)).toEqual([healthy]);
    expect(await instanceRow(instanceId)).toMatchObject({ held_since: since });
  });

  it("is stored as held since long ago if the step is held", async () => {
    const [healthy] = await addHealthy(1);
    const { instanceId } = await addPoison({
      ...(POISONS[0] as Poison),
      instance: { next_step_due: "0001-06-01 BC" },
    });
    expect(await runAt(NOW)).toMatchObject({ success: true, results: { due: 2, claimed: 1, held: 1 } });
    expect(runner.channel.sent.map(({ leadId }) => leadId)).toEqual([healthy]);
    expect(await instanceRow(instanceId)).toMatchObject({ held_since: new Date(0) });
  });
});

describe("a tenant with more poison than a report can name", () => {
  it("does not displace another tenant's problem from the report", async () => {
    const broken = await addSequence(sql, workspaceId, { steps: [{ condition: "moon_is_full" }] });
    for (let number = 0; number < PROBLEMS_REPORTED + 10; number++) await addFollowedLead(sql, workspaceId, broken.id);
    const { own } = await addPoison({ ...(POISONS[0] as Poison), workspace: {} });
    const { results } = await runAt(NOW);
    expect(results).toMatchObject({
      held: PROBLEMS_REPORTED + 11,
      reasons: { unknown_condition: PROBLEMS_REPORTED + 11 },
    });
    expect(results?.problems).toHaveLength(PROBLEMS_REPORTED);
    expect(results?.problems.filter((told) => told.workspaceId === own)).toHaveLength(1);
  });
});

describe("all kinds of poison in one batch", () => {
  it("are each reported with their own reason, and do not stop healthy rows", async () => {
    const healthy = await addHealthy(20);
    const ids: string[] = [];
    for (const poison of POISONS) ids.push((await addPoison(poison)).instanceId);
    const { results } = await runAt(NOW);
    expect(results).toMatchObject({ due: healthy.length + POISONS.length, claimed: healthy.length, backlog: 0 });
    expect(results?.problems.map(({ instanceId }) => instanceId).sort()).toEqual([...ids].sort());
    expect(runner.channel.sent).toHaveLength(healthy.length);
  });
});
