import { beforeEach, describe, expect, it } from "@jest/globals";
import * as z from "zod";
import type { FactOutcome } from "../../lib/run/apply-messages.ts";
import { one as oneRow, onPool } from "../../lib/store/sql.ts";
import {
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  rowsOf,
  type Sequence,
} from "../support/factories.ts";
import { aMeeting, hoursAgo, tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";
import { blockedBy, until } from "../support/transactions.ts";

const { sql, runner } = await useRunner();
let workspaceId: string;
let chase: Sequence;
let prepare: Sequence;
let noShow: Sequence;
let leadId: string;
let instanceId: string;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId, { steps: [{}, {}] });
  prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected", steps: [{ delay_minutes: 0 }] });
  noShow = await addSequence(sql, workspaceId, { trigger_on: "meeting_missed", steps: [{ delay_minutes: 0 }] });
  const started = { started_at: hoursAgo(100) };
  ({ leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { instance: started }));
});

/** Applies a fact, by default about `leadId` and with a new event id. */
const fact = (type: string, detail: Columns = {}): Promise<FactOutcome> =>
  tell(onPool(sql), type, { workspaceId, lead: { id: leadId }, ...detail });

async function one(query: string, ...values: unknown[]): Promise<Record<string, unknown>> {
  const { rows } = await sql.query(query, values);
  return rows[0] as Record<string, unknown>;
}

const theLead = () => one("select status::text, is_booked, missed_at from lead where id = $1", leadId);

const instancesOf = async (sequence: Sequence) => {
  const { rows } = await sql.query(
    `select status::text, generation, completed_reason as reason from follow_up_instance
      where lead_id = $1 and sequence_id = $2 order by id`,
    [leadId, sequence.id],
  );
  return rows;
};

const sentOf = async (sequence: Sequence): Promise<number> => {
  const { count } = await one(
    `select count(*)::int from touch join follow_up_instance as instance on instance.id = instance_id
      where touch.lead_id = $1 and sequence_id = $2 and touch.status = 'sent'`,
    leadId,
    sequence.id,
  );
  return Number(count);
};

const runHere = () => runner.run({ workspaceId });

/** Moves the last touch two days back, because each channel reaches a lead once per local day. */
const aDayPasses = () =>
  sql.query(
    `update lead set last_email_at = last_email_at - interval '2 days',
            last_outbound_at = last_outbound_at - interval '2 days' where id = $1`,
    [leadId],
  );

