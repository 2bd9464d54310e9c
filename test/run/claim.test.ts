import { beforeEach, describe, expect, it } from "@jest/globals";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { planBatch } from "../../lib/run/plan.ts";
import type { Report } from "../../lib/run/report.ts";
import type { SendDueReport } from "../../lib/run/step-reports.ts";
import type { FollowUpStore } from "../../lib/run/store-ports.ts";
import { claimDue } from "../../lib/store/claim.ts";
import { onPool, type Transactional } from "../../lib/store/sql.ts";
import { addDue } from "../support/due.ts";
import {
  addBystanders,
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  LONG_AGO,
  rowsOf,
  type Sequence,
} from "../support/factories.ts";
import { clockAt, leftClaimed, noLock, openRunner, useRunner } from "../support/run.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";

const { database, sql, runner } = await useRunner({ empty: true });
let bystanders: string;
let workspaceId: string;
let chase: Sequence;

/** Claims share between all workspaces, so each test starts with its own only. */
beforeEach(async () => {
  bystanders = await addBystanders(sql);
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId, { steps: [{}, {}] });
});

function resultsOf({ results }: Report): SendDueReport {
  if (!results) throw new Error("no step was due, for send-due did not run");
  return results;
}

async function instanceRow(id: string) {
  const { rows } = await sql.query<Columns>("select * from follow_up_instance where id = $1", [id]);
  return rows[0];
}

async function touchRows(instanceId: string) {
  const { rows } = await sql.query<Columns>("select * from touch where instance_id = $1 order by id", [instanceId]);
  return rows;
}

describe("ten runs at once without the overlap lock", () => {
  it("claim each of 5,000 due steps in 3 workspaces exactly once, and send each exactly once", async () => {
    const before = await rowsOf(sql, bystanders);
    for (const count of [4_000, 900, 100]) {
      const workspace = await addWorkspace(sql);
      await addDue(sql, count, workspace, await addSequence(sql, workspace, { steps: [{}, {}] }));
    }
    const runners = Array.from({ length: 10 }, () => openRunner(database.url));

    const reports = await Promise.all(runners.map((each) => each.run({}, { lock: noLock })));

    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
    expect(reports.map((report) => resultsOf(report).claimed).reduce((sum, claimed) => sum + claimed)).toBe(5_000);
    const sent = runners.flatMap(({ channel }) => channel.sent.map(({ id }) => id));
    expect(sent).toHaveLength(5_000);
    expect(new Set(sent).size).toBe(5_000);
    const { rows } = await sql.query(
      `select touch.status, instance.status as instance_status, instance.position, count(*)::int,
              count(distinct instance_id)::int as instances
         from touch join follow_up_instance as instance on instance.id = touch.instance_id
        where touch.workspace_id <> $1 group by 1, 2, 3`,
      [bystanders],
    );
    expect(rows).toEqual([{ status: "sent", instance_status: "active", position: 2, count: 5_000, instances: 5_000 }]);
    expect(await rowsOf(sql, bystanders)).toEqual(before);
    await Promise.all(runners.map((each) => each.close()));
  });

  it("never send twice to a lead with several sequences, and reach it once a channel and day", async () => {
    const sequences = [chase, await addSequence(sql, workspaceId), await addSequence(sql, workspaceId)];
    for (let number = 0; number < 100; number++) {
      const leadId = await addLead(sql, workspaceId);
      for (const { id } of sequences) await addInstance(sql, leadId, id);
    }
    const runners = Array.from({ length: 5 }, () => openRunner(database.url));
    const settings = { batchSize: 20 };

    const reports = await Promise.all(runners.map((each) => each.run({}, { lock: noLock, settings })));
    await runner.run();

    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
    const sent = [runner, ...runners].flatMap(({ channel }) => channel.sent);
    expect(new Set(sent.map(({ leadId }) => leadId)).size).toBe(100);
    expect(sent).toHaveLength(100);
    const { rows } = await sql.query(
      `select count(*)::int as later from follow_up_instance as instance
        where workspace_id = $1 and not exists (
          select from touch where touch.instance_id = instance.id and touch.status = 'sent')
          and (instance.hold_reason in ('too_soon', 'channel_used_today') or exists (
            select from touch where touch.instance_id = instance.id and touch.status = 'claimed'))`,
      [workspaceId],
    );
    expect(rows).toEqual([{ later: 200 }]);
    await Promise.all(runners.map((each) => each.close()));
  });
});

