import { beforeEach, describe, expect, it } from "@jest/globals";
import { operatorOn } from "../../cli/operator.ts";
import { approve, listApprovals, showApproval } from "../../lib/operate/approvals.ts";
import { eraseLead } from "../../lib/operate/erase-lead.ts";
import { exportLead } from "../../lib/operate/export-lead.ts";
import { forecast } from "../../lib/operate/forecast.ts";
import { showLead } from "../../lib/operate/show-lead.ts";
import { deliverMessages } from "../../lib/run/deliver-messages.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addAppointment,
  addFollowedLead,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
} from "../support/factories.ts";
import { tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { type Changes, clockAt, leftClaimed, SETTINGS, useRunner } from "../support/run.ts";
import { openTransaction } from "../support/transactions.ts";

const { sql, runner } = await useRunner({ empty: true });
const operator = operatorOn(sql);

const DAY_MS = 24 * 3_600_000;
/** The morning of the day in so many days: a good time in UTC. */
const inDays = (days: number, hour = 10): Date => {
  const today = new Date();
  return new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate() + days, hour));
};
const isoDay = (date: Date): string => date.toISOString().slice(0, 16);

let workspaceId: string;
let reports = 0;
beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
});

/** A booking tool reports these free half hours. */
async function report(times: readonly Date[], over: Columns = {}, of = workspaceId): Promise<void> {
  reports += 1;
  const outcome = await tell(onPool(sql), "connection.availability", {
    workspaceId: of,
    eventId: `report ${reports}`,
    occurredAt: new Date().toISOString(),
    tool: "calendly",
    slots: times.map((startsAt) => ({
      startsAt: startsAt.toISOString(),
      endsAt: new Date(+startsAt + 1_800_000).toISOString(),
    })),
    bookingUrl: null,
    ...over,
  });
  expect(outcome).toMatchObject({ outcome: "applied" });
}

const STEP = { channel: "sms", subject: null, body: "When?\n{{ slots }}\nHana" };

/** Adds a lead in a sequence of these steps; the first one is due. */
async function addDue(steps: readonly Columns[] = [STEP], of = workspaceId) {
  const sequence = await addSequence(sql, of, { steps });
  return { ...(await addFollowedLead(sql, of, sequence.id)), steps: sequence.steps };
}

const touches = async () =>
  (
    await sql.query(
      `select touch.id, touch.status::text, reason, attempts, touch.body,
              array(select starts_at from offered_time where touch_id = touch.id order by 1) as times
         from touch join follow_up_step as step on step.id = touch.step_id where touch.workspace_id = $1 order by position`,
      [workspaceId],
    )
  ).rows;
const instances = async () =>
  (
    await sql.query(
      "select status::text, paused_reason::text, position, hold_reason from follow_up_instance where workspace_id = $1",
      [workspaceId],
    )
  ).rows;

/** The days that the sent texts offer. */
const sentDays = () =>
  runner.channel.sent.map(({ message }) =>
    message.body
      .split("\n")
      .flatMap((line) => /^\w+, (\d+) \w+, 10:00 \(UTC\)$/.exec(line)?.slice(1).map(Number) ?? []),
  );
const days = (...ahead: number[]) => ahead.map((day) => inDays(day).getUTCDate());

/** Claims what is due, and sends nothing. */
const claimOnly = () =>
  runner.run(
    {},
    {
      store: leftClaimed(runner.ports.store),
      queue: { enqueue: () => Promise.resolve({ refused: [], faults: [] }) },
    },
  );

/** The delivery queue sends what was claimed. */
async function deliver(store = runner.ports.store) {
  const claimed = (await touches()).filter(({ status }) => status === "claimed").map(({ id }) => id);
  const body = JSON.stringify({ touchIds: claimed });
  return await deliverMessages(
    [{ messageId: "1", body }],
    { remainingMs: () => 60_000 },
    { ...runner.ports, store },
    SETTINGS,
  );
}

/** A later run, which takes up what an earlier one left. */
const laterRun = (changes: Changes = {}, minutes = 16) =>
  runner.run({}, { ...clockAt(Date.now() + minutes * 60_000), ...changes });