describe("a booked meeting", () => {
  it("ends the chasing sequences and starts the post-booking sequences in one transaction", async () => {
    const touchId = await addTouch(sql, instanceId, chase.steps[0] ?? "");
    const outcome = await fact("meeting.booked", { meeting: aMeeting("one") });
    expect(outcome).toEqual({ outcome: "applied", ended: 1, cancelledTouches: 1, started: 1 });
    expect(await instancesOf(chase)).toEqual([{ status: "completed", generation: 1, reason: "meeting_booked" }]);
    expect(await instancesOf(prepare)).toEqual([{ status: "active", generation: 1, reason: null }]);
    expect(await theLead()).toMatchObject({ status: "meeting-booked", is_booked: true });
    expect(await one("select status::text, reason from touch where id = $1", touchId)).toEqual({
      status: "cancelled",
      reason: "meeting_booked",
    });
    const { kind } = await one("select kind from notification_event where lead_id = $1", leadId);
    expect(kind).toBe("meeting_booked");
  });

  it("leaves the backstop nothing to complete", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one") });
    expect((await runHere()).backstop).toMatchObject({ completedCount: 0 });
    expect([await sentOf(chase), await sentOf(prepare)]).toEqual([0, 1]);
  });

  it("negative control: without the booking, the chase continues", async () => {
    await runHere();
    expect(await sentOf(chase)).toBe(1);
  });

  it("when booked again makes the post-booking sequences send again", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(9) });
    await runHere();
    await fact("meeting.cancelled", { meeting: aMeeting("one"), occurredAt: hoursAgo(8) });
    await fact("meeting.booked", { meeting: aMeeting("two"), occurredAt: hoursAgo(7) });
    expect(await instancesOf(prepare)).toEqual([{ status: "active", generation: 2, reason: null }]);
    await aDayPasses();
    await runHere();
    expect(await sentOf(prepare)).toBe(2);
  });

  it("that is rescheduled does not send them again", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(9) });
    await runHere();
    await fact("meeting.rescheduled", { meeting: aMeeting("two", 5), replaces: "one", occurredAt: hoursAgo(8) });
    expect(await instancesOf(prepare)).toEqual([{ status: "completed", generation: 1, reason: "out_of_steps" }]);
    expect(await theLead()).toMatchObject({ status: "meeting-booked", is_booked: true });
  });

  it("remains booked for any status that another system writes later", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one") });
    await sql.query("update lead set status = 'qualified' where id = $1", [leadId]);
    expect(await theLead()).toMatchObject({ status: "qualified", is_booked: true });
    await expect(addInstance(sql, leadId, chase.id, { lead_booked: false })).rejects.toThrow("foreign key");
  });

  it("does not take a lead off the blacklist", async () => {
    await sql.query("update lead set status = 'blacklisted' where id = $1", [leadId]);
    expect(await fact("meeting.booked", { meeting: aMeeting("one") })).toMatchObject({ started: 0 });
    expect(await theLead()).toMatchObject({ status: "blacklisted", is_booked: true });
  });

  it("of a lead that was not interested starts the post-booking sequences, and their steps go out", async () => {
    await sql.query("update lead set status = 'not-interested' where id = $1", [leadId]);
    expect(await fact("meeting.booked", { meeting: aMeeting("one") })).toMatchObject({ started: 1 });
    await runHere();
    expect(await sentOf(prepare)).toBe(1);
  });

  it.each(["blacklisted", "unqualified"])("starts nothing for a lead that is %s", async (status) => {
    await sql.query("update lead set status = $2::lead_status where id = $1", [leadId, status]);
    expect(await fact("meeting.booked", { meeting: aMeeting("one") })).toMatchObject({ started: 0 });
    expect(await instancesOf(prepare)).toEqual([]);
  });

  it("starts nothing for a lead that was not interested and has opted out", async () => {
    await sql.query("update lead set status = 'not-interested', opted_out_at = now() where id = $1", [leadId]);
    expect(await fact("meeting.booked", { meeting: aMeeting("one") })).toMatchObject({ started: 0 });
  });
});

describe("a meeting that replaces another", () => {
  const appointments = async () =>
    (
      await sql.query(
        "select external_id as id, status::text from appointment where workspace_id = $1 order by external_id",
        [workspaceId],
      )
    ).rows;

  beforeEach(() => fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(9) }));

  it("leaves the lead booked only by the new one", async () => {
    await fact("meeting.rescheduled", { meeting: aMeeting("two", 5), replaces: "one" });
    expect(await appointments()).toEqual([
      { id: "one", status: "cancelled" },
      { id: "two", status: "confirmed" },
    ]);
    expect(await theLead()).toMatchObject({ is_booked: true });
  });
});

describe("a cancelled meeting", () => {
  it("takes the lead out of meeting-booked, ends its post-booking sequences, and restarts nothing", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(9) });
    expect(await fact("meeting.cancelled", { meeting: aMeeting("one") })).toMatchObject({ ended: 1, started: 0 });
    expect(await theLead()).toMatchObject({ status: "qualified", is_booked: false });
    expect(await instancesOf(prepare)).toEqual([{ status: "cancelled", generation: 1, reason: "meeting_cancelled" }]);
    await runHere();
    expect(await instancesOf(chase)).toEqual([{ status: "completed", generation: 1, reason: "meeting_booked" }]);
    expect([await sentOf(chase), await sentOf(prepare), await sentOf(noShow)]).toEqual([0, 0, 0]);
  });

  it("leaves the lead booked if it has another meeting", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(9) });
    await fact("meeting.booked", { meeting: aMeeting("two"), occurredAt: hoursAgo(8) });
    await fact("meeting.cancelled", { meeting: aMeeting("one") });
    expect(await theLead()).toMatchObject({ status: "meeting-booked", is_booked: true });
  });
});