describe.each([
  ["begins with its claim", () => runner.ports.store],
  ["starts after its claim", () => leftClaimed(runner.ports.store)],
])("an e-mail that %s", (_, store) => {
  it("replies to the mails of its instance in this generation, oldest first, and to no other mail", async () => {
    const long = await addSequence(sql, workspaceId, { steps: [{}, {}, {}, {}, {}] });
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, long.id, {
      lead: { last_email_at: LONG_AGO },
      instance: { position: 5, generation: 2 },
    });
    const sent = (step: number, columns: Columns) =>
      addTouch(sql, instanceId, long.steps[step] ?? "", { status: "sent", provider_id: `<${step}>`, ...columns });
    await sent(0, { generation: 1 });
    await sent(0, { sent_at: "2020-01-03" });
    await sent(1, { sent_at: "2020-01-02" });
    await sent(2, { channel: "sms" });
    await sent(3, { status: "cancelled", provider_id: null, sent_at: null });
    const other = await addInstance(sql, leadId, chase.id, { next_step_due: FAR_AHEAD });
    await addTouch(sql, other, chase.steps[0] ?? "", { status: "sent", provider_id: "<other>" });

    await runner.run({}, { store: store() });

    expect(runner.channel.sent.map(({ thread }) => thread)).toEqual([["<1>", "<0>"]]);
  });

  it("starts a thread if no mail was sent before", async () => {
    await addFollowedLead(sql, workspaceId, chase.id, { lead: { last_email_at: LONG_AGO } });
    await runner.run({}, { store: store() });
    expect(runner.channel.sent.map(({ thread }) => thread)).toEqual([[]]);
  });
});

/** The real store, which calls `happens` after each claim and leaves all touches claimed. */
const meanwhile = (happens: () => Promise<unknown>): { readonly store: FollowUpStore } => ({
  store: {
    ...runner.ports.store,
    claimDue: async (query, plan) => {
      const claimed = await leftClaimed(runner.ports.store).claimDue(query, plan);
      await happens();
      return claimed;
    },
  },
});

const APPOINTMENT = `
  insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at)
  select workspace_id, id, 'between', 'confirmed', now(), now() + interval '1 hour', now() from lead where id = $1`;

describe("a change committed between claim and send", () => {
  const set = (assignment: string) => `update lead set ${assignment} where id = $1`;

  it.each([
    ["a booking", set("status = 'meeting-booked'"), "meeting_booked"],
    ["a confirmed meeting", APPOINTMENT, "meeting_booked"],
    ["an opt-out", set("opted_out_at = now()"), "opted_out"],
    ["a blacklisting", set("status = 'blacklisted'"), "blacklisted"],
    ["a disqualification", set("status = 'unqualified'"), "unqualified"],
    ["a refusal", set("status = 'not-interested'"), "not_interested"],
    ["automation switched off", set("automation_enabled = false"), "automation_off"],
    ["a reply", set("last_inbound_at = clock_timestamp()"), "lead_replied"],
    ["a reply that was written before the run", set("last_inbound_at = now() - interval '1 minute'"), "lead_replied"],
  ])("%s cancels the touch, with a reason", async (_, statement, reason) => {
    const other = await addFollowedLead(sql, workspaceId, chase.id);
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);

    const report = await runner.run(
      {},
      meanwhile(() => sql.query(statement, [leadId])),
    );

    expect(resultsOf(report)).toMatchObject({ due: 2, claimed: 2, delivery: { sent: 1, cancelled: 1 } });
    expect(runner.channel.sent.map((touch) => touch.leadId)).toEqual([other.leadId]);
    expect(await touchRows(instanceId)).toEqual([
      expect.objectContaining({ status: "cancelled", reason, attempts: 0, next_attempt_at: null, sent_at: null }),
    ]);
    const { rows } = await sql.query("select last_outbound_at from lead where id = $1", [leadId]);
    expect(rows).toEqual([{ last_outbound_at: null }]);
  });

  it.each([
    ["a new name", set("first_name = 'Eve'")],
    ["a better status", set("status = 'meeting-requested'")],
    [
      "a reply that our last message has answered",
      set("last_inbound_at = '2020-01-01', last_outbound_at = '2020-01-02'"),
    ],
    ["a meeting cancelled again", `with booked as (${APPOINTMENT} returning 1) select`],
  ])("%s does not keep it", async (name, statement) => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    const happens = async () => {
      await sql.query(statement, [leadId]);
      if (name.startsWith("a meeting")) await sql.query("update appointment set status = 'cancelled'");
    };
    expect(resultsOf(await runner.run({}, meanwhile(happens)))).toMatchObject({ delivery: { sent: 1 } });
    expect(await touchRows(instanceId)).toEqual([expect.objectContaining({ status: "sent", attempts: 1 })]);
  });

  it("a booking does not keep a touch of a post-booking sequence", async () => {
    const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
    const { leadId } = await addFollowedLead(sql, workspaceId, prepare.id);
    const happens = () => sql.query(set("status = 'meeting-booked'"), [leadId]);
    expect(resultsOf(await runner.run({}, meanwhile(happens)))).toMatchObject({ delivery: { sent: 1, cancelled: 0 } });
  });

  it.each([
    ["a pause of the workspace", "update workspace set paused_at = now()", "workspace_paused", 15],
    ["a sequence switched off", "update follow_up_sequence set active = false", "sequence_inactive", 15],
    [
      "a pause of the instance by hand",
      "update follow_up_instance set status = 'paused', paused_reason = 'manual', next_step_due = null where status = 'active'",
      "instance_paused",
      15,
    ],
    ["a snooze", "update lead set snoozed_until = now() + interval '2 hours'", "lead_snoozed", 120],
    [
      "a window that shuts",
      "update touch set send_until = now() - interval '1 minute' where status = 'claimed'",
      null,
      0,
    ],
    ["another touch of the lead", "update lead set last_outbound_at = now() + interval '1 minute'", "too_soon", 61],
  ])("%s delays the touch, which goes out afterwards", async (_, statement, reason, minutes) => {
    await sql.query("update workspace set gap_minutes = 60 where id = $1", [workspaceId]);
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    const happens = () => sql.query(statement);
    const report = await runner.run({}, meanwhile(happens));
    const waits = reason !== null;
    expect(resultsOf(report).delivery).toMatchObject(waits ? { sent: 0, deferred: 1 } : { sent: 1, deferred: 0 });
    if (!waits) return;
    const [touch] = await touchRows(instanceId);
    expect(touch).toMatchObject({ status: "claimed", attempts: 0, reason });
    const until = new Date(String(touch?.["next_attempt_at"])).getTime() - Date.parse(report.timestamp ?? "");
    expect(Math.round(until / 60_000)).toBe(minutes);
    expect(runner.channel.sent).toEqual([]);

    await sql.query("update workspace set paused_at = null; update follow_up_sequence set active = true");
    await sql.query(
      "update follow_up_instance set status = 'active', paused_reason = null, next_step_due = now() + interval '1 year' where status = 'paused'",
    );
    const later = clockAt(Date.parse(report.timestamp ?? "") + (minutes + 1) * 60_000);
    expect(await runner.run({}, later)).toMatchObject({ recovered: { takenUp: 1, delivery: { sent: 1 } } });
  });

  it("a restart of the sequence makes the old touch void", async () => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    const restart = "update follow_up_instance set generation = generation + 1 where id = $1";
    const report = await runner.run(
      {},
      meanwhile(() => sql.query(restart, [instanceId])),
    );
    expect(resultsOf(report)).toMatchObject({ delivery: { sent: 0, cancelled: 1 } });
  });
});