describe("a text that offers times", () => {
  long.it("goes out with the next three on different days, each once, and they are recorded", async () => {
    await report([inDays(1), inDays(1, 11), inDays(2), inDays(3), inDays(4)], {
      bookingUrl: "https://book.example.test/a",
    });
    const { leadId } = await addDue([STEP, { ...STEP, channel: "webhook", delay_minutes: 1_440 }]);
    expect((await runner.run()).results?.delivery).toMatchObject({ sent: 1 });
    expect(runner.channel.sent[0]?.message.body).toMatch(
      /^When\?\n.+, 10:00 \(UTC\)\n.+\n.+\nBook here: https:\/\/book\.example\.test\/a\nHana$/,
    );
    expect(sentDays()).toEqual([days(1, 2, 3)]);
    expect(await touches()).toMatchObject([{ status: "sent", times: [inDays(1), inDays(2), inDays(3)] }]);
    const { story } = await operator.ask(showLead, { lead: leadId });
    const reason = [1, 2, 3].map((day) => `${isoDay(inDays(day))}Z`).join(", ");
    expect(story).toContainEqual(expect.objectContaining({ what: "touch_offers_times", reason }));
    // The next text to the lead offers what is left.
    await sql.query("update follow_up_instance set next_step_due = now() where workspace_id = $1", [workspaceId]);
    await runner.run();
    expect(sentDays()[1]).toEqual(days(4));
    expect(runner.channel.sent[1]?.message.body).toContain(", 11:00 (UTC)");
  });

  it("waits by name without a report, with an old one, and without a free time; and goes once there is one", async () => {
    await addDue();
    await runner.run();
    expect(await instances()).toMatchObject([{ status: "active", hold_reason: "availability_outdated" }]);
    await report([]);
    await laterRun({}, 16);
    expect(await instances()).toMatchObject([{ hold_reason: "no_free_slots" }]);
    await sql.query("update availability set taken_at = now() - interval '31 minutes'");
    await sql.query("update follow_up_instance set next_step_due = now()");
    await runner.run();
    expect(await instances()).toMatchObject([{ hold_reason: "availability_outdated" }]);
    await report([inDays(1)]);
    await sql.query("update follow_up_instance set next_step_due = now()");
    await runner.run();
    expect(sentDays()).toEqual([days(1)]);
  });

  it("depends on no other workspace, and a row of one that cannot be read holds no other", async () => {
    await report([inDays(1)]);
    const first = workspaceId;
    workspaceId = await addWorkspace(sql);
    await addDue();
    await addDue([STEP], first);
    await report([inDays(2)]);
    await sql.query(
      "update availability set starts_at = array['infinity'::timestamptz], ends_at = array[null::timestamptz] where workspace_id = $1",
      [workspaceId],
    );
    await runner.run();
    expect(runner.channel.sent.map((touch) => touch.workspaceId)).toEqual([first]);
    expect(await instances()).toMatchObject([{ hold_reason: "availability_outdated" }]);
  });

  it("is forecast as if times were free", async () => {
    await addDue();
    const { workspaces } = await operator.ask(forecast, { days: 1 });
    expect(workspaces).toMatchObject([{ advice: [{ kind: "no_free_times" }] }]);
    expect(JSON.stringify(workspaces)).not.toContain('availability_outdated"');
  });

  it("is exported and erased with its lead", async () => {
    await report([inDays(1)]);
    const { leadId: lead } = await addDue();
    await runner.run();
    const exported = await operator.ask(exportLead, { lead, from: { table: "offered_time", after: "" } });
    expect(exported.rows).toHaveLength(1);
    const texts = await operator.ask(exportLead, { lead, from: { table: "touch", after: "" } });
    expect(texts.rows[0]?.["body"]).not.toMatch(/[\u{fdd0}\u{fdd1}]/u);
    await operator.order(eraseLead, { lead }, { by: "Hana", reason: "asked" });
    expect((await sql.query("select from offered_time")).rowCount).toBe(0);
  });
});