describe("a last step that still waits to be sent, of a sequence that is complete", () => {
  const complete = async (sequence: Sequence) => {
    const { rows } = await sql.query<{ id: string }>(
      "select id from follow_up_instance where lead_id = $1 and sequence_id = $2",
      [leadId, sequence.id],
    );
    const id = rows[0]?.id ?? "";
    await sql.query(
      `update follow_up_instance set status = 'completed', completed_at = now(), completed_reason = 'out_of_steps',
              next_step_due = null where id = $1`,
      [id],
    );
    return await addTouch(sql, id, sequence.steps[0] ?? "");
  };
  const reasonOf = async (touchId: string) =>
    (await one("select status || ' ' || reason as reason from touch where id = $1", touchId))["reason"];

  it("is stopped by a booking, even if the booking is cancelled before the next run", async () => {
    const touchId = await complete(chase);
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(2) });
    await fact("meeting.cancelled", { meeting: aMeeting("one") });
    expect(await reasonOf(touchId)).toBe("cancelled meeting_booked");
  });

  it("is stopped by a cancellation if it prepared the meeting", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(2) });
    const touchId = await complete(prepare);
    await fact("meeting.cancelled", { meeting: aMeeting("one") });
    expect(await reasonOf(touchId)).toBe("cancelled meeting_cancelled");
  });
});

describe("a missed meeting", () => {
  beforeEach(() => fact("meeting.booked", { meeting: aMeeting("one", -1), occurredAt: hoursAgo(90) }));

  it("starts the sequences for it, and no other", async () => {
    expect(await fact("meeting.missed", { meeting: aMeeting("one", -1) })).toMatchObject({ started: 1 });
    expect(await theLead()).toMatchObject({ status: "qualified", is_booked: false });
    await runHere();
    expect([await sentOf(chase), await sentOf(noShow)]).toEqual([0, 1]);
  });

  it("does not start them twice for one meeting", async () => {
    await fact("meeting.missed", { meeting: aMeeting("one", -1), occurredAt: hoursAgo(3) });
    await fact("meeting.missed", { meeting: aMeeting("one", -1), occurredAt: hoursAgo(2) });
    expect(await instancesOf(noShow)).toEqual([{ status: "active", generation: 1, reason: null }]);
  });

  it.each([
    ["became", "qualified", "meeting-booked", 0],
    ["stayed", "meeting-booked", "meeting-booked", 1],
  ])("is over when the status %s meeting-booked, but not while it only stays so", async (_, was, becomes, sent) => {
    await fact("meeting.missed", { meeting: aMeeting("one", -1) });
    await sql.query("update lead set status = $2::lead_status, missed_at = now() where id = $1", [leadId, was]);
    await sql.query("update lead set status = $2::lead_status where id = $1", [leadId, becomes]);
    await runHere();
    expect(await theLead()).toMatchObject({ status: "meeting-booked", is_booked: sent === 0 });
    expect(await sentOf(noShow)).toBe(sent);
    const ended = { status: "completed", generation: 1, reason: "meeting_booked" };
    if (sent === 0) expect(await instancesOf(noShow)).toEqual([ended]);
  });

  it("ends when another meeting is booked, by a fact or a direct write", async () => {
    await fact("meeting.missed", { meeting: aMeeting("one", -1) });
    await sql.query(
      `insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, last_event_at)
       values ($1, $2, 'by hand', 'confirmed', now() + interval '1 day', now() + interval '2 days', now())`,
      [workspaceId, leadId],
    );
    await runHere();
    expect(await theLead()).toMatchObject({ is_booked: true, missed_at: null });
    expect(await instancesOf(noShow)).toEqual([{ status: "completed", generation: 1, reason: "meeting_booked" }]);
  });

  it("starts nothing if the lead has another meeting ahead", async () => {
    await fact("meeting.booked", { meeting: aMeeting("two"), occurredAt: hoursAgo(2) });
    expect(await fact("meeting.missed", { meeting: aMeeting("one", -1) })).toMatchObject({ started: 0 });
    expect(await theLead()).toMatchObject({ status: "meeting-booked", is_booked: true });
  });
});