describe("a booking in a transaction that is still open", () => {
  it.each([
    ["commit", { backstop: { completedCount: 1, cancelledTouches: 1 } }, "cancelled", 0],
    ["rollback", { recovered: { takenUp: 1, delivery: { sent: 1 } } }, "sent", 1],
  ] as const)("keeps a claimed touch from being sent until its %s decides", async (end, expected, status, sent) => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    const booking = await openTransaction(sql);
    const report = await runner.run(
      {},
      meanwhile(() => booking.query("update lead set status = 'meeting-booked' where id = $1", [leadId])),
    );
    expect(resultsOf(report)).toMatchObject({ claimed: 1, delivery: { sent: 0, retrying: 1 } });
    expect(await touchRows(instanceId)).toEqual([expect.objectContaining({ status: "claimed" })]);
    expect(runner.channel.sent).toEqual([]);
    await booking[end]();
    expect(await runner.run()).toMatchObject(expected);
    expect(await touchRows(instanceId)).toEqual([expect.objectContaining({ status })]);
    expect(runner.channel.sent).toHaveLength(sent);
  });

  it("makes the claim pass its lead over, and the lead is counted as backlog", async () => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    const other = await addFollowedLead(sql, workspaceId, chase.id);
    const booking = await openTransaction(sql);
    await booking.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
    expect(resultsOf(await runner.run())).toMatchObject({ due: 1, delivery: { sent: 1 }, backlog: 1 });
    await booking.commit();
    expect(await runner.run()).toMatchObject({ backstop: { completedCount: 1 }, results: { due: 0, backlog: 0 } });
    expect(runner.channel.sent.map((touch) => touch.leadId)).toEqual([other.leadId]);
    expect(await touchRows(instanceId)).toEqual([]);
  });

  async function bookWhileItIsClaimed(changed: (booked: () => Promise<unknown>) => { readonly store?: FollowUpStore }) {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    // The claim checks its foreign key to the step: locking the step blocks the claim after it has locked the instance.
    const holder = await openTransaction(sql);
    await holder.query("select from follow_up_step where id = $1 for update", [chase.steps[0]]);
    const booked: Promise<unknown>[] = [];
    const running = runner.run(
      {},
      changed(() => Promise.all(booked)),
    );
    const claiming = await untilBlockedBy(sql, holder.pid);
    booked.push(sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]));
    await untilBlockedBy(sql, claiming);
    await holder.rollback();
    await Promise.all(booked);
    const { delivery } = resultsOf(await running);
    await runner.run();
    expect(await instanceRow(instanceId)).toMatchObject({ status: "completed", completed_reason: "meeting_booked" });
    return { delivery, touches: await touchRows(instanceId) };
  }

  it("waits for a claim that has locked its lead; a touch left claimed is not sent after it", async () => {
    const { delivery, touches } = await bookWhileItIsClaimed(meanwhile);
    expect(delivery).toMatchObject({ sent: 0 });
    expect(touches).toEqual([expect.objectContaining({ status: "cancelled", reason: "meeting_booked" })]);
    expect(runner.channel.sent).toEqual([]);
  });

  it("waits for a claim that also starts its touch, and commits after it", async () => {
    const { delivery, touches } = await bookWhileItIsClaimed(() => ({}));
    expect(delivery).toMatchObject({ sent: 1 });
    expect(touches).toEqual([expect.objectContaining({ status: "sent", attempts: 1 })]);
  });
});