describe("a time that is taken between render and send", () => {
  it("is replaced: reported by the tool after the claim", async () => {
    await report([1, 2, 3, 4].map((day) => inDays(day)));
    await addDue();
    await claimOnly();
    expect(await touches()).toMatchObject([{ status: "claimed", times: [1, 2, 3].map((day) => inDays(day)) }]);
    await report([1, 3, 4].map((day) => inDays(day)));
    expect((await deliver()).delivery).toMatchObject({ sent: 1 });
    expect(sentDays()).toEqual([days(1, 3, 4)]);
    expect(await touches()).toMatchObject([
      { status: "sent", attempts: 1, times: [1, 3, 4].map((day) => inDays(day)) },
    ]);
  });

  it("is replaced: committed between the decision and the claim's end, on another connection", async () => {
    await report([1, 2].map((day) => inDays(day)));
    await addDue();
    const { store } = runner.ports;
    const claimDue: typeof store.claimDue = async (query, plan) => {
      const claimed = await store.claimDue(query, (candidates) => plan(candidates));
      if (claimed.length > 0) await report([inDays(2)]);
      return claimed;
    };
    await runner.run({}, { store: { ...store, claimDue } });
    expect(sentDays()).toEqual([days(2)]);
  });

  it("does not go: committed between the check and the start, and the next run replaces it", async () => {
    await report([1, 2].map((day) => inDays(day)));
    await addDue();
    await claimOnly();
    await report([inDays(2)]);
    const { store } = runner.ports;
    let next = 2;
    const refreshOffers: typeof store.refreshOffers = async (touchIds, now) => {
      const refreshed = await store.refreshOffers(touchIds, now);
      next += 1;
      await report([inDays(next)]);
      return refreshed;
    };
    expect((await deliver({ ...store, refreshOffers })).delivery).toMatchObject({ retrying: 1 });
    expect(runner.channel.sent).toEqual([]);
    expect((await laterRun({}, 1)).recovered?.delivery).toMatchObject({ sent: 1 });
    expect(sentDays()).toEqual([days(4)]);
  });

  it("goes if the report commits only after the start: it waits for nothing, and nothing waits for it", async () => {
    await report([1, 2].map((day) => inDays(day)));
    await addDue();
    await claimOnly();
    const other = await openTransaction(sql);
    await other.query("update availability set starts_at = '{}', ends_at = '{}', version = version + 1");
    expect((await deliver()).delivery).toMatchObject({ sent: 1 });
    await other.query("commit");
    expect(sentDays()).toEqual([days(1, 2)]);
  });

  it("is replaced: a meeting of another lead that no report knows yet, also one typed by hand", async () => {
    await report([1, 2, 3].map((day) => inDays(day)));
    await addDue();
    await claimOnly();
    const other = await addLead(sql, workspaceId);
    await addAppointment(sql, other, {
      starts_at: new Date(+inDays(2) + 600_000),
      ends_at: new Date(+inDays(2) + 900_000),
    });
    await deliver();
    expect(sentDays()).toEqual([days(1, 3)]);
  });

  it("stays if only a cancelled meeting, or one of another workspace, is at that time", async () => {
    await report([1, 2].map((day) => inDays(day)));
    await addDue();
    await claimOnly();
    const at = { starts_at: inDays(1), ends_at: inDays(1, 11) };
    await addAppointment(sql, await addLead(sql, workspaceId), { ...at, status: "cancelled" });
    await addAppointment(sql, await addLead(sql, await addWorkspace(sql)), at);
    await deliver();
    expect(sentDays()).toEqual([days(1, 2)]);
  });

  it("stays taken until a report that knows the meeting still shows it free", async () => {
    await report([1].map((day) => inDays(day)));
    await addDue();
    await claimOnly();
    const old = new Date(Date.now() - 20 * 60_000);
    await addAppointment(sql, await addLead(sql, workspaceId), {
      starts_at: inDays(1),
      ends_at: inDays(1, 11),
      created_at: old,
    });
    await deliver();
    expect(sentDays()).toEqual([days(1)]);
  });
});

describe("a text that waited", () => {
  it("loses times that passed, after a retry", async () => {
    const soon = new Date(Math.ceil(Date.now() / 60_000) * 60_000 + 90 * 60_000);
    await sql.query("update workspace set availability_max_age_minutes = 1000");
    const zone = `+${String((36 - soon.getUTCHours()) % 24).padStart(2, "0")}:00`;
    await report([soon, new Date(+soon + DAY_MS)]);
    const { leadId } = await addDue();
    await sql.query("update lead set time_zone = $2 where id = $1", [leadId, zone]);
    runner.channel.answer = () => ({ kind: "retry", reason: "busy" });
    await runner.run();
    expect(await touches()).toMatchObject([
      { status: "claimed", attempts: 1, times: [soon, new Date(+soon + DAY_MS)] },
    ]);
    runner.channel.reset();
    await laterRun({}, 40);
    expect(await touches()).toMatchObject([{ status: "sent", times: [new Date(+soon + DAY_MS)] }]);
    expect(runner.channel.sent[0]?.message.body.split("\n")).toHaveLength(3);
  });

  it.each([
    ["no_free_slots", () => report([])],
    [
      "availability_outdated",
      () => sql.query("update availability set taken_at = taken_at - interval '31 minutes', version = version + 1"),
    ],
  ])("is held, uses no attempt, and goes once there are times: %s", async (reason, lose) => {
    await report([inDays(1)]);
    await addDue();
    await claimOnly();
    await lose();
    expect((await deliver()).delivery).toMatchObject({ deferred: 1, sent: 0 });
    expect(await touches()).toMatchObject([{ status: "claimed", reason, attempts: 0 }]);
    await report([inDays(4)]);
    expect((await laterRun()).recovered?.delivery).toMatchObject({ sent: 1 });
    expect(sentDays()).toEqual([days(4)]);
  });

  it("is not looked at again if nothing changed", async () => {
    await report([inDays(1)]);
    await addDue();
    await claimOnly();
    await report([inDays(1)]);
    const { store } = runner.ports;
    const refreshOffers = () => Promise.reject(new Error("it was checked"));
    expect((await deliver({ ...store, refreshOffers })).delivery).toMatchObject({ sent: 1 });
  });
});