describe("a reply, a snooze, an opt-out", () => {
  it("a reply blocks the next step, and appears in the next digest", async () => {
    await fact("lead.replied");
    await runHere();
    expect(await sentOf(chase)).toBe(0);
    expect(await one("select paused_reason::text from follow_up_instance where id = $1", instanceId)).toEqual({
      paused_reason: "lead_replied",
    });
    expect(await one("select kind from notification_event where lead_id = $1", leadId)).toEqual({
      kind: "lead_replied",
    });
  });

  it("a snooze lasts as the latest one says, in any order of arrival", async () => {
    await fact("lead.snoozed", { until: FAR_AHEAD.toISOString(), occurredAt: hoursAgo(2) });
    expect(await fact("lead.snoozed", { until: null, occurredAt: hoursAgo(3) })).toMatchObject({ outcome: "stale" });
    await runHere();
    expect(await sentOf(chase)).toBe(0);
    await fact("lead.snoozed", { until: null, occurredAt: hoursAgo(1) });
    await runHere();
    await runHere();
    expect(await sentOf(chase)).toBe(1);
  });

  it("an opt-out ends everything at once, of every lead with that address", async () => {
    await sql.query("update lead set email = 'Shared@Example.test' where id = $1", [leadId]);
    const twin = await addFollowedLead(sql, workspaceId, chase.id, { lead: { email: "shared@example.TEST" } });
    const outcome = await fact("lead.opted_out", { lead: { email: "shared@example.test" } });
    expect(outcome).toMatchObject({ outcome: "applied", ended: 2 });
    expect(await instancesOf(chase)).toEqual([{ status: "completed", generation: 1, reason: "opted_out" }]);
    expect(await one("select opted_out_at is not null as out from lead where id = $1", twin.leadId)).toEqual({
      out: true,
    });
  });

  it("of a lead that is not known yet holds when it is enrolled", async () => {
    await fact("lead.opted_out", { lead: { email: "early@example.test" } });
    const enrolled = await fact("lead.enrolled", enrolment({ email: "Early@example.test" }));
    expect(enrolled).toMatchObject({ verdicts: ["opted_out"] });
  });
});

const enrolment = (...leads: unknown[]): Columns => ({ lead: undefined, sequence: { id: chase.id }, leads });

describe("a lead whose id from another system has no valid UUID version", () => {
  it("opts out and is enrolled like any other", async () => {
    const id = "22222222-2222-2222-2222-222222222222";
    const email = "other-made@example.test";
    const followed = await addFollowedLead(sql, workspaceId, chase.id, { lead: { id, email } });
    expect(await fact("lead.enrolled", enrolment({ email }))).toMatchObject({ verdicts: ["already_enrolled"] });
    expect(await fact("lead.opted_out", { lead: { email } })).toMatchObject({ outcome: "applied", ended: 1 });
    expect(await one("select status::text from follow_up_instance where id = $1", followed.instanceId)).toEqual({
      status: "completed",
    });
  });
});

