import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { onPool } from "../../lib/store/sql.ts";
import { suppressUndeliverable } from "../../lib/store/suppressions.ts";
import {
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  LONG_AGO,
  type Sequence,
} from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { leftClaimed, useRunner } from "../support/run.ts";
import { openTransaction } from "../support/transactions.ts";

const { sql, runner } = await useRunner({ empty: true });
let workspaceId: string;
let chase: Sequence;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId, { steps: [{}, {}] });
});

const hashOf = (address: string, workspace = workspaceId) =>
  createHash("sha256").update(`${workspace} ${address}`).digest();

const suppress = (reason: string, address: string, workspace = workspaceId) =>
  sql.query("insert into suppression (workspace_id, hash, reason, kind, source) values ($1, $2, $3, $4, 'test')", [
    workspace,
    hashOf(address, workspace),
    reason,
    address.includes("@") ? "email" : "phone",
  ]);

const instanceOf = async (instanceId: string) =>
  (
    await sql.query(
      "select status::text, coalesce(completed_reason, paused_reason::text) as reason, next_step_due from follow_up_instance where id = $1",
      [instanceId],
    )
  ).rows[0];
const ENDED = (reason: string) => ({ status: "completed", reason, next_step_due: null });

const touchesOf = async (instanceId: string) =>
  (await sql.query("select status::text, reason from touch where instance_id = $1 order by id", [instanceId])).rows;

const bounced = (touch: string) =>
  tell(onPool(sql), "lead.bounced", { workspaceId, lead: { touch }, kind: "permanent" });
const optOutByHand = (id: string) => sql.query("update lead set opted_out_at = now() where id = $1", [id]);
const followed = (lead: Columns = {}, instance: Columns = {}) =>
  addFollowedLead(sql, workspaceId, chase.id, { lead, instance });
const backstop = async () => (await runner.run({ only: ["backstop"] })).backstop;
const sentLeads = () => runner.channel.sent.map(({ leadId }) => leadId);

describe("an opt-out that was typed into one lead", () => {
  const gone = "gone@example.test";

  beforeEach(async () => {
    const { leadId } = await followed({ email: gone });
    await optOutByHand(leadId);
    expect(await backstop()).toMatchObject({ endedByLeadStatus: 1 });
  });

  it("stops mail to a lead that an application inserts later with the address, and to no other lead", async () => {
    const { instanceId } = await followed({ email: gone });
    const other = await followed();
    expect(await runner.run()).toMatchObject({ success: true, results: { due: 2, claimed: 1, completed: 1 } });
    expect(sentLeads()).toEqual([other.leadId]);
    expect(await instanceOf(instanceId)).toEqual(ENDED("opted_out"));
  });

  it("ends a lead by the next run that is updated to the address", async () => {
    const { leadId, instanceId } = await followed();
    await addTouch(sql, instanceId, chase.steps[0] ?? "");
    await sql.query("update lead set email = 'Gone@Example.test' where id = $1", [leadId]);
    expect(await backstop()).toMatchObject({ endedByLeadStatus: 1, cancelledTouches: 1 });
    expect(await instanceOf(instanceId)).toEqual(ENDED("opted_out"));
    expect(await touchesOf(instanceId)).toEqual([{ status: "cancelled", reason: "opted_out" }]);
  });

  it.each([" gone@example.test ", "Bob <GONE@example.test>", "mailto:gone@example.test", "go\u200bne@example.test"])(
    "concerns the untidy row %j",
    async (email) => {
      await followed({ email });
      await runner.run();
      expect(sentLeads()).toEqual([]);
    },
  );

  it("remains for both addresses if the lead gets another address", async () => {
    const { rows } = await sql.query("update lead set email = 'new@example.test' returning id");
    expect(rows).toHaveLength(1);
    await followed({ email: gone });
    await followed({ email: "new@example.test" });
    await runner.run();
    expect(sentLeads()).toEqual([]);
  });

  it("remains if the lead is deleted", async () => {
    await sql.query("delete from follow_up_instance");
    await sql.query("delete from lead");
    await followed({ email: gone });
    await runner.run();
    expect(sentLeads()).toEqual([]);
  });

  it("is no opt-out in another workspace", async () => {
    const there = await addWorkspace(sql);
    const { id } = await addSequence(sql, there);
    const { leadId } = await addFollowedLead(sql, there, id, { lead: { email: gone } });
    await runner.run();
    expect(sentLeads()).toEqual([leadId]);
  });

  it("ends with the removal of its suppression", async () => {
    await sql.query("update lead set opted_out_at = null");
    const { leadId } = await followed({ email: gone });
    await sql.query("delete from suppression");
    await runner.run();
    expect(sentLeads()).toEqual([leadId]);
  });

  it("does not end if only the lead's own opt-out time is cleared", async () => {
    await sql.query("update lead set opted_out_at = null");
    await followed({ email: gone });
    await runner.run();
    expect(sentLeads()).toEqual([]);
  });
});

