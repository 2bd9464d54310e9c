import { describe, expect, it } from "@jest/globals";
import type { OutgoingTouch } from "../../lib/run/channel-ports.ts";
import type { Report } from "../../lib/run/report.ts";
import type { DeliveryReport } from "../../lib/run/step-reports.ts";
import { addDue } from "../support/due.ts";
import {
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
} from "../support/factories.ts";
import { long } from "../support/long.ts";
import { accept, type Changes, clockAt, useRunner } from "../support/run.ts";
import { openTransaction, until } from "../support/transactions.ts";

const NOW = new Date("2030-01-07T09:00:00Z");
const secondsAgo = (seconds: number) => new Date(NOW.getTime() - seconds * 1_000);
const AN_HOUR_AGO = secondsAgo(3_600);
const DONE = { status: "completed", completed_reason: "out_of_steps", next_step_due: null };
const ready = (since: Date): Columns => ({
  next_attempt_at: since,
  recheck_at: since,
  send_until: FAR_AHEAD,
});

const { sql, runner } = await useRunner({ empty: true });

/** Webhook latency of two seconds, divided by ten concurrent sends. */
const WEBHOOK_MS = 2_000 / 10;

/** Runs with 60 s of time, of which each send consumes `costMs`. */
async function runWith(costMs: (touch: OutgoingTouch) => number, now = NOW, changes: Changes = {}): Promise<Report> {
  let remaining = 60_000;
  runner.channel.sent.length = 0;
  runner.channel.answer = (touch) => {
    remaining -= costMs(touch);
    return accept(touch);
  };
  const settings = { batchSize: 500, claimers: 3, ...changes.settings };
  const report = await runner.run({}, { remainingMs: () => remaining, ...clockAt(now), ...changes, settings });
  expect(report.errors).toEqual([]);
  return report;
}

const slowWebhook = ({ channel }: OutgoingTouch) => (channel === "webhook" ? WEBHOOK_MS : 0.1);
const webhook = { channel: "webhook", subject: null };

const resultsOf = ({ results }: Report) => {
  if (!results?.delivery) throw new Error("send-due did not run");
  return { ...results, delivery: results.delivery as DeliveryReport };
};

async function statuses(): Promise<Readonly<Record<string, number>>> {
  const { rows } = await sql.query<{ status: string; count: number }>(
    "select status::text, count(*)::int as count from touch group by status",
  );
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
}

async function addTenant(steps: Columns, columns: Columns = {}) {
  const workspaceId = await addWorkspace(sql, columns);
  return { workspaceId, sequence: await addSequence(sql, workspaceId, { steps: [steps] }) };
}

/** Adds claimed touches without a sender, each one second younger than the previous. */
async function addLeftovers(count: number, steps: Columns, from: Date, touch: Columns = {}) {
  const { workspaceId, sequence } = await addTenant(steps);
  for (let number = 0; number < count; number++) {
    const { instanceId } = await addFollowedLead(sql, workspaceId, sequence.id, { instance: DONE });
    const since = new Date(from.getTime() + number * 1_000);
    await addTouch(sql, instanceId, sequence.steps[0] ?? "", {
      ...ready(since),
      ...(steps["channel"] !== undefined && { channel: steps["channel"] }),
      ...touch,
    });
  }
  return workspaceId;
}