describe("an opt-out of an address", () => {
  const address = "gone@example.test";
  const enrolled = (...leads: unknown[]) => fact("lead.enrolled", enrolment(...leads));
  const isOut = async (externalId: string) =>
    (
      await one(
        `select opted_out_at is not null or suppressed_reason is not null as out
           from lead where workspace_id = $1 and external_id = $2`,
        workspaceId,
        externalId,
      )
    )["out"];

  beforeEach(async () => {
    await addLead(sql, workspaceId, { external_id: "first", email: address });
    await fact("lead.opted_out", { lead: { externalId: "first" } });
    await sql.query("update lead set email = 'other@example.test', external_id = 'known' where id = $1", [leadId]);
  });

  it("holds for a lead that is made afterwards under another external id", async () => {
    const outcome = await enrolled({ externalId: "second", email: "Gone@Example.test" });
    expect(outcome).toMatchObject({ outcome: "applied", started: 0, verdicts: ["opted_out"] });
    expect(await isOut("second")).toBe(true);
  });

  it("applies to a lead that gets the address afterwards, and ends its sequences", async () => {
    const touchId = await addTouch(sql, instanceId, chase.steps[0] ?? "");
    const outcome = await enrolled({ externalId: "known", email: address });
    expect(outcome).toMatchObject({ ended: 1, cancelledTouches: 1, started: 0, verdicts: ["opted_out"] });
    expect(await instancesOf(chase)).toEqual([{ status: "completed", generation: 1, reason: "opted_out" }]);
    expect(await one("select status::text, reason from touch where id = $1", touchId)).toEqual({
      status: "cancelled",
      reason: "opted_out",
    });
  });

  it("holds for a lead that had the address before, though another was named", async () => {
    await addLead(sql, workspaceId, { external_id: "late", email: "late@example.test" });
    await sql.query("update lead set email = 'LATE@example.test' where id = $1", [leadId]);
    const outcome = await fact("lead.opted_out", { lead: { externalId: "late" }, occurredAt: hoursAgo(2) });
    expect(outcome).toMatchObject({ outcome: "applied", ended: 1 });
    expect(await isOut("known")).toBe(true);
  });

  it("is no other address's, and no other workspace's", async () => {
    const there = await addWorkspace(sql);
    await addLead(sql, there, { external_id: "gone", email: "here@example.test", opted_out_at: hoursAgo(1) });
    const outcome = await enrolled(
      { externalId: "known" },
      { externalId: "fresh", email: "here@example.test" },
      { externalId: "nowhere" },
    );
    expect(outcome).toMatchObject({ ended: 0, started: 2, verdicts: ["already_enrolled", "enrolled", "enrolled"] });
    expect([await isOut("known"), await isOut("fresh"), await isOut("nowhere")]).toEqual([false, false, false]);
  });
});