describe("a touch that may start within its claim", () => {
  const NOW = new Date("2030-01-07T09:00:00Z");

  /** Claims what is due, calls `happens` between decision and write, and returns the touch. */
  async function claimAnd(instanceId: string, happens: (claiming: number) => Promise<unknown>, starts = 10) {
    let decided = false;
    const statements = onPool(sql);
    const db: Transactional = {
      ...statements,
      transaction: (work) =>
        statements.transaction((transaction) =>
          work({
            ...transaction,
            $queryRaw: async (query, ...values) => {
              if (decided) {
                decided = false;
                const [{ pid }] = (await transaction.$queryRaw`select pg_backend_pid() as pid`) as [{ pid: number }];
                await happens(pid);
              }
              return transaction.$queryRaw(query, ...values);
            },
          }),
        ),
    };
    const workspaces = [{ id: workspaceId, capped: false, after: null }];
    const room = { claims: 100, claimsPerWorkspace: 100, starts };
    const channels = new Map(CHANNELS.map((channel) => [channel, room] as const));
    await claimDue(db, { now: NOW, recheckAt: NOW, share: 100, workspaces }, (candidates) => {
      decided = true;
      return planBatch(candidates, NOW, { channels, closed: [] }).plans;
    });
    const [touch] = await touchRows(instanceId);
    const { rows } = await sql.query<Columns>(
      "select last_outbound_at, last_email_at from lead join follow_up_instance on lead_id = lead.id where follow_up_instance.id = $1",
      [instanceId],
    );
    return { touch, lead: rows[0] };
  }
  const nothing = () => Promise.resolve();

  it("is being sent, and its lead is stamped, in the transaction of the claim", async () => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    expect(await claimAnd(instanceId, nothing)).toMatchObject({
      touch: { status: "sending", attempts: 1, last_attempt_at: NOW, next_attempt_at: null, recheck_at: NOW },
      lead: { last_outbound_at: NOW, last_email_at: NOW },
    });
  });

  it.each([
    ["an opt-out", "opted_out_at = '2030-01-07T09:00:01Z'"],
    ["a reply", "last_inbound_at = '2030-01-07T09:00:01Z'"],
    ["a snooze", "snoozed_until = '2031-01-01'"],
    ["a new address", "email = 'new@example.test'"],
  ])("makes %s wait, which commits after the touch started", async (_, assignment) => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    const changed: Promise<unknown>[] = [];
    const happens = async (claiming: number) => {
      changed.push(sql.query(`update lead set ${assignment} where id = $1`, [leadId]));
      await untilBlockedBy(sql, claiming);
    };
    expect(await claimAnd(instanceId, happens)).toMatchObject({
      touch: { status: "sending", attempts: 1, last_attempt_at: NOW },
      lead: { last_outbound_at: NOW, last_email_at: NOW },
    });
    await Promise.all(changed);
    const { rows } = await sql.query(`select from lead where ${assignment} and last_outbound_at = $1`, [NOW]);
    expect(rows).toHaveLength(1);
  });

  it.each([
    ["its workspace is paused", "update workspace set paused_at = now() where id = $1"],
    ["its sequence is switched off", "update follow_up_sequence set active = false where workspace_id = $1"],
  ])("stays claimed if %s between the decision and its write", async (_, statement) => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    expect(await claimAnd(instanceId, () => sql.query(statement, [workspaceId]))).toMatchObject({
      touch: { status: "claimed", attempts: 0, last_attempt_at: null },
      lead: { last_outbound_at: null, last_email_at: null },
    });
  });

  it("is not created while another transaction has locked the lead, and uses no place of the batch", async () => {
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addDue(sql, 3, workspaceId, chase);
    const other = await openTransaction(sql);
    await other.query("update lead set opted_out_at = now() where id = $1", [leadId]);
    expect(resultsOf(await runner.run({}, { settings: { batchSize: 1 } }))).toMatchObject({
      claimed: 3,
      backlog: 1,
      delivery: { sent: 3 },
    });
    await other.commit();
    await runner.run();
    expect(await touchRows(instanceId)).toEqual([]);
    expect(await instanceRow(instanceId)).toMatchObject({ status: "completed", completed_reason: "opted_out" });
  });

  it("stays claimed beyond the requested number", async () => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    expect(await claimAnd(instanceId, nothing, 0)).toMatchObject({
      touch: { status: "claimed", attempts: 0 },
      lead: { last_outbound_at: null },
    });
  });

  it("does not stamp the lead if the step was claimed before", async () => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { status: "sent" });
    expect(await claimAnd(instanceId, nothing)).toMatchObject({
      touch: { status: "sent" },
      lead: { last_outbound_at: null, last_email_at: null },
    });
  });

  it("starts once per lead; the lead's other touch stays claimed", async () => {
    await sql.query("update workspace set gap_minutes = 0 where id = $1", [workspaceId]);
    const texts = await addSequence(sql, workspaceId, { steps: [{ channel: "sms", subject: null }] });
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addInstance(sql, leadId, texts.id);
    await claimAnd(instanceId, nothing);
    const { rows } = await sql.query("select status from touch where lead_id = $1", [leadId]);
    expect(rows.filter(({ status }) => status === "sending")).toHaveLength(1);
  });
});

