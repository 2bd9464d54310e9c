import { beforeEach, describe, expect, it } from "@jest/globals";
import { atEnd } from "../support/at-end.ts";
import { addFollowedLead, addSequence, addWorkspace, type Columns, LONG_AGO } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { accept, leftClaimed, noLock, openRunner, useRunner } from "../support/run.ts";
import { openTransaction } from "../support/transactions.ts";

const { database, sql, runner } = await useRunner({ empty: true });
const another = openRunner(database.url);
atEnd(() => another.close());
let workspaceId: string;
let sequenceId: string;

beforeEach(async () => {
  another.channel.reset();
  workspaceId = await addWorkspace(sql, { gap_minutes: 60 });
  sequenceId = (await addSequence(sql, workspaceId)).id;
});

const NOON = Date.parse("2030-01-07T12:00:00Z");
const at = (minutes: number) => new Date(NOON + minutes * 60_000);
const clockAt = (minutes: number) => ({ now: () => Promise.resolve(at(minutes)) });
const MIDNIGHT = new Date("2030-01-08T00:00:00Z");

const addTwin = (lead: Columns = {}, sequence = sequenceId) =>
  addFollowedLead(sql, workspaceId, sequence, { lead: { email: "twin@example.com", phone: null, ...lead } });
const holds = async () =>
  (
    await sql.query(
      "select hold_reason as reason, next_step_due as until from follow_up_instance where status = 'active' order by id",
    )
  ).rows;
const sentCount = () => runner.channel.sent.length + another.channel.sent.length;

describe("two leads with one mailbox", () => {
  it("get one mail in a run; the other is held until the next day", async () => {
    await addTwin();
    await addTwin({ email: " Twin <TWIN@example.com>" });
    expect(await runner.run({}, clockAt(0))).toMatchObject({
      success: true,
      results: { due: 2, claimed: 1, held: 1, reasons: { ready: 1, too_soon: 1 } },
    });
    expect(sentCount()).toBe(1);
    expect(await holds()).toEqual([{ reason: "too_soon", until: MIDNIGHT }]);
    await runner.run({}, clockAt(24 * 60));
    expect(sentCount()).toBe(2);
  });

  it("get one mail per run if each is in its own batch", async () => {
    await addTwin();
    await addTwin();
    await runner.run({}, { ...clockAt(0), settings: { batchSize: 1 } });
    expect(sentCount()).toBe(1);
  });

  it("get one mail if both were claimed before either was sent, and the other is deferred", async () => {
    await addTwin();
    await addTwin();
    // Decide separately, like two claims that do not see each other's touch.
    const { store } = runner.ports;
    const apart = {
      ...leftClaimed(store),
      startSending: async () => ({ started: [], cancelled: [], expired: [], unknown: [], waiting: [] }),
    };
    for (const { id } of (await sql.query("select id from follow_up_instance")).rows) {
      await sql.query(
        "update follow_up_instance set next_step_due = '2100-01-01' where id <> $1 and status = 'active'",
        [id],
      );
      await sql.query("update follow_up_instance set next_step_due = $2 where id = $1", [id, LONG_AGO]);
      await runner.run({}, { ...clockAt(0), store: apart });
    }
    expect(await runner.run({}, clockAt(1))).toMatchObject({
      recovered: { takenUp: 2, delivery: { sent: 1, deferred: 1 } },
    });
    const { rows } = await sql.query("select status::text, reason, next_attempt_at from touch order by status");
    expect(rows).toEqual([
      { status: "claimed", reason: "too_soon", next_attempt_at: MIDNIGHT },
      { status: "sent", reason: null, next_attempt_at: null },
    ]);
    await runner.run({}, clockAt(24 * 60));
    expect(sentCount()).toBe(2);
  });

  it("keep the gap between them on one channel, and the channel's day", async () => {
    await addTwin({ last_outbound_at: at(-30), last_email_at: at(-30) });
    await sql.query("delete from follow_up_instance");
    await addTwin();
    await runner.run({}, clockAt(0));
    expect(await holds()).toEqual([{ reason: "too_soon", until: MIDNIGHT }]);
    await sql.query("update follow_up_instance set next_step_due = $1", [LONG_AGO]);
    await runner.run({}, clockAt(31));
    expect(await holds()).toEqual([{ reason: "channel_used_today", until: MIDNIGHT }]);
    expect(sentCount()).toBe(0);
  });

  it("do not wait for a touch to another address of the twin", async () => {
    const text = await addSequence(sql, workspaceId, { steps: [{ channel: "sms", subject: null }] });
    await addTwin({ phone: "+493055" }, text.id);
    await addTwin();
    await runner.run({}, clockAt(0));
    expect(runner.channel.sent.map(({ channel }) => channel).toSorted()).toEqual(["email", "sms"]);
  });

  it("are no twins in two workspaces", async () => {
    await addTwin();
    const there = await addWorkspace(sql, { gap_minutes: 60 });
    await addFollowedLead(sql, there, (await addSequence(sql, there)).id, { lead: { email: "twin@example.com" } });
    await runner.run({}, clockAt(0));
    expect(sentCount()).toBe(2);
  });

  it("are answered apart: a mail to one is no answer to a reply of the other", async () => {
    const { leadId } = await addTwin({ last_inbound_at: at(-24 * 60) });
    const other = await addTwin();
    await runner.run({}, clockAt(0));
    expect(runner.channel.sent.map((touch) => touch.leadId)).toEqual([other.leadId]);
    const { rows } = await sql.query(
      "select status::text, paused_reason::text from follow_up_instance where lead_id = $1",
      [leadId],
    );
    expect(rows).toEqual([{ status: "paused", paused_reason: "lead_replied" }]);
  });

  it("are tried again each by itself: a failed attempt at one is no touch after the other's own", async () => {
    const { leadId } = await addTwin();
    runner.channel.answer = () => ({ kind: "retry", reason: "smtp_451" });
    await runner.run({}, clockAt(0));
    await addTwin();
    runner.channel.answer = accept;
    await runner.run({}, clockAt(5));
    expect(runner.channel.sent.map((touch) => touch.leadId)).toEqual([leadId, leadId]);
  });
});