describe("an enrolment", () => {
  it("returns an outcome per lead, and starts the permitted ones", async () => {
    await sql.query("update lead set external_id = 'known' where id = $1", [leadId]);
    await addLead(sql, workspaceId, { external_id: "booked", status: "meeting-booked" });
    await addLead(sql, workspaceId, { external_id: "gone", email: null, opted_out_at: hoursAgo(1) });
    await addLead(sql, workspaceId, { external_id: "bad", status: "blacklisted" });
    const outcome = await fact(
      "lead.enrolled",
      enrolment(
        { externalId: "new", email: "new@example.test", firstName: "Nia", timeZone: "Asia/Tokyo" },
        { externalId: "known", company: "Harbour" },
        { externalId: "booked" },
        { externalId: "gone" },
        { externalId: "bad" },
        { email: "not an address" },
        { externalId: "new" },
        { firstName: "Nobody" },
        { externalId: "x", nickname: "y" },
        { externalId: "moon", timeZone: "Mars/Olympus" },
        { externalId: "known", company: "", firstName: null, phone: " " },
        { externalId: "sparse", email: "", firstName: null, timeZone: "" },
      ),
    );
    const verdicts = [
      "enrolled",
      "already_enrolled",
      "booked",
      "opted_out",
      "invalid: the lead is blacklisted",
      "invalid: email: must be exactly one e-mail address",
      "invalid: repeats the lead at index 0",
      "invalid: must have an externalId or an email",
      'invalid: unknown key "nickname"',
      "invalid: timeZone: is not a time zone; expected a name such as Europe/Berlin",
      "invalid: repeats the lead at index 1",
      "enrolled",
    ];
    expect(outcome).toMatchObject({ outcome: "applied", started: 2, verdicts });
    const added = await one("select first_name, email, time_zone from lead where external_id = 'new'");
    expect(added).toEqual({ first_name: "Nia", email: "new@example.test", time_zone: "Asia/Tokyo" });
    expect(await one("select company, first_name from lead where id = $1", leadId)).toEqual({
      company: "Harbour",
      first_name: "Ada",
    });
  });

  it("with `restart` starts a new generation for leads already in the sequence, and its steps go out again", async () => {
    await sql.query("update lead set external_id = 'again' where id = $1", [leadId]);
    await runHere();
    await fact("lead.enrolled", { ...enrolment({ externalId: "again" }), restart: true });
    expect(await instancesOf(chase)).toEqual([{ status: "active", generation: 2, reason: null }]);
    await sql.query("update follow_up_instance set next_step_due = now() where id = $1", [instanceId]);
    await aDayPasses();
    await runHere();
    expect(await sentOf(chase)).toBe(2);
  });

  it("that arrives late changes no newer detail, and adds unknown details", async () => {
    await sql.query("update lead set external_id = 'told', phone = null where id = $1", [leadId]);
    const told = (hours: number, lead: object) =>
      fact("lead.enrolled", { ...enrolment({ externalId: "told", ...lead }), occurredAt: hoursAgo(hours) });
    const known = () => one("select email, first_name, company, phone from lead where id = $1", leadId);
    await told(2, { email: "new@example.test", firstName: "Augusta" });
    await told(3, { email: "old@example.test", firstName: "Ada", company: "Harbour", phone: "+4930123456" });
    const afterwards = { email: "new@example.test", first_name: "Augusta", company: "Harbour", phone: "+4930123456" };
    expect(await known()).toEqual(afterwards);
    await told(1, { firstName: "Ada Augusta" });
    expect(await known()).toEqual({ ...afterwards, first_name: "Ada Augusta" });
  });

  it("of a sender whose clock runs ahead does not block later facts", async () => {
    await sql.query("update lead set external_id = 'ahead' where id = $1", [leadId]);
    const inAMinute = hoursAgo(-1 / 60);
    await fact("lead.enrolled", { ...enrolment({ externalId: "ahead", firstName: "Ada" }), occurredAt: inAMinute });
    await fact("lead.enrolled", {
      ...enrolment({ externalId: "ahead", firstName: "Augusta" }),
      occurredAt: hoursAgo(0),
    });
    expect(await one("select first_name from lead where id = $1", leadId)).toEqual({ first_name: "Augusta" });
  });

  it("that arrives late restarts what started before it, and nothing that started since", async () => {
    await sql.query("update lead set external_id = 'late' where id = $1", [leadId]);
    const again = (hours: number) =>
      fact("lead.enrolled", { ...enrolment({ externalId: "late" }), restart: true, occurredAt: hoursAgo(hours) });
    expect(await again(2)).toMatchObject({ started: 1, verdicts: ["enrolled"] });
    expect(await again(3)).toMatchObject({ started: 0, verdicts: ["already_enrolled"] });
    expect(await instancesOf(chase)).toEqual([{ status: "active", generation: 2, reason: null }]);
    expect(await again(1)).toMatchObject({ started: 1, verdicts: ["enrolled"] });
    expect(await instancesOf(chase)).toEqual([{ status: "active", generation: 3, reason: null }]);
  });

  it("of one moment with another restarts once", async () => {
    const both = { ...enrolment({ externalId: "once" }), restart: true, occurredAt: hoursAgo(2) };
    expect(await fact("lead.enrolled", both)).toMatchObject({ started: 1 });
    expect(await fact("lead.enrolled", both)).toMatchObject({ started: 0, verdicts: ["already_enrolled"] });
  });

  it("takes a thousand at once, each once", async () => {
    const leads = Array.from({ length: 1_000 }, (_, index) => ({ externalId: `lead-${index}`, firstName: "Bo" }));
    const first = await fact("lead.enrolled", enrolment(...leads));
    const second = await fact("lead.enrolled", enrolment(...leads));
    expect([first, second]).toMatchObject([{ started: 1_000 }, { started: 0 }]);
  });

  it("knows a lead by its address and learns its external id, and that two keys mean one lead", async () => {
    await addLead(sql, workspaceId, { email: "one@example.test" });
    await fact("lead.enrolled", enrolment({ externalId: "crm-1", email: "ONE@example.test" }));
    const again = await fact("lead.enrolled", {
      ...enrolment({ externalId: "crm-1" }, { email: "one@example.test" }),
      restart: true,
    });
    expect(again).toMatchObject({ verdicts: ["enrolled", "invalid: repeats another lead of this event"] });
  });

  it.each([
    ["no lead has yet", false],
    ["a lead without an external id has", true],
  ])(
    "takes two external ids with one address for two people, as two events would: an address that %s",
    async (_, isKnown) => {
      const email = "office@example.test";
      if (isKnown) await addLead(sql, workspaceId, { email, external_id: null });
      const outcome = await fact(
        "lead.enrolled",
        enrolment({ externalId: "ada", email }, { externalId: "bob", email }),
      );
      expect(outcome).toMatchObject({ started: 2, verdicts: ["enrolled", "enrolled"] });
      const { rows } = await sql.query(
        "select external_id as id from lead where workspace_id = $1 and email = $2 order by external_id",
        [workspaceId, email],
      );
      expect(rows).toEqual([{ id: "ada" }, { id: "bob" }]);
    },
  );

  it.each([
    ["before", [{ email: "Office@example.test" }, { externalId: "ada", email: "office@example.test" }]],
    ["after", [{ externalId: "ada", email: "office@example.test" }, { email: "Office@example.test" }]],
  ])("matches an address alone to the lead that has it, %s the other", async (_, leads) => {
    const third = { externalId: "bob", email: "other@example.test" };
    expect(await fact("lead.enrolled", enrolment(...leads, third))).toMatchObject({
      started: 2,
      verdicts: ["enrolled", "invalid: repeats the lead at index 0", "enrolled"],
    });
  });

  it("loses no other lead to a LinkedIn address that the database cannot store", async () => {
    const outcome = await fact(
      "lead.enrolled",
      enrolment(
        ...["\u0000", "\u0007", "\ud800"].map((character, index) => ({
          externalId: `linked-${index}`,
          linkedinUrl: `https://linkedin.test/in/${character}ada`,
        })),
        { externalId: "linked-3", linkedinUrl: "https://linkedin.test/in/\u00e4da" },
      ),
    );
    const verdicts = [
      "invalid: linkedinUrl: must not contain control characters",
      "invalid: linkedinUrl: must not contain control characters",
      "invalid: linkedinUrl: must be well-formed Unicode",
      "enrolled",
    ];
    expect(outcome).toMatchObject({ outcome: "applied", started: 1, verdicts });
  });

  it("into a sequence that the workspace does not have is refused", async () => {
    const foreign = await addSequence(sql, await addWorkspace(sql));
    const outcome = await fact("lead.enrolled", { ...enrolment({ externalId: "a" }), sequence: { id: foreign.id } });
    expect(outcome).toMatchObject({ outcome: "refused", reason: expect.stringContaining("no such sequence") });
  });
});

