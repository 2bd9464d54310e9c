import { beforeEach, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import type { DigestSender, OutgoingDigest, SendOutcome } from "../../lib/run/channel-ports.ts";
import { addFollowedLead, addLead, addSequence, addTouch, addWorkspace, type Columns } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { type Changes, clockAt, noLock, openRunner, useRunner } from "../support/run.ts";
import { openTransaction } from "../support/transactions.ts";

const { database, sql, runner } = await useRunner();

/** Digests received by the fake mail server and webhook. */
const told: { digest: OutgoingDigest; to: string }[] = [];
const accepted: SendOutcome = { kind: "accepted", providerId: "p" };
let answer: (digest: OutgoingDigest) => SendOutcome | Promise<SendOutcome> = () => accepted;
const sender: DigestSender = {
  async send(digest, to) {
    told.push({ digest, to });
    return await answer(digest);
  },
};
const digests = { email: sender, webhook: sender };

beforeEach(() => {
  told.length = 0;
  answer = () => accepted;
});

const MINUTE_MS = 60_000;
const at = (instant: string | Date): Changes => ({ ...clockAt(instant), digests });
const runAt = (instant: string | Date, workspaceId: string, changes: Changes = {}) =>
  runner.run({ workspaceId }, { ...at(instant), ...changes });
const digestsAt = async (instant: string | Date, workspaceId: string, changes: Changes = {}) => {
  const report = await runAt(instant, workspaceId, changes);
  expect(report.errors).toEqual([]);
  return report.notificationDigests;
};

const NOTHING = { checked: 0, sent: 0, skipped: 0, failed: 0, retrying: 0, unknown: 0 };

/** Adds a workspace whose digest is due at 08:00 in Berlin, computed on the evening of 2 June 2030. */
async function addListener(columns: Columns = {}): Promise<string> {
  const id = await addWorkspace(sql, {
    time_zone: "Europe/Berlin",
    digest_time: "08:00",
    digest_email: "sales@harbour.test",
    ...columns,
  });
  expect(await digestsAt("2030-06-02T18:00Z", id)).toEqual(NOTHING);
  return id;
}

async function addEvent(workspaceId: string, occurredAt: string, columns: Columns = {}, on: pg.Pool = sql) {
  const row = { workspace_id: workspaceId, kind: "backstop_completed", occurred_at: occurredAt, ...columns };
  const names = Object.keys(row);
  await on.query(
    `insert into notification_event (${names.join(", ")}) values (${names.map((_, index) => `$${index + 1}`).join(", ")})`,
    Object.values(row),
  );
}

const counts = () =>
  told.map(({ digest }) => digest.contents.sections.map(({ kind, count }) => `${kind} ${count}`).join(", "));

async function deliveriesOf(workspaceId: string) {
  const { rows } = await sql.query(
    "select channel, status, reason, attempts, failures from digest_delivery where workspace_id = $1 order by channel, id",
    [workspaceId],
  );
  return rows;
}

describe("a clock that was years ahead", () => {
  long.it("does not suspend digests; the next digest reports the events dated by it", async () => {
    const id = await addListener();
    await addEvent(id, "2037-01-05T05:00Z");
    expect(await digestsAt("2037-01-06T07:00Z", id)).toMatchObject({ sent: 1 });
    await addEvent(id, "2037-01-06T08:00Z");
    // The clock is correct again.
    expect(await digestsAt("2030-06-03T07:00Z", id)).toEqual(NOTHING);
    await addEvent(id, "2030-06-03T08:00Z", { count: 3 });
    expect(await digestsAt("2030-06-04T05:59Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-04T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, sent: 1 });
    expect(counts()).toEqual(["backstop_completed 1", "backstop_completed 4"]);
    expect(await digestsAt("2030-06-04T06:01Z", id)).toEqual(NOTHING);
  });

  it("lets a workspace without a digest get one for the events dated by it", async () => {
    const id = await addListener();
    await addEvent(id, "2037-01-05T05:00Z");
    expect(await digestsAt("2030-06-03T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, sent: 1 });
    expect(counts()).toEqual(["backstop_completed 1"]);
  });

  it.each(["infinity", "2037-01-01"])("is no matter of a window that ends at %s", async (end) => {
    const id = await addListener();
    await sql.query("update workspace set next_digest_at = $2 where id = $1", [id, end]);
    await addEvent(id, "2030-06-03T05:00Z");
    await digestsAt("2030-06-03T05:30Z", id);
    expect(await digestsAt("2030-06-03T06:00Z", id)).toMatchObject({ sent: 1 });
  });

  it("excludes an event of the next week, which waits for its window", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-06T05:00Z");
    expect(await digestsAt("2030-06-03T06:00Z", id)).toMatchObject({ sent: 0, skipped: 1 });
    expect(await digestsAt("2030-06-06T06:00Z", id)).toMatchObject({ sent: 1 });
  });
});

describe("a digest", () => {
  it("is sent once per local day, at its time, and reports what happened before it", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:59:59.999Z");
    await addEvent(id, "2030-06-03T06:00Z", { count: 5 });
    expect(await digestsAt("2030-06-03T05:59:59.999Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-03T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, sent: 1 });
    expect(await digestsAt("2030-06-03T06:01Z", id)).toEqual(NOTHING);
    expect(counts()).toEqual(["backstop_completed 1"]);
    expect(told[0]?.to).toBe("sales@harbour.test");
    expect(await digestsAt("2030-06-04T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, sent: 1 });
    expect(counts()).toEqual(["backstop_completed 1", "backstop_completed 5"]);
  });

  it("is not sent when nothing happened, and leaves no row", async () => {
    const id = await addListener();
    expect(await digestsAt("2030-06-03T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, skipped: 1 });
    expect((await sql.query("select from notification_digest where workspace_id = $1", [id])).rowCount).toBe(0);
    expect(told).toEqual([]);
  });

  it.each<[string, Columns]>([
    ["muted", { digest_muted: true }],
    ["without anybody to tell", { digest_email: null }],
  ])("is not sent for a workspace that is %s, not even later", async (_, columns) => {
    const id = await addListener(columns);
    await addEvent(id, "2030-06-03T05:00Z");
    expect(await digestsAt("2030-06-03T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, skipped: 1 });
    await sql.query("update workspace set digest_muted = false, digest_email = 'a@b.test' where id = $1", [id]);
    expect(await digestsAt("2030-06-04T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, skipped: 1 });
    await addEvent(id, "2030-06-04T07:00Z");
    expect(await digestsAt("2030-06-05T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, sent: 1 });
    expect(counts()).toEqual(["backstop_completed 1"]);
  });

  it("is not sent to a workspace that is muted after the digest was created", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:00Z");
    answer = () => ({ kind: "retry", reason: "smtp_451" });
    await digestsAt("2030-06-03T06:00Z", id);
    await sql.query("update workspace set digest_muted = true where id = $1", [id]);
    expect(await digestsAt("2030-06-03T06:02Z", id)).toEqual({ ...NOTHING, checked: 1, skipped: 1 });
    expect(await deliveriesOf(id)).toMatchObject([{ status: "skipped", reason: "no_receiver" }]);
    expect(told).toHaveLength(1);
  });

  it("catches up days that were missed, in one", async () => {
    const id = await addListener();
    for (const day of ["03", "04", "05"]) await addEvent(id, `2030-06-${day}T05:00Z`);
    expect(await digestsAt("2030-06-05T20:00Z", id)).toMatchObject({ sent: 1 });
    expect(counts()).toEqual(["backstop_completed 3"]);
    const { rows } = await sql.query("select window_end from notification_digest where workspace_id = $1", [id]);
    expect(rows).toEqual([{ window_end: new Date("2030-06-05T06:00Z") }]);
  });

  long.it.each<[string, string, readonly string[]]>([
    ["00:05", "2030-03-08", ["2030-03-09T05:05Z", "2030-03-10T05:05Z", "2030-03-11T04:05Z"]],
    ["23:55", "2030-03-08", ["2030-03-09T04:55Z", "2030-03-10T04:55Z", "2030-03-11T03:55Z"]],
    ["00:05", "2030-11-01", ["2030-11-02T04:05Z", "2030-11-03T04:05Z", "2030-11-04T05:05Z"]],
    ["23:55", "2030-11-01", ["2030-11-02T03:55Z", "2030-11-03T03:55Z", "2030-11-04T04:55Z"]],
  ])("at %s is sent on each local day while the clock is changed, from %s on", async (time, from, expected) => {
    const id = await addWorkspace(sql, { time_zone: "America/New_York", digest_time: time, digest_email: "a@b.test" });
    const first = Date.parse(`${from}T05:00Z`) + (Number(time.split(":")[1]) % 60) * MINUTE_MS;
    const sentAt: number[] = [];
    for (let hour = 0; hour < 73; hour++) {
      const now = new Date(first + hour * 60 * MINUTE_MS);
      await addEvent(id, new Date(now.getTime() - 1).toISOString());
      const report = await runner.run({ workspaceId: id, only: ["notification-digests"] }, at(now));
      if (report.notificationDigests?.sent) sentAt.push(now.getTime());
    }
    expect(sentAt).toEqual(expected.map((instant) => Date.parse(instant)));
    const total = told.reduce((sum, { digest }) => sum + (digest.contents.sections[0]?.count ?? 0), 0);
    expect(total).toBe((Date.parse(expected.at(-1) ?? "") - first) / (60 * MINUTE_MS) + 1);
  });

  it("uses UTC if its zone does not exist", async () => {
    const id = await addListener({ time_zone: "Mars/Olympus_Mons" });
    await addEvent(id, "2030-06-03T05:00Z");
    expect(await digestsAt("2030-06-03T07:59Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-03T08:00Z", id)).toMatchObject({ sent: 1 });
  });

  it("follows a change of its time, and is still sent once on that local day", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:00Z");
    expect(await digestsAt("2030-06-03T06:00Z", id)).toMatchObject({ sent: 1 });
    await addEvent(id, "2030-06-03T06:30Z");
    await sql.query("update workspace set digest_time = '10:00' where id = $1", [id]);
    expect(await digestsAt("2030-06-03T07:00Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-03T08:00Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-04T07:59Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-04T08:00Z", id)).toMatchObject({ sent: 1 });
  });

  it("names leads, counts the rest, and goes to mail and webhook", async () => {
    const id = await addListener({ digest_webhook_url: "https://hooks.test/secret" });
    const { id: sequenceId, steps } = await addSequence(sql, id);
    const lead = { first_name: "Ada", last_name: "Lovelace", company: "Engines" };
    const instance = { status: "completed" };
    const { instanceId } = await addFollowedLead(sql, id, sequenceId, { lead, instance });
    const touchId = await addTouch(sql, instanceId, steps[0] ?? "", { status: "failed", reason: "smtp_550" });
    await addEvent(id, "2030-06-03T05:00Z", { kind: "touch_failed", touch_id: touchId });
    for (let index = 0; index < 25; index++) {
      const leadId = await addLead(sql, id, { first_name: `Lead ${index}` });
      await addEvent(id, `2030-06-03T04:00:${String(index).padStart(2, "0")}Z`, {
        kind: "meeting_booked",
        lead_id: leadId,
      });
    }
    expect(await digestsAt("2030-06-03T06:00Z", id)).toEqual({ ...NOTHING, checked: 2, sent: 2 });
    expect(told.map(({ to }) => to).sort()).toEqual(["https://hooks.test/secret", "sales@harbour.test"]);
    const [booked, failed] = told[0]?.digest.contents.sections ?? [];
    expect(booked).toMatchObject({ kind: "meeting_booked", count: 25 });
    expect(booked?.examples.map(({ firstName }) => firstName)).toEqual(
      Array.from({ length: 20 }, (_, index) => `Lead ${24 - index}`),
    );
    expect(failed).toMatchObject({
      kind: "touch_failed",
      count: 1,
      examples: [{ firstName: "Ada", lastName: "Lovelace", company: "Engines", channel: "email", reason: "smtp_550" }],
    });
    expect(told[1]?.digest.contents).toEqual(told[0]?.digest.contents);
    const log = JSON.stringify(runner.lines);
    for (const secret of ["hooks.test", "sales@harbour", "Lovelace"]) expect(log).not.toContain(secret);
  });
});

describe("an event", () => {
  it("that is committed after its window was closed is in the next digest", async () => {
    const id = await addListener();
    const late = await openTransaction(sql);
    await addEvent(id, "2030-06-03T05:00Z", { count: 7 }, late as unknown as pg.Pool);
    await addEvent(id, "2030-06-03T05:30Z");
    expect(await digestsAt("2030-06-03T06:00Z", id)).toMatchObject({ sent: 1 });
    await late.commit();
    expect(await digestsAt("2030-06-04T06:00Z", id)).toMatchObject({ sent: 1 });
    expect(counts()).toEqual(["backstop_completed 1", "backstop_completed 7"]);
  });

  long.it("is reported once by two concurrent runs, each workspace by one of them", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 20; index++) {
      const id = await addListener();
      await addEvent(id, "2030-06-03T05:00Z");
      ids.push(id);
    }
    const other = openRunner(database.url);
    const changes = { ...at("2030-06-03T06:00Z"), lock: noLock };
    const reports = await Promise.all([runner.run({}, changes), other.run({}, changes)]);
    await other.close();
    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
    const sentTo = told.map(({ digest }) => digest.workspaceId).filter((workspaceId) => ids.includes(workspaceId));
    expect(sentTo.toSorted()).toEqual(ids.toSorted());
  });
});

describe("a digest that was not sent", () => {
  it("for now is tried again with growing pauses, and the one that was sent is not doubled", async () => {
    const id = await addListener({ digest_webhook_url: "https://hooks.test/secret" });
    await addEvent(id, "2030-06-03T05:00Z");
    answer = ({ channel }) => (channel === "email" ? accepted : { kind: "retry", reason: "webhook_503" });
    expect(await digestsAt("2030-06-03T06:00Z", id)).toEqual({ ...NOTHING, checked: 2, sent: 1, retrying: 1 });
    expect(await digestsAt("2030-06-03T06:00:20Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-03T06:01Z", id)).toEqual({ ...NOTHING, checked: 1, retrying: 1 });
    answer = () => accepted;
    expect(await digestsAt("2030-06-03T06:03Z", id)).toEqual({ ...NOTHING, checked: 1, sent: 1 });
    expect(await digestsAt("2030-06-03T09:00Z", id)).toEqual(NOTHING);
    expect(told.map(({ digest }) => digest.channel).toSorted()).toEqual(["email", "webhook", "webhook", "webhook"]);
    expect(await deliveriesOf(id)).toMatchObject([{ status: "sent" }, { status: "sent", attempts: 3, failures: 2 }]);
  });

  it.each<[SendOutcome, Columns]>([
    [
      { kind: "refused", reason: "webhook_404" },
      { status: "failed", reason: "webhook_404" },
    ],
    [
      { kind: "unknown", reason: "webhook_no_answer" },
      { status: "unknown", reason: "webhook_no_answer" },
    ],
  ])("for good, or perhaps, is not tried again: %j", async (outcome, row) => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:00Z");
    answer = () => outcome;
    expect(await digestsAt("2030-06-03T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, [String(row["status"])]: 1 });
    expect(await digestsAt("2030-06-03T20:00Z", id)).toEqual(NOTHING);
    expect(await deliveriesOf(id)).toMatchObject([row]);
    expect(told).toHaveLength(1);
  });

  it("fails after its twenty-fourth failure", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:00Z");
    answer = () => ({ kind: "retry", reason: "smtp_451" });
    for (let hour = 0; hour < 24; hour++) await digestsAt(new Date(Date.UTC(2030, 5, 3, 6 + hour)), id);
    expect(told).toHaveLength(24);
    expect(await deliveriesOf(id)).toMatchObject([{ status: "failed", reason: "smtp_451", attempts: 24 }]);
  });

  it("is unknown once the lease of its dead sender has run out, and not before", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:00Z");
    answer = () => Promise.reject(new Error("secret text"));
    const dying = { ...runner.ports.store, settleDigest: () => Promise.reject(new Error("the process dies")) };
    const report = await runAt("2030-06-03T06:00Z", id, { store: dying });
    expect(report).toMatchObject({ success: false, notificationDigests: { checked: 1, unknown: 1 } });
    expect(await digestsAt("2030-06-03T06:01Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-03T06:02:01Z", id)).toEqual({ ...NOTHING, checked: 1, unknown: 1 });
    expect(await deliveriesOf(id)).toMatchObject([{ status: "unknown", reason: "sender_died" }]);
    expect(told).toHaveLength(1);
    expect(JSON.stringify(runner.lines)).not.toContain("secret text");
  });
});

describe("the events of a digest", () => {
  it("are written by approvals, failed and unknown touches, and the backstop", async () => {
    const id = await addListener();
    const outcomes = { failed: "refused", unknown: "unknown", approved: "accepted", sent: "accepted" } as const;
    for (const name of Object.keys(outcomes)) {
      const step = { channel: "email", needs_approval: name === "approved" };
      const { id: sequenceId } = await addSequence(sql, id, { steps: [step] });
      await addFollowedLead(sql, id, sequenceId, { lead: { first_name: name, email: `${name}@example.test` } });
    }
    const { id: chase } = await addSequence(sql, id);
    const { leadId } = await addFollowedLead(sql, id, chase);
    await sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
    runner.channel.answer = ({ email }) => {
      const kind = outcomes[email?.split("@")[0] as keyof typeof outcomes];
      return kind === "accepted" ? { kind, providerId: "p" } : { kind, reason: "because" };
    };
    expect(await digestsAt("2030-06-03T05:00Z", id)).toEqual(NOTHING);
    expect(await digestsAt("2030-06-03T06:00Z", id)).toMatchObject({ sent: 1 });
    expect(counts()).toEqual(["approval_waiting 1, touch_failed 1, touch_unknown 1, backstop_completed 1"]);
  });

  it("are also written for a crashed sender", async () => {
    const id = await addListener();
    const { id: sequenceId, steps } = await addSequence(sql, id);
    const { instanceId } = await addFollowedLead(sql, id, sequenceId, { instance: { status: "completed" } });
    const dead = { status: "sending", recheck_at: new Date("2030-06-01T00:00Z") };
    await addTouch(sql, instanceId, steps[0] ?? "", dead);
    await digestsAt("2030-06-03T05:00Z", id);
    await digestsAt("2030-06-03T06:00Z", id);
    expect(counts()).toEqual(["touch_unknown 1"]);
  });
});

describe("the time of a run", () => {
  it("has a share for digests, however much is due to leads", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:00Z");
    const { id: sequenceId } = await addSequence(sql, id);
    for (let lead = 0; lead < 3; lead++) await addFollowedLead(sql, id, sequenceId);
    let remaining = 11_000;
    runner.channel.answer = () => {
      remaining = 1_500;
      return accepted;
    };
    const settings = { batchSize: 1, safetyMarginMs: 1_000 };
    const report = await runAt("2030-06-03T06:00Z", id, { remainingMs: () => remaining, settings });
    expect(report).toMatchObject({ results: { claimed: 1, backlog: 2 }, reason: "out_of_time" });
    expect(report.notificationDigests).toMatchObject({ sent: 1 });
  });

  it("is not used for digests once it is over", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:00Z");
    const report = await runAt("2030-06-03T06:00Z", id, {
      remainingMs: () => 999,
      settings: { safetyMarginMs: 1_000 },
    });
    expect(report.notificationDigests).toBeNull();
    expect(told).toEqual([]);
  });
});

describe("a dry run", () => {
  it("reports what would be sent, and writes nothing", async () => {
    const id = await addListener();
    await addEvent(id, "2030-06-03T05:00Z");
    const report = await runner.run({ workspaceId: id, dryRun: true }, at("2030-06-03T06:00Z"));
    expect(report).toMatchObject({ success: true, notificationDigests: { ...NOTHING, checked: 1, retrying: 1 } });
    expect(told).toEqual([]);
    expect(await digestsAt("2030-06-03T06:00Z", id)).toMatchObject({ sent: 1 });
  });
});

describe("many workspaces", () => {
  long.it("get each their events and no others, in one run", async () => {
    const mine = await sql.query<{ id: string }>(`
      insert into workspace (name, email_from, digest_email, next_digest_at)
      select 'Tenant ' || number, 'a@b.test', number || '@tenant.test', '2030-06-03T08:00Z'
        from generate_series(1, 500) as number returning id`);
    await sql.query(
      `insert into notification_event (workspace_id, kind, count, occurred_at)
       select id, 'backstop_completed', substring(digest_email from '\\d+')::int, '2030-06-03T07:00Z'
         from workspace where digest_email like '%@tenant.test'`,
    );
    const report = await runner.run({ only: ["notification-digests"] }, at("2030-06-03T08:00Z"));
    expect(report).toMatchObject({ success: true, notificationDigests: { failed: 0, retrying: 0, unknown: 0 } });
    const own = told.filter(({ digest }) => mine.rows.some(({ id }) => id === digest.workspaceId));
    expect(own).toHaveLength(500);
    for (const { digest, to } of own) {
      expect(digest.contents.sections).toMatchObject([{ count: Number(to.split("@")[0]) }]);
    }
    const again = await runner.run({ only: ["notification-digests"] }, at("2030-06-03T08:01Z"));
    expect(again.notificationDigests).toMatchObject({ sent: 0 });
  });
});

describe("an instance that waits for a missing value", () => {
  const WAITING = { status: "paused", paused_reason: "missing_data", recheck_at: "2099-01-01T00:00Z" };
  const NO_NAME = { first_name: null, external_id: "crm-17" };
  const linesOf = (place: number) =>
    told[place]?.digest.contents.sections.map(({ kind, count, examples }) => [
      kind,
      count,
      examples.map(({ firstName, channel, reason }) => `${firstName}, ${channel}: ${reason}`),
    ]);

  it("is listed in every digest, also without another event, until it is repaired", async () => {
    const id = await addListener();
    const needs = { body: "How is {{ lead.company }}?" };
    const sequence = await addSequence(sql, id, { name: "Chase", steps: [needs] });
    await addFollowedLead(sql, id, sequence.id, { instance: WAITING });
    await addFollowedLead(sql, id, sequence.id, { lead: NO_NAME, instance: WAITING });
    const both = [
      ["missing_data", 2, ["Ada, Chase: missing lead.company", "crm-17, Chase: missing lead.first_name, lead.company"]],
    ];
    expect(await digestsAt("2030-06-03T06:00Z", id)).toMatchObject({ sent: 1 });
    expect(await digestsAt("2030-06-03T07:00Z", id)).toEqual(NOTHING);
    await addEvent(id, "2030-06-04T05:00Z");
    expect(await digestsAt("2030-06-04T06:00Z", id)).toMatchObject({ sent: 1 });
    expect([linesOf(0), linesOf(1)]).toEqual([both, [["backstop_completed", 1, []], ...both]]);

    await sql.query("update lead set company = 'Harbour'");
    expect(await digestsAt("2030-06-05T06:00Z", id)).toMatchObject({ sent: 1 });
    expect(linesOf(2)).toEqual([["missing_data", 1, ["crm-17, Chase: missing lead.first_name"]]]);
    await sql.query("update lead set first_name = 'Eve' where workspace_id = $1", [id]);
    expect(await digestsAt("2030-06-06T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, skipped: 1 });
  });

  it("is no reason to send a digest to a muted workspace, and a dry run foretells the digest", async () => {
    const id = await addListener();
    const { id: sequenceId } = await addSequence(sql, id, { steps: [{ body: "{{ lead.company }}" }] });
    await addFollowedLead(sql, id, sequenceId, { instance: WAITING });
    const foretold = await runner.run({ workspaceId: id, dryRun: true }, at("2030-06-03T06:00Z"));
    expect(foretold.notificationDigests).toEqual({ ...NOTHING, checked: 1, retrying: 1 });
    await sql.query("update workspace set digest_muted = true where id = $1", [id]);
    expect(await digestsAt("2030-06-03T06:00Z", id)).toEqual({ ...NOTHING, checked: 1, skipped: 1 });
    expect(told).toEqual([]);
  });
});
