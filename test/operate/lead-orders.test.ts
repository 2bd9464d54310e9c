import { describe, expect, it } from "@jest/globals";
import { bookLead, unbookLead } from "../../lib/operate/book-lead.ts";
import { enrolLead } from "../../lib/operate/enrol-lead.ts";
import type { Order } from "../../lib/operate/operation.ts";
import { optInLead, optOutLead } from "../../lib/operate/opt-out-lead.ts";
import { recheckLead } from "../../lib/operate/recheck-lead.ts";
import { reopen } from "../../lib/operate/reopen.ts";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { snoozeLead } from "../../lib/operate/snooze-lead.ts";
import { resumeLead, stopLead } from "../../lib/operate/stop-lead.ts";
import { reopenInstance } from "../../lib/store/reopen.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addAppointment,
  addBystanders,
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  rowsOf,
} from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { operatorOn } from "../support/orders.ts";
import { clockAt, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });

const { give } = operatorOn(sql);

const later = { next_step_due: FAR_AHEAD };

async function aChasedLead(lead: Columns = {}, instance: Columns = later) {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [{}, {}] });
  return { workspaceId, chase, ...(await addFollowedLead(sql, workspaceId, chase.id, { lead, instance })) };
}

const leadRow = async (id: string): Promise<Columns> =>
  (await sql.query<Columns>("select * from lead where id = $1", [id])).rows[0] ?? {};
const instances = async (leadId: string): Promise<Columns[]> =>
  (await sql.query<Columns>("select * from follow_up_instance where lead_id = $1 order by id", [leadId])).rows;

describe("leads stop", () => {
  it("ends all sequences, cancels what is unsent, and switches automation off", async () => {
    const { workspaceId, chase, leadId, instanceId } = await aChasedLead();
    const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
    await addInstance(sql, leadId, prepare.id, later);
    await addTouch(sql, instanceId, chase.steps[0] ?? "");
    await addTouch(sql, instanceId, chase.steps[1] ?? "", { status: "sending" });
    expect(await give(stopLead, { lead: leadId })).toEqual({ workspaceId, ended: 2, cancelledTouches: 1, sending: 1 });
    const ended = { status: "cancelled", completed_reason: "stopped" };
    expect(await instances(leadId)).toMatchObject([ended, ended]);
    expect(await leadRow(leadId)).toMatchObject({ automation_enabled: false });
  });

  it("ends one sequence only if it is named, and the others go on", async () => {
    const { workspaceId, leadId } = await aChasedLead();
    const other = await addSequence(sql, workspaceId, { name: "Other" });
    await addInstance(sql, leadId, other.id, later);
    expect(await give(stopLead, { lead: leadId, sequence: "Chase" })).toMatchObject({ ended: 1 });
    expect((await instances(leadId)).map(({ status }) => status)).toEqual(["cancelled", "active"]);
    expect(await leadRow(leadId)).toMatchObject({ automation_enabled: true });
    await expect(give(stopLead, { lead: leadId, sequence: "Chess" })).rejects.toThrow(/Chase/);
  });
});

it("a stopped sequence goes on where it was stopped if it is reopened, once automation is on", async () => {
  const { chase, leadId, instanceId } = await aChasedLead({}, { next_step_due: FAR_AHEAD, position: 2 });
  await addTouch(sql, instanceId, chase.steps[0] ?? "");
  await give(stopLead, { lead: leadId });
  const reopening = { instanceId, reason: "stopped by mistake", by: "Hana", at: new Date() };
  expect(await reopenInstance(onPool(sql), reopening)).toMatchObject({ outcome: "reopened", position: 1 });
  await runner.run({}, clockAt("2099-01-01T00:00:00Z"));
  expect(runner.channel.sent).toEqual([]);
  await give(resumeLead, { lead: leadId });
  await runner.run({}, clockAt("2099-01-01T01:00:00Z"));
  expect(runner.channel.sent).toHaveLength(1);
});