describe("a lead with a time of infinity", () => {
  const infinite = (column: string, value: string) =>
    sql.query(`update lead set ${column} = $2, external_id = 'endless' where id = $1`, [leadId, value]);

  it.each(["infinity", "-infinity"])("does not block a fact: missed_at %s", async (value) => {
    await fact("meeting.cancelled", { meeting: aMeeting("one"), occurredAt: hoursAgo(2) });
    await infinite("missed_at", value);
    for (const type of ["lead.replied", "lead.opted_out"]) {
      expect(await fact(type)).toMatchObject({ outcome: "applied" });
    }
    const late = await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
    expect(late).toMatchObject({ outcome: "stale" });
    expect(await one("select missed_at::text from lead where id = $1", leadId)).toEqual({ missed_at: value });
  });

  it("has opted out, if it is that time", async () => {
    await infinite("opted_out_at", "infinity");
    expect(await fact("lead.enrolled", { ...enrolment({ externalId: "endless" }), restart: true })).toMatchObject({
      started: 0,
      verdicts: ["opted_out"],
    });
    expect(await fact("meeting.booked", { meeting: aMeeting("one") })).toMatchObject({ started: 0 });
  });

  it("can still book a meeting without an end", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(2) });
    await sql.query("update appointment set ends_at = 'infinity' where lead_id = $1", [leadId]);
    expect(await theLead()).toMatchObject({ is_booked: true });
    expect(await fact("meeting.cancelled", { meeting: aMeeting("one") })).toMatchObject({ outcome: "applied" });
    expect(await theLead()).toMatchObject({ status: "qualified", is_booked: false });
  });
});