describe("one claim", () => {
  it("claims a step once: if its touch already exists, it skips the step", async () => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { status: "sent" });
    expect(resultsOf(await runner.run())).toMatchObject({
      due: 1,
      claimed: 0,
      skipped: 1,
      reasons: { already_claimed: 1 },
      problems: [{ instanceId, workspaceId, reason: "already_claimed" }],
    });
    expect(runner.channel.sent).toEqual([]);
    expect(await instanceRow(instanceId)).toMatchObject({ status: "active", position: 2 });
  });

  it("also skips a step that needs approval if its touch already exists, and the instance continues", async () => {
    const asked = await addSequence(sql, workspaceId, { steps: [{ needs_approval: true }, {}] });
    const { instanceId } = await addFollowedLead(sql, workspaceId, asked.id);
    await addTouch(sql, instanceId, asked.steps[0] ?? "", { status: "rejected" });
    expect(resultsOf(await runner.run())).toMatchObject({ skipped: 1, reasons: { already_claimed: 1 } });
    expect(await instanceRow(instanceId)).toMatchObject({ status: "active", position: 2, paused_reason: null });
  });

  it("waits for the decision if the step's touch still awaits approval", async () => {
    const asked = await addSequence(sql, workspaceId, { steps: [{ needs_approval: true }, {}] });
    const { instanceId } = await addFollowedLead(sql, workspaceId, asked.id);
    await addTouch(sql, instanceId, asked.steps[0] ?? "", { status: "awaiting_approval" });
    await runner.run();
    expect(await instanceRow(instanceId)).toMatchObject({ status: "paused", paused_reason: "awaiting_approval" });
  });

  it("takes it again in the next generation", async () => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { status: "sent" });
    await sql.query("update follow_up_instance set generation = 2 where id = $1", [instanceId]);
    expect(resultsOf(await runner.run())).toMatchObject({ claimed: 1, delivery: { sent: 1 } });
  });

  it("claims one step of an instance per run, even if the next step has no delay", async () => {
    const hasty = await addSequence(sql, workspaceId, { steps: [{}, { delay_minutes: 0 }, { delay_minutes: 0 }] });
    const { instanceId } = await addFollowedLead(sql, workspaceId, hasty.id);
    expect(resultsOf(await runner.run())).toMatchObject({ due: 1, delivery: { sent: 1 }, backlog: 0 });
    expect(await instanceRow(instanceId)).toMatchObject({ status: "active", position: 2 });
  });

  it("claims what is due at the instant of the run, and not what is due a millisecond later", async () => {
    const now = new Date("2030-01-07T09:00:00Z");
    const due = await addFollowedLead(sql, workspaceId, chase.id, { instance: { next_step_due: now } });
    const later = { next_step_due: new Date(now.getTime() + 1) };
    const notDue = await addFollowedLead(sql, workspaceId, chase.id, { instance: later });
    await runner.run({}, clockAt(now));
    expect(runner.channel.sent.map(({ leadId }) => leadId)).toEqual([due.leadId]);
    expect(await instanceRow(notDue.instanceId)).toMatchObject(later);
  });

  it("does not let a workspace with 2,000 due keep another with 10 out of the first batch", async () => {
    await addDue(sql, 2_000, workspaceId, chase);
    const small = await addWorkspace(sql);
    await addDue(sql, 10, small, await addSequence(sql, small));
    expect(resultsOf(await runner.run({ limit: 100 }, { settings: { batchSize: 100 } }))).toMatchObject({ due: 100 });
    expect(runner.channel.sent.slice(0, 60).filter((touch) => touch.workspaceId === small)).toHaveLength(10);
    expect(runner.channel.sentTo(workspaceId)).toHaveLength(90);
  });

  it("claims at most the limit, longest waiting first, and reports the rest", async () => {
    const due = (second: number) => ({ instance: { next_step_due: new Date(LONG_AGO.getTime() + second * 1_000) } });
    const other = await addWorkspace(sql);
    const otherChase = await addSequence(sql, other);
    const last = await addFollowedLead(sql, workspaceId, chase.id, due(3));
    const middle = await addFollowedLead(sql, other, otherChase.id, due(2));
    const first = await addFollowedLead(sql, other, otherChase.id, due(1));
    for (const [expected, backlog] of [
      [first, 2],
      [middle, 1],
      [last, 0],
    ] as const) {
      expect(resultsOf(await runner.run({ limit: 1 }))).toMatchObject({ due: 1, delivery: { sent: 1 }, backlog });
      expect(runner.channel.sent.at(-1)?.leadId).toBe(expected.leadId);
    }
  });

  it("claims only in the requested workspace", async () => {
    await addDue(sql, 3, workspaceId, chase);
    const other = await addWorkspace(sql);
    await addDue(sql, 2, other, await addSequence(sql, other));
    const before = await rowsOf(sql, workspaceId);
    expect(resultsOf(await runner.run({ workspaceId: other }))).toMatchObject({ due: 2, backlog: 0 });
    expect(runner.channel.sentTo(workspaceId)).toEqual([]);
    expect(await rowsOf(sql, workspaceId)).toEqual(before);
  });
});