describe("leads enrol", () => {
  it("starts the sequence for the named lead, and not for another with its address", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId, { name: "Chase" });
    const same = { email: "two@example.test", phone: null };
    const [first, second] = [await addLead(sql, workspaceId, same), await addLead(sql, workspaceId, same)];
    const enrolled = { workspaceId, sequence: "Chase", automationEnabled: true };
    expect(await give(enrolLead, { lead: second, sequence: chase.id })).toEqual(enrolled);
    expect([await instances(first), await instances(second)]).toMatchObject([[], [{ status: "active", position: 1 }]]);
  });

  it("refuses with the verdict, restarts only on request, and says that automation is off", async () => {
    const { workspaceId, leadId } = await aChasedLead({ automation_enabled: false });
    const again = { lead: leadId, sequence: "Chase" };
    await expect(give(enrolLead, again)).rejects.toThrow("already_enrolled");
    expect(await give(enrolLead, { ...again, restart: true })).toMatchObject({ automationEnabled: false });
    expect(await instances(leadId)).toMatchObject([{ generation: 2 }]);
    const booked = await addLead(sql, workspaceId, { status: "meeting-booked" });
    await expect(give(enrolLead, { ...again, lead: booked })).rejects.toThrow("booked: ");
    const barred = await addLead(sql, workspaceId, { status: "unqualified" });
    await expect(give(enrolLead, { ...again, lead: barred })).rejects.toThrow("invalid: the lead is unqualified");
    await give(optOutLead, { lead: leadId });
    await expect(give(enrolLead, { ...again, restart: true })).rejects.toThrow("opted_out");
  });
});