describe("a channel whose answers take two seconds", () => {
  long.it("gets no more than it can send; each run reports the full backlog and sends the oldest first", async () => {
    const { workspaceId, sequence } = await addTenant(webhook);
    await addDue(sql, 1_500, workspaceId, sequence, AN_HOUR_AGO);
    let sent = 0;
    for (const minute of [0, 1, 2]) {
      const report = await runWith(slowWebhook, new Date(NOW.getTime() + minute * 60_000));
      sent += runner.channel.sent.length;
      expect(runner.channel.sent.length).toBeGreaterThan(240);
      expect((await statuses())["claimed"] ?? 0).toBeLessThanOrEqual(10);
      expect(resultsOf(report)).toMatchObject({ backlog: 1_500 - sent });
      const { rows } = await sql.query<{ oldest: Date }>(
        `select min(first_due) as oldest
           from (select next_step_due as first_due from follow_up_instance where status = 'active' and next_step_due <= $1
                 union all select next_attempt_at from touch where status = 'claimed') as waits`,
        [NOW],
      );
      const oldest = rows[0]?.oldest ?? NOW;
      expect(oldest.getTime()).toBeGreaterThanOrEqual(AN_HOUR_AGO.getTime() + (sent - 100) * 1_000);
      expect(resultsOf(report).oldestDueSeconds).toBeGreaterThan(3_600 - 1_500);
    }
    expect(new Set(runner.channel.sent.map(({ id }) => id)).size).toBe(runner.channel.sent.length);
  });

  long.it("does not delay another channel, of its own workspace or of another", async () => {
    const { workspaceId, sequence } = await addTenant(webhook);
    await addDue(sql, 1_000, workspaceId, sequence, AN_HOUR_AGO);
    await addDue(sql, 600, workspaceId, await addSequence(sql, workspaceId), secondsAgo(1_500));
    const other = await addTenant({});
    await addDue(sql, 600, other.workspaceId, other.sequence, secondsAgo(1_000));
    const byEmail = () => runner.channel.sent.filter(({ channel }) => channel === "email").length;
    const settings = { batchSize: 100, claimers: 3 };
    runner.channel.answer = async (touch) => {
      // The webhook answers only after all e-mails are sent.
      if (touch.channel === "webhook") {
        await until("all e-mails are sent", () => Promise.resolve(byEmail() === 1_200 || undefined));
      }
      return accept(touch);
    };
    const report = await runner.run({}, { ...clockAt(NOW), settings });
    expect(resultsOf(report)).toMatchObject({ due: 2_200, backlog: 0, delivery: { sent: 2_200 } });
  });

  long.it("serves each tenant in turn, even if another tenant has more and older due steps", async () => {
    const many = await addTenant(webhook);
    await addDue(sql, 1_000, many.workspaceId, many.sequence, AN_HOUR_AGO);
    const few: string[] = [];
    for (let number = 0; number < 5; number++) {
      const tenant = await addTenant(webhook);
      await addDue(sql, 4, tenant.workspaceId, tenant.sequence, secondsAgo(60));
      few.push(tenant.workspaceId);
    }
    await runWith(slowWebhook);
    for (const workspaceId of few) expect(runner.channel.sentTo(workspaceId)).toHaveLength(4);
    expect(runner.channel.sent.findLastIndex((touch) => few.includes(touch.workspaceId))).toBeLessThan(100);
  });

  long.it("does not hold up steps that are decided and not sent", async () => {
    const { workspaceId, sequence } = await addTenant(webhook);
    await addDue(sql, 400, workspaceId, sequence, AN_HOUR_AGO);
    const paused = await addTenant({}, { paused_at: AN_HOUR_AGO });
    await addDue(sql, 100, paused.workspaceId, paused.sequence, secondsAgo(1_000));
    runner.channel.answer = async (touch) => {
      await until("all holds are written", async () => {
        const { rows } = await sql.query("select from follow_up_instance where hold_reason is not null");
        return rows.length === 100 || undefined;
      });
      return accept(touch);
    };
    const settings = { batchSize: 100, claimers: 3 };
    const report = await runner.run({}, { ...clockAt(NOW), settings });
    expect(resultsOf(report)).toMatchObject({ held: 100, delivery: { sent: 400 } });
  });
});