it.each([
  ["an address", { email: "Shared@example.test", phone: null }, { email: "shared@example.test", phone: null }],
  ["a number", { email: null, phone: "+49 30 99" }, { email: null, phone: "0049 (30) 99" }],
])(
  "an opt-out that was typed into one of two leads with %s ends all of both by the next run",
  async (_, own, other) => {
    const one = await followed(own);
    const twin = await followed(other);
    const paused = await addInstance(sql, twin.leadId, (await addSequence(sql, workspaceId)).id, { status: "paused" });
    await addTouch(sql, twin.instanceId, chase.steps[0] ?? "", { status: "awaiting_approval" });
    const bystander = await followed();
    await optOutByHand(one.leadId);
    await backstop();
    for (const id of [one.instanceId, twin.instanceId, paused])
      expect(await instanceOf(id)).toEqual(ENDED("opted_out"));
    expect(await touchesOf(twin.instanceId)).toEqual([{ status: "cancelled", reason: "opted_out" }]);
    expect(await instanceOf(bystander.instanceId)).toMatchObject({ status: "active" });
  },
);

describe("a suppression", () => {
  it("for a complaint ends the lead with that reason, and weighs more than an opt-out", async () => {
    const before = await followed({ email: "loud@example.test" });
    await suppress("complained", "loud@example.test");
    await backstop();
    expect(await instanceOf(before.instanceId)).toEqual(ENDED("complained"));
    await optOutByHand(before.leadId);
    const later = await followed({ email: "loud@example.test" });
    expect(await runner.run()).toMatchObject({ results: { completed: 1, reasons: { complained: 1 } } });
    expect(await instanceOf(later.instanceId)).toEqual(ENDED("complained"));
  });

  it("for an address that takes no mail skips the e-mails of the lead, and nothing else", async () => {
    const { id } = await addSequence(sql, workspaceId, {
      steps: [{}, { channel: "sms", subject: null, delay_minutes: 0 }],
    });
    const { instanceId, leadId } = await addFollowedLead(sql, workspaceId, id, {
      lead: { email: "full@example.test" },
    });
    await suppress("undeliverable", "full@example.test");
    expect(await runner.run()).toMatchObject({ results: { skipped: 1, reasons: { undeliverable_address: 1 } } });
    await sql.query("update follow_up_instance set next_step_due = $1 where status = 'active'", [LONG_AGO]);
    await runner.run();
    expect(runner.channel.sent.map((touch) => [touch.leadId, touch.channel])).toEqual([[leadId, "sms"]]);
    expect(await instanceOf(instanceId)).toMatchObject({ status: "completed" });
  });

  it("for an undeliverable address waits while another address is looked up, and ends with it", async () => {
    const { instanceId, leadId } = await followed({ email: "full@example.test", enrichment_status: "pending" });
    await suppress("undeliverable", "full@example.test");
    await runner.run();
    expect(await instanceOf(instanceId)).toMatchObject({ status: "paused", reason: "awaiting_enrichment" });
    await sql.query("update lead set email = 'found@example.test' where id = $1", [leadId]);
    await runner.run();
    expect(sentLeads()).toEqual([leadId]);
  });

  it("for an address that takes no mail cancels a touch that was claimed before", async () => {
    const { instanceId } = await followed({ email: "full@example.test" });
    const { store } = runner.ports;
    const suppressing = {
      ...leftClaimed(store),
      startSending: async (...given: Parameters<typeof store.startSending>) => {
        await suppress("undeliverable", "full@example.test");
        return await store.startSending(...given);
      },
    };
    await runner.run({}, { store: suppressing });
    expect(await touchesOf(instanceId)).toEqual([{ status: "cancelled", reason: "undeliverable_address" }]);
    expect(sentLeads()).toEqual([]);
  });

  it("refuses an enrolment by name", async () => {
    await suppress("complained", "loud@example.test");
    await suppress("opted_out", "gone@example.test");
    await suppress("undeliverable", "full@example.test");
    const outcome = await tell(onPool(sql), "lead.enrolled", {
      workspaceId,
      eventId: "enrolment",
      occurredAt: hoursAgo(1),
      sequence: { id: chase.id },
      leads: ["loud", "gone", "full"].map((name) => ({ email: `${name}@example.test` })),
    });
    expect(outcome).toMatchObject({ started: 1, verdicts: ["complained", "opted_out", "enrolled"] });
  });
});