describe("a touch that waits for approval", () => {
  let touchId: string;
  const waiting = { lead: undefined, by: "hana" };
  const statusOf = () => one("select status::text, decided_by from touch where id = $1", touchId);

  beforeEach(async () => {
    await sql.query("update follow_up_step set needs_approval = true where id = $1", [chase.steps[0]]);
    await runHere();
    ({ id: touchId } = (await one("select id from touch where instance_id = $1", instanceId)) as { id: string });
  });

  it("goes out if it is approved with the fingerprint that was shown, and not with another", async () => {
    const { fingerprint } = await one("select fingerprint from touch where id = $1", touchId);
    const other = await fact("touch.approved", { ...waiting, touchId, fingerprint: "0".repeat(64) });
    expect(other).toEqual({ outcome: "refused", reason: "touchId: text_changed" });
    expect(await fact("touch.approved", { ...waiting, touchId, fingerprint })).toMatchObject({ outcome: "applied" });
    await runHere();
    expect(await statusOf()).toEqual({ status: "sent", decided_by: "hana" });
  });

  it("never goes out after a rejection", async () => {
    const rejected = { ...waiting, touchId, reason: "Too pushy", eventId: "rejected" };
    expect(await fact("touch.rejected", rejected)).toMatchObject({ outcome: "applied" });
    expect(await fact("touch.rejected", rejected)).toEqual({ outcome: "duplicate" });
    await runHere();
    expect(await statusOf()).toEqual({ status: "rejected", decided_by: "hana" });
  });
});

describe("facts applied at the same time", () => {
  it.each([
    ["wait for each other in one workspace, even if its id is in capitals", (id: string) => id.toUpperCase(), "waits"],
    ["do not wait for those of another workspace", () => addWorkspace(sql), "applied"],
  ])("%s", async (_, otherOf, expected) => {
    const other = await otherOf(workspaceId);
    const reply = { workspaceId: other, eventId: "other", occurredAt: hoursAgo(1), lead: { email: "b@example.test" } };
    let state = "pending";
    let second: Promise<unknown> = Promise.resolve();
    await onPool(sql).transaction(async (transaction) => {
      const { pid } = await oneRow(transaction, z.object({ pid: z.number() }))`select pg_backend_pid() as pid`;
      const first = { eventId: "first", occurredAt: hoursAgo(1), lead: { email: "a@example.test" } };
      await tell({ ...transaction, transaction: (work) => work(transaction) }, "lead.replied", {
        ...first,
        workspaceId,
      });
      second = tell(onPool(sql), "lead.replied", reply).then(() => {
        state = "applied";
      });
      const seen = await until("the second fact is applied or waits", async () => {
        if ((await blockedBy(sql, pid)) !== undefined) return "waits";
        return state === "applied" ? state : undefined;
      });
      expect(seen).toBe(expected);
    });
    await second;
    expect(state).toBe("applied");
  });
});

describe("a refused fact", () => {
  it("changes nothing and can be sent again", async () => {
    const before = await rowsOf(sql, workspaceId);
    const stranger = await addLead(sql, await addWorkspace(sql));
    const detail = { meeting: aMeeting("one"), lead: { id: stranger }, eventId: "twice" };
    for (let time = 0; time < 2; time++) {
      expect(await fact("meeting.booked", detail)).toMatchObject({ outcome: "refused" });
    }
    expect(await rowsOf(sql, workspaceId)).toEqual(before);
    expect(await fact("meeting.booked", { ...detail, lead: { id: leadId } })).toMatchObject({ outcome: "applied" });
  });

  it("names an unknown workspace, or a future time for a fact that may start a sequence", async () => {
    const nowhere = { workspaceId: "0190f0f0-0000-7000-8000-000000000001" };
    expect(await fact("lead.replied", nowhere)).toMatchObject({ reason: expect.stringContaining("no workspace") });
    expect(await fact("lead.snoozed", { until: null, occurredAt: hoursAgo(-1) })).toEqual({
      outcome: "refused",
      reason: "occurredAt: is in the future",
    });
  });
});