it("two leads with one number, in any notation, get one text message per run", async () => {
  const text = await addSequence(sql, workspaceId, { steps: [{ channel: "sms", subject: null }] });
  for (const phone of ["+49 (30) 55", "0049 30/55"]) await addTwin({ email: null, phone }, text.id);
  await runner.run({}, clockAt(0));
  expect(sentCount()).toBe(1);
});

describe("two that start twins at the same moment", () => {
  long.it("never both start, run after run, and one of them does", async () => {
    for (let pair = 0; pair < 20; pair++) {
      await addTwin({ email: `twin-${pair}@example.com` });
      await addTwin({ email: `twin-${pair}@example.com` });
    }
    const once = { ...clockAt(0), lock: noLock, settings: { batchSize: 1 } };
    const reports = await Promise.all([runner.run({}, once), another.run({}, once)]);
    for (const report of reports) expect(report).toMatchObject({ success: true });
    await runner.run({}, clockAt(1));
    expect(sentCount()).toBe(20);
  });

  it("exactly one starts if both touches are claimed", async () => {
    for (let pair = 0; pair < 20; pair++) {
      const email = `twin-${pair}@example.com`;
      const touchIds: string[] = [];
      for (const _ of "ab") {
        const { instanceId } = await addTwin({ email }, (await addSequence(sql, workspaceId)).id);
        touchIds.push(await claimed(instanceId));
      }
      const lease = { now: at(0), until: at(10) };
      const [one, other] = touchIds.map((id) => [id]) as [string[], string[]];
      const starts = await Promise.all([
        runner.ports.store.startSending(one, lease),
        another.ports.store.startSending(other, lease),
      ]);
      const started = starts.flatMap((answer) => answer.started);
      const again = started.length > 0 ? [] : (await runner.ports.store.startSending(touchIds, lease)).started;
      expect([...started, ...again]).toHaveLength(1);
    }
  });

  it("do not wait: a twin that another transaction has locked leaves the touch claimed", async () => {
    const held = await addTwin();
    const { instanceId } = await addTwin({}, (await addSequence(sql, workspaceId)).id);
    const touchId = await claimed(instanceId);
    const application = await openTransaction(sql);
    await application.query("select from lead where id = $1 for no key update", [held.leadId]);
    const lease = { now: at(0), until: at(10) };
    const nothing = { started: [], cancelled: [], expired: [], unknown: [], waiting: [] };
    expect(await runner.ports.store.startSending([touchId], lease)).toEqual(nothing);
    await application.rollback();
    expect(await runner.ports.store.startSending([touchId], lease)).toMatchObject({ started: [{ id: touchId }] });
  });

  it("sends all e-mails in one run of several claimers to leads that share only a switchboard number", async () => {
    const leads = Array.from({ length: 100 }, (_, number) => `${number}@example.com`);
    await Promise.all(leads.map((email) => addTwin({ email, phone: "+49 30 123456" })));

    await runner.run({}, { settings: { claimers: 3, batchSize: 20 } });

    expect(runner.channel.sent.map(({ email }) => email).toSorted()).toEqual(leads.toSorted());
  });
});

async function claimed(instanceId: string): Promise<string> {
  const { rows } = await sql.query(
    `insert into touch (workspace_id, instance_id, lead_id, step_id, generation, channel, status, subject, body, claimed_at,
                        next_attempt_at, recheck_at, send_until)
     select instance.workspace_id, instance.id, lead_id, step.id, generation, 'email', 'claimed', 'For Ada', 'Hello', $2, $2, $3, $3
       from follow_up_instance as instance join follow_up_step as step on step.sequence_id = instance.sequence_id
      where instance.id = $1
     returning id`,
    [instanceId, at(-1), at(60)],
  );
  return rows[0].id;
}