describe("beside a tenant with more due than a run can send", () => {
  const addEndless = async () => {
    const { workspaceId, sequence } = await addTenant(webhook);
    await addDue(sql, 800, workspaceId, sequence, AN_HOUR_AGO);
  };

  long.it("sends retries and approved texts of another tenant in the same run, before new claims", async () => {
    await addEndless();
    const retries = await addLeftovers(20, webhook, AN_HOUR_AGO, { attempts: 1, failures: 1 });
    const approved = await addLeftovers(5, {}, AN_HOUR_AGO, { decided_at: AN_HOUR_AGO, decided_by: "Hana" });
    const report = await runWith(slowWebhook);
    expect(report.recovered).toMatchObject({ takenUp: 25, delivery: { sent: 25 } });
    expect(runner.channel.sent.slice(0, 25).every((touch) => [retries, approved].includes(touch.workspaceId))).toBe(
      true,
    );
    expect(resultsOf(report).backlog).toBeGreaterThan(0);
  });

  long.it("ends expired leases and undecided approvals in every run", async () => {
    await addEndless();
    for (const minute of [0, 1]) {
      const now = new Date(NOW.getTime() + minute * 60_000);
      await addLeftovers(1, {}, AN_HOUR_AGO, {
        status: "sending",
        next_attempt_at: null,
        recheck_at: now,
        attempts: 1,
      });
      const { workspaceId, sequence } = await addTenant({});
      const paused = { status: "paused", paused_reason: "awaiting_approval" };
      const { instanceId } = await addFollowedLead(sql, workspaceId, sequence.id, { instance: paused });
      await addTouch(sql, instanceId, sequence.steps[0] ?? "", {
        status: "awaiting_approval",
        expires_at: now,
        recheck_at: now,
      });
      expect((await runWith(slowWebhook, now)).recovered).toMatchObject({ expired: 1, unknown: 1 });
    }
  });

  long.it(
    "a thousand leftovers of one tenant leave time for another tenant's leftovers and for due steps",
    async () => {
      const many = await addLeftovers(400, webhook, AN_HOUR_AGO);
      const few = await addLeftovers(3, webhook, secondsAgo(60));
      const due = await addTenant(webhook);
      await addDue(sql, 10, due.workspaceId, due.sequence, secondsAgo(30));
      const report = await runWith(slowWebhook);
      expect(runner.channel.sentTo(few)).toHaveLength(3);
      expect(runner.channel.sentTo(due.workspaceId)).toHaveLength(10);
      // The leftovers get the time that the due steps do not need.
      expect(runner.channel.sentTo(many).length).toBeGreaterThan(220);
      expect(resultsOf(report).backlog).toBe(413 - runner.channel.sent.length);
    },
  );

  long.it("leftovers go oldest first, however often a run has had to leave them", async () => {
    const many = await addLeftovers(300, webhook, AN_HOUR_AGO);
    await runWith(() => 600, NOW);
    const first = runner.channel.sent.map(({ id }) => id);
    await runWith(() => 600, new Date(NOW.getTime() + 60_000));
    const second = runner.channel.sent.map(({ id }) => id);
    const { rows } = await sql.query<{ id: string }>("select id from touch where workspace_id = $1 order by id", [
      many,
    ]);
    const inOrder = rows.map(({ id }) => id);
    expect([...first, ...second].sort()).toEqual(inOrder.slice(0, first.length + second.length));
    expect(first.length).toBeGreaterThan(50);
  });

  it("resuming pauses leaves time for due steps", async () => {
    const { workspaceId, sequence } = await addTenant({});
    for (let number = 0; number < 60; number++) {
      await addFollowedLead(sql, workspaceId, sequence.id, {
        instance: { status: "paused", paused_reason: "lead_snoozed" },
      });
    }
    const other = await addTenant({});
    await addDue(sql, 10, other.workspaceId, other.sequence, AN_HOUR_AGO);
    let remaining = 60_000;
    const { store } = runner.ports;
    const report = await runner.run(
      {},
      {
        settings: { batchSize: 1 },
        ...clockAt(NOW),
        remainingMs: () => remaining,
        store: {
          ...store,
          resumePaused: (reason, query) => {
            remaining -= 2_000;
            return store.resumePaused(reason, query);
          },
        },
      },
    );
    expect(report.snoozed?.resumed).toBeGreaterThan(5);
    expect(report.snoozed?.resumed).toBeLessThan(10);
    expect(runner.channel.sentTo(other.workspaceId)).toHaveLength(10);
  });
});