const NOW = new Date("2030-01-07T09:00:00Z");
const DAY_MS = 24 * 60 * 60_000;
const at = (offsetMs: number) => new Date(NOW.getTime() + offsetMs);
const now = clockAt(NOW);

/** A paused instance that is due for a recheck; `resumes` is the expected result. */
interface Paused {
  readonly name: string;
  readonly resumes: boolean;
  readonly lead: Columns;
  readonly instance?: Columns;
  readonly workspace?: Columns;
  readonly step?: Columns;
}

const FORBIDDEN: readonly Omit<Paused, "resumes">[] = [
  { name: "is booked", lead: { status: "meeting-booked" } },
  { name: "is booked by a meeting", lead: { booked_until: at(DAY_MS) } },
  { name: "is blacklisted", lead: { status: "blacklisted" } },
  { name: "is unqualified", lead: { status: "unqualified" } },
  { name: "is not interested", lead: { status: "not-interested" } },
  { name: "has opted out", lead: { opted_out_at: at(-DAY_MS) } },
  { name: "is switched off", lead: { automation_enabled: false } },
  { name: "is in a paused workspace", lead: {}, workspace: { paused_at: at(-DAY_MS) } },
  { name: "is looked at a millisecond later", lead: {}, instance: { recheck_at: at(1) } },
];

/** Instances whose pause is over but that must not resume. */
const forbidden = (over: Columns): readonly Paused[] =>
  FORBIDDEN.map((each) => ({ ...each, resumes: false, lead: { ...over, ...each.lead } }));

const SNOOZED: readonly Paused[] = [
  { name: "snoozed until now", resumes: true, lead: { snoozed_until: NOW } },
  { name: "snoozed no longer", resumes: true, lead: { snoozed_until: null } },
  {
    name: "whose status still says booked after a missed meeting",
    resumes: true,
    lead: { snoozed_until: NOW, status: "meeting-booked", missed_at: at(-1) },
  },
  { name: "snoozed a millisecond longer", resumes: false, lead: { snoozed_until: at(1) } },
  ...forbidden({ snoozed_until: NOW }),
];

const silentSince = (days: number, offsetMs = 0): Columns => ({
  last_inbound_at: at(-days * DAY_MS + offsetMs),
  last_outbound_at: at(-days * DAY_MS + offsetMs + 1),
});