describe("an approved text", () => {
  const NEEDS = { ...STEP, needs_approval: true };
  const BY = { by: "Hana", reason: "reads well" };

  /** Approves the waiting text as it is shown. */
  async function approveShown() {
    const { touches: waiting } = await operator.ask(listApprovals, {});
    const [touch = ""] = waiting.map(({ id }) => id);
    const shown = await operator.ask(showApproval, { touch });
    await operator.order(approve, { touch, fingerprint: shown.fingerprint }, BY);
    return shown.body;
  }

  const digestEvents = async () =>
    (await sql.query("select kind::text from notification_event where kind = 'approval_waiting'")).rowCount;

  it("goes as it was approved while its times are free, although there are others", async () => {
    await report([1, 2].map((day) => inDays(day)));
    await addDue([NEEDS]);
    await runner.run();
    await report([1, 2, 3].map((day) => inDays(day)));
    const body = await approveShown();
    expect(body).not.toMatch(/[\u{fdd0}\u{fdd1}]/u);
    await report([1, 2, 3, 4].map((day) => inDays(day)));
    await runner.run();
    expect(runner.channel.sent.map(({ message }) => message.body)).toEqual([body]);
    expect(sentDays()).toEqual([days(1, 2)]);
  });

  it.each([
    ["the last step", [NEEDS]],
    ["a step before others", [NEEDS, { ...STEP, channel: "webhook" }]],
  ])(
    "goes back to approval when a time is taken, with its sequence, and is sent once approved again: %s",
    async (_name, steps) => {
      await report([1, 2].map((day) => inDays(day)));
      await addDue(steps);
      await runner.run();
      await approveShown();
      await report([2, 3].map((day) => inDays(day)));
      expect((await laterRun({}, 1)).recovered?.delivery).toMatchObject({ deferred: 1 });
      expect(runner.channel.sent).toEqual([]);
      expect(await touches()).toMatchObject([
        { status: "awaiting_approval", reason: "offered_times_changed", times: [inDays(2), inDays(3)] },
      ]);
      expect(await instances()).toMatchObject([{ status: "paused", paused_reason: "awaiting_approval", position: 1 }]);
      expect(await digestEvents()).toBe(2);
      await approveShown();
      await laterRun({}, 2);
      expect(sentDays()).toEqual([days(2, 3)]);
      expect((await instances())[0]?.status).toBe(steps.length === 1 ? "completed" : "active");
    },
  );

  it("cannot be approved once its shown times are taken, and is shown with others", async () => {
    await report([1].map((day) => inDays(day)));
    await addDue([NEEDS]);
    await runner.run();
    const [{ id: touch }] = await touches();
    const { fingerprint } = await operator.ask(showApproval, { touch });
    await report([inDays(2)]);
    await expect(operator.order(approve, { touch, fingerprint }, BY)).rejects.toThrow(/fingerprint/);
    await report([]);
    await expect(operator.ask(showApproval, { touch })).rejects.toThrow(/none is free/);
    await report([inDays(3)]);
    await approveShown();
    await runner.run();
    expect(sentDays()).toEqual([days(3)]);
  });

  it.each([
    ["cancelled", null],
    ["unknown", "an earlier attempt may have arrived"],
  ])("is not sent when its sequence has moved on: %s", async (status, mayHaveArrived) => {
    await report([1].map((day) => inDays(day)));
    const { instanceId, steps } = await addDue([NEEDS, { channel: "webhook", subject: null, body: "Next" }]);
    await runner.run();
    await approveShown();
    if (mayHaveArrived) await sql.query("update touch set unknown_attempt_at = now(), attempts = 1");
    else await addTouch(sql, instanceId, steps[1] ?? "", { status: "sent", channel: "webhook" });
    await report([inDays(2)]);
    await laterRun({}, 1);
    expect((await touches())[0]).toMatchObject({ status, reason: "offered_times_changed", times: [inDays(2)] });
    expect(runner.channel.sent.filter(({ message }) => message.body.startsWith("When"))).toEqual([]);
  });
});