/** Race that leaves the lead without the flag: the lead's and the suppression's transactions do not see each other. */
async function raced(reason: string) {
  const email = "raced@example.test";
  const application = await openTransaction(sql);
  const leadId = await addLead(application, workspaceId, { email });
  const instanceId = await addInstance(application, leadId, chase.id);
  await suppress(reason, email);
  await application.commit();
  const { rows } = await sql.query("select suppressed_reason, email_undeliverable from lead where id = $1", [leadId]);
  expect(rows).toEqual([{ suppressed_reason: null, email_undeliverable: false }]);
  return { leadId, instanceId };
}

describe("a lead that is written at the same moment as a suppression of its address", () => {
  it.each([
    ["where its touch begins with its claim", false],
    ["where its touch was claimed before", true],
  ])("is not written to, and is over by the next run, %s", async (_, isLeftClaimed) => {
    const { instanceId, leadId } = await raced("opted_out");
    const other = await followed();
    const { store } = runner.ports;
    const report = await runner.run({}, { store: isLeftClaimed ? leftClaimed(store) : store });
    expect(report).toMatchObject({ success: true, results: { claimed: 2, delivery: { sent: 1, cancelled: 1 } } });
    expect(sentLeads()).toEqual([other.leadId]);
    expect(await touchesOf(instanceId)).toEqual([{ status: "cancelled", reason: "opted_out" }]);
    await backstop();
    expect(await instanceOf(instanceId)).toEqual(ENDED("opted_out"));
    const { rows } = await sql.query("select suppressed_reason from lead where id = $1", [leadId]);
    expect(rows).toEqual([{ suppressed_reason: "opted_out" }]);
  });

  it("gets no mail at an undeliverable address, and continues with its next step", async () => {
    const { instanceId } = await raced("undeliverable");
    await runner.run();
    expect(sentLeads()).toEqual([]);
    expect(await touchesOf(instanceId)).toEqual([{ status: "cancelled", reason: "undeliverable_address" }]);
    expect(await instanceOf(instanceId)).toMatchObject({ status: "active" });
  });
});