const GHOSTED: readonly Paused[] = [
  { name: "silent for 7 days", resumes: true, lead: silentSince(7) },
  { name: "silent for 7 days but a millisecond", resumes: false, lead: silentSince(7, 1) },
  {
    name: "silent for 3 days where 3 are enough",
    resumes: true,
    lead: silentSince(3),
    workspace: { ghosted_after_days: 3 },
  },
  {
    name: "silent for 7 days where 8 are needed",
    resumes: false,
    lead: silentSince(7),
    workspace: { ghosted_after_days: 8 },
  },
  { name: "not answered", resumes: false, lead: { last_inbound_at: at(-8 * DAY_MS) } },
  {
    name: "not answered since",
    resumes: false,
    lead: { last_inbound_at: at(-8 * DAY_MS), last_outbound_at: at(-9 * DAY_MS) },
  },
  ...forbidden(silentSince(7)),
];

const sms: Columns = { channel: "sms", subject: null };
const ENRICHED: readonly Paused[] = [
  { name: "has the e-mail", resumes: true, lead: { enrichment_status: "pending" } },
  { name: "has the phone", resumes: true, lead: { enrichment_status: "pending", email: null }, step: sms },
  { name: "will not get it", resumes: true, lead: { enrichment_status: "failed", email: null } },
  { name: "was enriched without it", resumes: true, lead: { enrichment_status: "completed", email: null } },
  { name: "waits for the e-mail", resumes: false, lead: { enrichment_status: "pending", email: null } },
  { name: "has a blank e-mail", resumes: false, lead: { enrichment_status: "pending", email: "  " } },
  { name: "waits for the phone", resumes: false, lead: { enrichment_status: "pending", phone: null }, step: sms },
  ...forbidden({ enrichment_status: "failed" }),
];

const NEEDS_COMPANY: Columns = { body: "How is {{ lead.company }}?" };
const REPAIRED: readonly Paused[] = [
  { name: "has all values", resumes: true, lead: {} },
  { name: "has the company", resumes: true, lead: { company: "Harbour" }, step: NEEDS_COMPANY },
  { name: "lacks the company", resumes: false, lead: {}, step: NEEDS_COMPANY },
  { name: "has a blank company", resumes: false, lead: { company: " " }, step: NEEDS_COMPANY },
  ...forbidden({ company: "Harbour" }),
];

const SWITCHED: readonly Paused[] = [{ name: "is switched on", resumes: true, lead: {} }, ...forbidden({})];

describe.each([
  { step: "resume-repaired", key: "repaired", reason: "missing_data", cases: REPAIRED },
  { step: "resume-repaired", key: "repaired", reason: "manual", cases: SWITCHED },
  { step: "resume-snoozed", key: "snoozed", reason: "lead_snoozed", cases: SNOOZED },
  { step: "resume-ghosted", key: "resumed", reason: "lead_replied", cases: GHOSTED },
  { step: "resume-awaiting-enrichment", key: "enrichmentResumed", reason: "awaiting_enrichment", cases: ENRICHED },
] as const)("$step of $reason", ({ step, key, reason, cases }) => {
  async function addPaused({
    lead,
    instance,
    workspace = {},
    step: stepColumns = {},
  }: Omit<Paused, "name" | "resumes">) {
    const own = await addWorkspace(sql, workspace);
    const sequence = await addSequence(sql, own, { steps: [stepColumns] });
    const paused = { status: "paused", paused_reason: reason, recheck_at: NOW, ...instance };
    return (await addFollowedLead(sql, own, sequence.id, { lead, instance: paused })).instanceId;
  }

  it("resumes only instances whose pause has ended and whose lead may be contacted", async () => {
    const added = await Promise.all(cases.map(async (each) => ({ ...each, id: await addPaused(each) })));
    const before = await rowsOf(sql, bystanders);

    const report = await runner.run({ only: [step] }, now);

    const resumed: string[] = [];
    for (const { id, name } of added) {
      const row = await instanceRow(id);
      if (row?.["status"] === "active") resumed.push(name);
      if (row?.["status"] === "active") expect(row).toMatchObject({ next_step_due: NOW, recheck_at: null });
      else expect(row).toMatchObject({ status: "paused", paused_reason: reason, next_step_due: null });
    }
    const expected = cases.filter(({ resumes }) => resumes).map(({ name }) => name);
    expect(resumed).toEqual(expected);
    expect(report).toMatchObject({ success: true, [key]: { checked: cases.length - 1, resumed: expected.length } });
    expect(await rowsOf(sql, bystanders)).toEqual(before);
  });

  const over = cases.find(({ resumes }) => resumes)?.lead ?? {};

  it("checks an instance that may not resume once, and again after a change", async () => {
    const held = forbidden(over).filter(({ instance }) => instance === undefined);
    const ids = await Promise.all(held.map(addPaused));
    const runAt = (instant: Date) => runner.run({ only: [step] }, clockAt(instant));
    expect(await runAt(NOW)).toMatchObject({ [key]: { checked: held.length, resumed: 0 } });
    for (const day of [1, 8, 400]) expect(await runAt(at(day * DAY_MS))).toMatchObject({ [key]: { checked: 0 } });
    const switchedOff = ids[held.findIndex(({ name }) => name === "is switched off")];
    await sql.query(
      "update lead set automation_enabled = true where id = (select lead_id from follow_up_instance where id = $1)",
      [switchedOff],
    );
    expect(await runAt(at(401 * DAY_MS))).toMatchObject({ [key]: { checked: 1, resumed: 1 } });
  });

  it("reaches instances that may resume behind ten times as many that may not", async () => {
    const rows = { reason, workspaceId, sequenceId: chase.id };
    await addMany({ ...rows, count: 1_000, lead: { ...over, automation_enabled: false }, recheckAt: at(-DAY_MS) });
    await addMany({ ...rows, count: 100, lead: over, recheckAt: NOW });
    const report = await runner.run({ only: [step] }, { ...now, settings: { batchSize: 50 } });
    expect(report).toMatchObject({ [key]: { checked: 1_100, resumed: 100 } });
  });

  it.each(["completed", "cancelled"])("never revives an instance that is %s", async (status) => {
    const finished = await addPaused({ lead: over });
    await sql.query(
      "update follow_up_instance set status = $2, paused_reason = null, completed_at = now() where id = $1",
      [finished, status],
    );
    const before = await instanceRow(finished);
    expect(await runner.run({ only: [step] }, now)).toMatchObject({ [key]: { checked: 0, resumed: 0 } });
    expect(await instanceRow(finished)).toEqual(before);
  });

  it("skips an instance that another transaction completes, and resumes it if that rolls back", async () => {
    const id = await addPaused({ lead: over });
    const other = await openTransaction(sql);
    await other.query("update follow_up_instance set status = 'cancelled', paused_reason = null where id = $1", [id]);
    expect(await runner.run({ only: [step] }, now)).toMatchObject({ [key]: { checked: 0, resumed: 0 } });
    await other.rollback();
    expect(await runner.run({ only: [step] }, now)).toMatchObject({ [key]: { checked: 1, resumed: 1 } });
  });
});