describe("leads resume", () => {
  it("lets the next run send what automation had paused, and what a person had paused by hand", async () => {
    const { workspaceId, leadId } = await aChasedLead({ automation_enabled: false }, {});
    const other = await addSequence(sql, workspaceId);
    await addInstance(sql, leadId, other.id, { status: "paused", paused_reason: "manual" });
    await runner.run();
    expect((await instances(leadId)).map(({ paused_reason }) => paused_reason)).toEqual(["manual", "manual"]);
    expect(await give(resumeLead, { lead: leadId })).toEqual({ workspaceId, switchedOn: true, resuming: 2 });
    await runner.run();
    expect((await instances(leadId)).map(({ paused_reason }) => paused_reason)).toEqual([null, null]);
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("reopens nothing that was stopped", async () => {
    const { workspaceId, leadId } = await aChasedLead({}, {});
    await give(stopLead, { lead: leadId });
    expect(await give(resumeLead, { lead: leadId })).toEqual({ workspaceId, switchedOn: true, resuming: 0 });
    await runner.run();
    expect(runner.channel.sent).toEqual([]);
  });
});

describe("leads snooze", () => {
  it("pauses until the day starts where the lead is, also across a change of the clock", async () => {
    const { leadId } = await aChasedLead({ time_zone: "America/Santiago" }, {});
    const { until, zone } = await give(snoozeLead, { lead: leadId, length: { kind: "until", date: "2027-09-05" } });
    // On that day the clock in Chile jumps over midnight, so the day starts at 01:00.
    expect({ until, zone }).toEqual({ until: "2027-09-05T04:00:00.000Z", zone: "America/Santiago" });
    await runner.run();
    expect(await instances(leadId)).toMatchObject([{ paused_reason: "lead_snoozed" }]);
    expect(runner.channel.sent).toEqual([]);
    await runner.run({}, clockAt("2027-09-05T04:00:01Z"));
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("counts days from now, ends a snooze, and refuses a day that is not ahead", async () => {
    const { leadId } = await aChasedLead();
    const { until } = await give(snoozeLead, { lead: leadId, length: { kind: "days", days: 3 } });
    expect(Math.round((Date.parse(until ?? "") - Date.now()) / 3_600_000)).toBe(72);
    expect(await give(snoozeLead, { lead: leadId, length: { kind: "end" } })).toMatchObject({ until: null });
    expect(await leadRow(leadId)).toMatchObject({ snoozed_until: null });
    const past = give(snoozeLead, { lead: leadId, length: { kind: "until", date: "2020-01-01" } });
    await expect(past).rejects.toThrow("invalid_input: the date 2020-01-01 must be ahead");
  });
});

describe("leads opt-out and opt-in", () => {
  it("has the effects of the fact: every lead with the address ends", async () => {
    const { workspaceId, chase, leadId } = await aChasedLead({ email: "two@example.test" });
    const twin = await addFollowedLead(sql, workspaceId, chase.id, {
      lead: { email: "TWO@example.test" },
      instance: later,
    });
    expect(await give(optOutLead, { lead: leadId })).toEqual({ workspaceId, ended: 2, cancelledTouches: 0 });
    expect(await instances(twin.leadId)).toMatchObject([{ status: "completed", completed_reason: "opted_out" }]);
  });

  it("undoes it, so that the lead can be enrolled again and a later change does not suppress it once more", async () => {
    const { workspaceId, leadId } = await aChasedLead({ email: "two@example.test", phone: "+4930111222" });
    const other = await addLead(sql, workspaceId, { email: "own@example.test", phone: "+4930111222" });
    await give(optOutLead, { lead: leadId });
    await give(optOutLead, { lead: other });
    const { lifted, leads, barredBy } = await give(optInLead, { lead: leadId });
    expect(lifted.map(({ kind }) => kind).sort()).toEqual(["email", "phone"]);
    expect({ leads, barredBy }).toEqual({ leads: 2, barredBy: null });
    // The other lead keeps the opt-out of its own address, and does not suppress the shared number again.
    await sql.query("update lead set phone = phone, email = email");
    expect(await leadRow(leadId)).toMatchObject({ opted_out_at: null, suppressed_reason: null });
    expect(await leadRow(other)).toMatchObject({ suppressed_reason: "opted_out" });
    const enrolled = { sequence: { name: "Chase" }, leads: [{ email: "two@example.test" }], restart: true };
    const origin = { workspaceId, eventId: "again", occurredAt: new Date().toISOString() };
    expect(await tell(onPool(sql), "lead.enrolled", { ...origin, ...enrolled })).toMatchObject({
      verdicts: ["enrolled"],
    });
  });

  it("removes a failed delivery and a complaint, in every notation of address and number", async () => {
    const workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
    const leadId = await addLead(sql, workspaceId, { email: "ada@xn--bcher-kva.example", phone: "+4930111222" });
    await sql.query(
      `insert into suppression (workspace_id, hash, reason, kind, source)
       select $1, suppression_hash($1, key), reason::suppression_reason, kind::address_kind, 'test'
         from (values ('030111222', 'opted_out', 'phone'), ('+4930111222', 'undeliverable', 'phone'),
                      ('ada@xn--bcher-kva.example', 'complained', 'email')) as given (key, reason, kind)`,
      [workspaceId],
    );
    expect(await give(optInLead, { lead: leadId })).toMatchObject({ leads: 0, barredBy: null });
    expect(await leadRow(leadId)).toMatchObject({ suppressed_reason: null, phone_undeliverable: false });
    expect((await sql.query("select from suppression")).rowCount).toBe(0);
  });

  it("says what else bars the lead", async () => {
    const { leadId } = await aChasedLead({ status: "blacklisted" });
    expect(await give(optInLead, { lead: leadId })).toMatchObject({ lifted: [], leads: 0, barredBy: "blacklisted" });
  });
});

describe("leads book and unbook", () => {
  const startsAt = "2099-03-02T10:00";
  const booked = { lead: "ada@example.test", startsAt };

  /** A lead in New York, another with its address, and the sequence that starts after a booking. */
  async function twoLeads() {
    const ada = { email: "ada@example.test", time_zone: "America/New_York" };
    const { workspaceId, chase, ...first } = await aChasedLead({ ...ada, external_id: "ada" });
    const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
    const twin = await addFollowedLead(sql, workspaceId, chase.id, { lead: { ...ada, phone: null }, instance: later });
    return { workspaceId, lead: "ada", leadId: first.leadId, twin, prepare };
  }

  it("has the effects of a booking in a calendar: every lead with the address stops, and one is prepared", async () => {
    const { workspaceId, lead, leadId, twin, prepare } = await twoLeads();
    await expect(give(bookLead, booked)).rejects.toThrow("ambiguous: ");
    expect(await give(bookLead, { ...booked, lead, minutes: 45 })).toEqual({
      ...{ workspaceId, startsAt: "2099-03-02T15:00:00.000Z", zone: "America/New_York" },
      ...{ ended: 2, cancelledTouches: 0, started: 1 },
    });
    const live = [...(await instances(leadId)), ...(await instances(twin.leadId))].filter(({ live }) => live);
    expect(live).toMatchObject([{ sequence_id: prepare.id, status: "active" }]);
    const meetings = await sql.query("select distinct status::text, ends_at from appointment");
    expect(meetings.rows).toEqual([{ status: "confirmed", ends_at: new Date("2099-03-02T15:45:00Z") }]);
  });

  it("moves the meeting if it is reported again, and starts nothing twice", async () => {
    const { lead, leadId } = await twoLeads();
    await give(bookLead, { ...booked, lead });
    const moved = await give(bookLead, { lead, startsAt: "2099-04-01T10:00+02:00" });
    expect(moved).toMatchObject({ startsAt: "2099-04-01T08:00:00.000Z", ended: 0, started: 0 });
    expect(await leadRow(leadId)).toMatchObject({ booked_until: new Date("2099-04-01T09:00:00Z") });
  });

  it("takes the booking back, so that a sequence can be reopened", async () => {
    const { workspaceId, lead, leadId, twin } = await twoLeads();
    await give(bookLead, { ...booked, lead });
    expect(await give(unbookLead, { lead })).toEqual({ workspaceId, ended: 1, cancelledTouches: 0 });
    expect([await leadRow(leadId), await leadRow(twin.leadId)]).toMatchObject([
      { is_booked: false },
      { is_booked: false },
    ]);
    expect(await give(reopen, { lead, sequence: "Chase" })).toMatchObject({ generation: 2 });
  });

  it("takes back a booking that only the status says, and none that is not there", async () => {
    const { leadId } = await aChasedLead({ status: "meeting-booked" });
    await give(unbookLead, { lead: leadId });
    expect(await leadRow(leadId)).toMatchObject({ is_booked: false, status: "qualified" });
    await expect(give(unbookLead, { lead: leadId })).rejects.toThrow("not_booked: ");
  });

  it("leaves a lead alone whom a meeting of a calendar keeps booked", async () => {
    const { workspaceId, leadId } = await aChasedLead();
    await addAppointment(sql, leadId);
    await give(bookLead, { ...booked, lead: leadId });
    const before = await rowsOf(sql, workspaceId);
    await expect(give(unbookLead, { lead: leadId })).rejects.toThrow("booked_elsewhere: ");
    expect(await rowsOf(sql, workspaceId)).toEqual(before);
  });

  it.each(["tomorrow", "2099-03-02", "10:00", "4070908800", ""])("refuses %j as its start", async (text) => {
    const { leadId } = await aChasedLead();
    await expect(give(bookLead, { lead: leadId, startsAt: text })).rejects.toThrow(
      "invalid_input: startsAt: must be a day and a time, such as 2027-03-01T10:00",
    );
  });
});

describe("an order about a lead", () => {
  const inputs = [
    [bookLead, { startsAt: "2099-03-02T10:00" }],
    [stopLead, {}],
    [resumeLead, {}],
    [snoozeLead, { length: { kind: "days", days: 2 } }],
    [optOutLead, {}],
    [optInLead, {}],
    [enrolLead, { sequence: "Chase", restart: true }],
  ] as const;

  it.each(inputs.map(([given, input]) => [given.name, given, input] as const))(
    "%s touches no other tenant and no other lead, holds no personal data, and is in the story",
    async (name, given, input) => {
      const bystanders = await addBystanders(sql);
      const same = { email: "ada@example.test", phone: "+4930111222" };
      const { workspaceId, chase, leadId } = await aChasedLead(same);
      const other = await addWorkspace(sql, { name: "Other" });
      const theirs = await addSequence(sql, other);
      await addFollowedLead(sql, other, theirs.id, { lead: { ...same, opted_out_at: hoursAgo(1) }, instance: later });
      const neighbour = await addFollowedLead(sql, workspaceId, chase.id, { instance: later });
      const before = [await rowsOf(sql, bystanders), await rowsOf(sql, other), await instances(neighbour.leadId)];
      const suppressed = await sql.query("select * from suppression where workspace_id = $1", [other]);
      const order = given as Order;
      const answer = await give(order, { lead: "ada@example.test", workspace: "Harbour Homes", ...input });
      expect(JSON.stringify(answer)).not.toMatch(/\bada\b|4930111222/i);
      expect([await rowsOf(sql, bystanders), await rowsOf(sql, other), await instances(neighbour.leadId)]).toEqual(
        before,
      );
      expect((await sql.query("select * from suppression where workspace_id = $1", [other])).rows).toEqual(
        suppressed.rows,
      );
      const shown = await answerQuestion(sql, { question: "leads show", input: { lead: leadId } });
      expect(JSON.stringify(shown)).toContain(`"what":"${name}","sequence":null`);
      expect(JSON.stringify(shown)).toContain('"reason":"the lead asked for it","by":"Hana"');
    },
  );
});

describe("leads recheck", () => {
  it("makes held steps due, and neither those that wait for their time nor another lead's", async () => {
    const held = { ...later, hold_reason: "invalid_sender", held_since: "2020-01-01" };
    const { workspaceId, leadId } = await aChasedLead({}, held);
    const other = await addSequence(sql, workspaceId, { name: "Other" });
    await addInstance(sql, leadId, other.id, later);
    const bystander = await aChasedLead({}, held);
    const before = await rowsOf(sql, bystander.workspaceId);
    expect(await give(recheckLead, { lead: leadId })).toEqual({ workspaceId, rechecked: 1 });
    expect((await instances(leadId)).map(({ next_step_due: due }) => Number(due) <= Date.now())).toEqual([true, false]);
    expect(await rowsOf(sql, bystander.workspaceId)).toEqual(before);
  });
});