describe("a touch that went to an address", () => {
  it.each([
    ["with its claim", false],
    ["after its claim", true],
  ])("is stored with the hash of the address if it started %s", async (_, isLeftClaimed) => {
    const { store } = runner.ports;
    await addFollowedLead(sql, workspaceId, chase.id, { lead: { email: "Ada@Example.test" } });
    const text = await addSequence(sql, workspaceId, { steps: [{ channel: "sms", subject: null }] });
    await addFollowedLead(sql, workspaceId, text.id, { lead: { phone: "0049 30 55" } });
    const todo = await addSequence(sql, workspaceId, { steps: [{ channel: "task" }] });
    await addFollowedLead(sql, workspaceId, todo.id);
    await runner.run({}, { store: isLeftClaimed ? leftClaimed(store) : store });
    const { rows } = await sql.query("select channel::text, recipient_hash as hash from touch order by channel");
    expect(rows).toEqual([
      { channel: "email", hash: hashOf("ada@example.test") },
      { channel: "sms", hash: hashOf("+493055") },
      { channel: "task", hash: null },
    ]);
  });

  it("is suppressed by its bounce, even if the lead has another address by then", async () => {
    const { leadId, instanceId } = await followed({ email: "old@example.test" });
    await runner.run();
    await sql.query("update lead set email = 'new@example.test' where id = $1", [leadId]);
    const { rows } = await sql.query("select id from touch where instance_id = $1", [instanceId]);
    await bounced(rows[0].id);
    await bounced(rows[0].id);
    const suppressed = await sql.query("select hash, reason::text, kind::text from suppression");
    expect(suppressed.rows).toEqual([{ hash: hashOf("old@example.test"), reason: "undeliverable", kind: "email" }]);
    const flags = await sql.query("select email_undeliverable from lead where id = $1", [leadId]);
    expect(flags.rows).toEqual([{ email_undeliverable: false }]);
  });

  it("is suppressed by its rejection while another transaction holds a rejected lead of another workspace", async () => {
    const held = await followed({ email: "held@example.test" });
    const neighbour = await addWorkspace(sql);
    const other = await addSequence(sql, neighbour);
    await addFollowedLead(sql, neighbour, other.id, { lead: { email: "full@example.test" } });
    await runner.run();
    const { rows: touches } = await sql.query("select id from touch order by workspace_id = $1", [neighbour]);
    const holder = await openTransaction(sql);
    await holder.query("select from lead where id = $1 for update", [held.leadId]);
    const rejected = touches.map(
      ({ id }) => ({ id, status: "failed", reason: "smtp_550", undeliverable: true }) as const,
    );
    await suppressUndeliverable(onPool(sql), rejected, new Date());
    await holder.rollback();
    const { rows } = await sql.query("select hash from suppression");
    expect(rows).toEqual([{ hash: hashOf("full@example.test", neighbour) }]);
  });

  it("suppresses no address if it was never sent", async () => {
    const { instanceId } = await followed({}, { next_step_due: FAR_AHEAD });
    const touchId = await addTouch(sql, instanceId, chase.steps[0] ?? "");
    await bounced(touchId);
    expect((await sql.query("select from suppression")).rows).toEqual([]);
  });
});

describe("a field that is not exactly one address", () => {
  it.each([
    "one@example.com, two@example.com",
    "three@example.com; four@example.com",
    "five@example.com six@example.com",
    "c@example.com\r\nBcc: d@example.com",
    '"vip@gmail.example x"@internal.example',
    "müller@bücher.example",
    "info@bücher.example",
    "Team: a@example.com, b@example.com;",
  ])("is never sent to: %j", async (email) => {
    const { instanceId } = await followed({ email });
    expect(await runner.run()).toMatchObject({ results: { skipped: 1, reasons: { undeliverable_address: 1 } } });
    expect(runner.channel.sent).toEqual([]);
    expect(await instanceOf(instanceId)).toMatchObject({ status: "active" });
  });

  it("waits while an address is looked up", async () => {
    const { instanceId } = await followed({ email: "one@example.com, two@example.com", enrichment_status: "pending" });
    await runner.run();
    expect(await instanceOf(instanceId)).toMatchObject({ status: "paused", reason: "awaiting_enrichment" });
  });

  it("gets no text message if it holds two numbers", async () => {
    const text = await addSequence(sql, workspaceId, { steps: [{ channel: "sms", subject: null }] });
    await addFollowedLead(sql, workspaceId, text.id, { lead: { phone: "+49 30 55 / +49 30 66" } });
    expect(await runner.run()).toMatchObject({ results: { reasons: { undeliverable_address: 1 } } });
    expect(runner.channel.sent).toEqual([]);
  });

  it.each([" spaced@example.com ", "Bob <bob@example.com>", "info@xn--bcher-kva.example", "fred&sons@example.com"])(
    "but holds one that is written untidily is sent to: %j",
    async (email) => {
      const { leadId } = await followed({ email });
      await runner.run();
      expect(sentLeads()).toEqual([leadId]);
    },
  );
});