async function addMany(rows: {
  reason: string;
  workspaceId: string;
  sequenceId: string;
  count: number;
  lead: Columns;
  recheckAt: Date;
}): Promise<void> {
  await sql.query(
    `with led as (
       insert into lead (workspace_id, first_name, email, status, automation_enabled, last_inbound_at, last_outbound_at, enrichment_status)
       select $1, 'Ada', 'ada-' || number || '@example.test', 'qualified', $4, $5, $6, $7 from generate_series(1, $3::int) as number returning id)
     insert into follow_up_instance (workspace_id, lead_id, sequence_id, status, paused_reason, recheck_at)
     select $1, id, $2, 'paused', $8::paused_reason, $9 from led`,
    [
      rows.workspaceId,
      rows.sequenceId,
      rows.count,
      rows.lead["automation_enabled"] ?? true,
      rows.lead["last_inbound_at"] ?? null,
      rows.lead["last_outbound_at"] ?? null,
      rows.lead["enrichment_status"] ?? "not_requested",
      rows.reason,
      rows.recheckAt,
    ],
  );
}

describe("a pause that is over", () => {
  it("leads to a message in the same run", async () => {
    const paused = { status: "paused", paused_reason: "lead_snoozed", recheck_at: NOW };
    const lead = { snoozed_until: NOW };
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance: paused });
    const report = await runner.run({}, now);
    expect(report).toMatchObject({ snoozed: { resumed: 1 }, results: { due: 1, delivery: { sent: 1 } } });
    expect(await touchRows(instanceId)).toHaveLength(1);
  });

  it.each([
    ["lead_snoozed", { snoozed_until: at(1) }],
    ["lead_replied", silentSince(7, 1)],
  ])("is seen at the instant of its end, even if it was checked before: %s", async (reason, lead) => {
    const paused = { status: "paused", paused_reason: reason, recheck_at: NOW };
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance: paused });
    await runner.run({}, now);
    expect(await instanceRow(instanceId)).toMatchObject({ status: "paused", recheck_at: at(1) });
    await runner.run({}, clockAt(at(1)));
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("reports how many steps will be skipped because enrichment failed", async () => {
    const paused = { status: "paused", paused_reason: "awaiting_enrichment", recheck_at: NOW };
    const lead = { enrichment_status: "failed", email: null };
    await addFollowedLead(sql, workspaceId, chase.id, { lead, instance: paused });
    const report = await runner.run({}, now);
    expect(report).toMatchObject({
      enrichmentResumed: { checked: 1, resumed: 1, skippedSteps: 1 },
      results: { due: 1, skipped: 1, reasons: { missing_email: 1 } },
    });
    expect(runner.channel.sent).toEqual([]);
  });
});