describe("a claimed touch that waits", () => {
  it("counts in the backlog and its age until it is sent, by the time since when it may go", async () => {
    const workspaceId = await addLeftovers(3, {}, AN_HOUR_AGO);
    const holder = await openTransaction(sql);
    await holder.query("select from touch for update");
    const report = await runWith(() => 0);
    expect(resultsOf(report)).toMatchObject({
      due: 0,
      backlog: 3,
      oldestDueSeconds: 3_600,
      oldestDueSecondsByWorkspace: { [workspaceId]: 3_600 },
    });
    await holder.rollback();
    expect(await runWith(() => 0)).toMatchObject({ recovered: { delivery: { sent: 3 } }, results: { backlog: 0 } });
  });

  it("counts by its age while it is in a delivery queue, and not before its send time", async () => {
    const inQueue = { recheck_at: new Date(NOW.getTime() + 60_000) };
    await addLeftovers(2, {}, AN_HOUR_AGO, inQueue);
    const later = new Date(NOW.getTime() + 60_000);
    await addLeftovers(2, {}, AN_HOUR_AGO, { next_attempt_at: later, recheck_at: later });
    expect(resultsOf(await runWith(() => 0))).toMatchObject({ backlog: 0, oldestDueSeconds: 3_600 });
    await sql.query("delete from touch where next_attempt_at < $1", [NOW]);
    expect(resultsOf(await runWith(() => 0))).toMatchObject({ backlog: 0, oldestDueSeconds: 0 });
  });

  it("is as old after a run that had to stop before its call as it was before", async () => {
    await addLeftovers(40, {}, AN_HOUR_AGO);
    await runWith(() => 4_000);
    const { rows } = await sql.query(
      "select min(next_attempt_at) as oldest, max(failures) as failures from touch where status = 'claimed'",
    );
    expect(rows).toEqual([
      { oldest: new Date(AN_HOUR_AGO.getTime() + runner.channel.sent.length * 1_000), failures: 0 },
    ]);
  });
});

describe("three claimers on leads with several instances each", () => {
  /** Each lead has three instances, so a claimer skips those of leads that another claimer has locked. */
  async function addShared(leads: number): Promise<string> {
    const workspaceId = await addWorkspace(sql);
    const sequences = [];
    for (const channel of ["email", "sms", "task"])
      sequences.push(await addSequence(sql, workspaceId, { steps: [{ channel }] }));
    await sql.query(
      `with numbered as (select uuid_v7() as lead_id, number from generate_series(1, $2::int) as number),
            led as (insert into lead (workspace_id, id, first_name, email, phone)
                    select $1, lead_id, 'Ada', 'ada-' || number || '@example.test', '+4930123' || 1000 + number from numbered)
       insert into follow_up_instance (workspace_id, lead_id, sequence_id, status, next_step_due)
       select $1, lead_id, sequence_id, 'active', $4::timestamptz + (number + place * 7) * interval '1 second'
         from numbered cross join unnest($3::uuid[]) with ordinality as sequence (sequence_id, place)`,
      [workspaceId, leads, sequences.map(({ id }) => id), AN_HOUR_AGO],
    );
    return workspaceId;
  }

  long.it.each([1, 2, 3])("leave none of 999 due steps for the next run, try %d", async () => {
    await addShared(333);
    const report = await runWith(() => 0, NOW, { settings: { batchSize: 40, claimers: 3 } });
    expect(resultsOf(report)).toMatchObject({ due: 999, backlog: 0 });
    expect(new Set(runner.channel.sent.map(({ leadId }) => leadId)).size).toBe(333);
  });

  it("skip only what another session has locked; the next run takes it", async () => {
    const workspaceId = await addShared(100);
    const leadId = await addLead(sql, workspaceId);
    const { id } = await addSequence(sql, workspaceId);
    await addInstance(sql, leadId, id, { next_step_due: AN_HOUR_AGO });
    const holder = await openTransaction(sql);
    await holder.query("select from lead where id = $1 for update", [leadId]);
    const settings = { batchSize: 40, claimers: 3 };
    expect(resultsOf(await runWith(() => 0, NOW, { settings }))).toMatchObject({ due: 300, backlog: 1 });
    await holder.rollback();
    expect(resultsOf(await runWith(() => 0, NOW, { settings }))).toMatchObject({ due: 1, backlog: 0 });
  });
});
