import { beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { parseEvent } from "../../lib/inbound/parse-event.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addFollowedLead, addSequence, addWorkspace, type Columns, type Sequence } from "../support/factories.ts";
import { aMeeting, bodyOf, hoursAgo, tell } from "../support/facts.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();
let workspaceId: string;
let chase: Sequence;
let prepare: Sequence;
let leadId: string;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
  prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
  const lead = { email: "ada@lenient.test", phone: "+49 30 1234567" };
  const instance = { started_at: hoursAgo(100) };
  ({ leadId } = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance }));
});

let eventNumber = 0;
const detailOf = (detail: Columns): Columns => ({
  workspaceId,
  eventId: `lenient-${++eventNumber}`,
  occurredAt: hoursAgo(1),
  lead: { email: "ada@lenient.test" },
  ...detail,
});
const fact = (type: string, detail: Columns = {}) => tell(onPool(sql), type, detailOf(detail));

const one = async (query: string, ...values: unknown[]) => (await sql.query(query, values)).rows[0];
const lead = () => one("select status::text, is_booked, booked_until from lead where id = $1", leadId);
const meetings = async () => (await sql.query("select * from appointment where workspace_id = $1", [workspaceId])).rows;
const live = async (sequence: Sequence) =>
  (
    await sql.query("select from follow_up_instance where sequence_id = $1 and status in ('active', 'paused')", [
      sequence.id,
    ])
  ).rowCount;

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();

describe("an invalid booking that names the person", () => {
  it.each<[string, Columns, string]>([
    [
      "ends before it starts",
      { id: "m", startsAt: inDays(3), endsAt: inDays(2) },
      "meeting: it does not end after its start",
    ],
    [
      "has no zone",
      { id: "m", startsAt: inDays(3).slice(0, 19), endsAt: inDays(4).slice(0, 19) },
      "meeting: its times have no time zone",
    ],
    [
      "is a whole day",
      { id: "m", startsAt: { date: inDays(3).slice(0, 10) }, endsAt: { date: inDays(4).slice(0, 10) } },
      "meeting: it is a whole day",
    ],
    ["has no end", { id: "m", startsAt: inDays(3) }, "meeting: it has no end"],
    ["has an unknown detail", { ...aMeeting("m"), title: "Demo" }, "meeting: unknown key title was ignored"],
    ["has no id", { ...aMeeting("m"), id: undefined }, "meeting.id: is missing"],
    ["has an id that is too long", aMeeting("m".repeat(1_000)), "meeting.id: is invalid"],
  ])("stops and books if it %s, starts nothing, and warns", async (_, meeting, warning) => {
    const outcome = await fact("meeting.booked", { meeting });
    expect(outcome).toMatchObject({ outcome: "applied", ended: 1, started: 0 });
    expect(outcome).toHaveProperty("warnings", expect.arrayContaining([expect.stringContaining(warning)]));
    expect(await lead()).toMatchObject({ status: "meeting-booked", is_booked: true, booked_until: expect.any(Date) });
    expect([await live(chase), await live(prepare)]).toEqual([0, 0]);
    const { outcome: stored } = await one("select outcome from intake_event where workspace_id = $1", workspaceId);
    expect(stored).toEqual(outcome);
    const event = await one(
      "select detail from notification_event where kind = 'fact_warned' and workspace_id = $1",
      workspaceId,
    );
    expect(event.detail).toContain(warning);
  });

  it.each<[string, unknown]>([
    ["whose times cannot be read", { id: "m", startsAt: "next week", endsAt: "later" }],
    ["without times", { id: "m" }],
    ["without a meeting", undefined],
    ["whose meeting is a text", "Tuesday"],
    ["whose times are null, which is valid", { id: "m", startsAt: null, endsAt: null }],
  ])("sets the status and stores no meeting: %s", async (_, meeting) => {
    expect(await fact("meeting.booked", { meeting })).toMatchObject({ outcome: "applied", ended: 1, started: 0 });
    expect(await lead()).toMatchObject({ status: "meeting-booked", is_booked: true, booked_until: null });
    expect([await meetings(), await live(chase), await live(prepare)]).toEqual([[], 0, 0]);
  });

  it("would start the post-booking sequence if it were valid", async () => {
    const outcome = await fact("meeting.booked", { meeting: aMeeting("m") });
    expect(outcome).toMatchObject({ outcome: "applied", ended: 1, started: 1 });
    expect(outcome).not.toHaveProperty("warnings");
    expect(await live(prepare)).toBe(1);
  });

  it("keeps the known times if it is reported again or moved without times", async () => {
    await fact("meeting.booked", { meeting: aMeeting("m"), occurredAt: hoursAgo(5) });
    const before = await meetings();
    await fact("meeting.booked", { meeting: { id: "m" }, occurredAt: hoursAgo(4) });
    await fact("meeting.rescheduled", { meeting: { id: "n" }, replaces: "m", occurredAt: hoursAgo(3) });
    const after = await meetings();
    expect(after.map(({ external_id, status, ends_at }) => [external_id, status, ends_at])).toEqual(
      before.map(({ external_id, status, ends_at }) => [external_id, status, ends_at]),
    );
    expect(await lead()).toMatchObject({ is_booked: true });
    expect(await live(prepare)).toBe(1);
  });

  it("is cancelled by its id alone, even if the rest is invalid", async () => {
    await fact("meeting.booked", { meeting: aMeeting("m"), occurredAt: hoursAgo(5) });
    const outcome = await fact("meeting.cancelled", { meeting: { id: "m", startsAt: "soon" }, colour: "red" });
    expect(outcome).toMatchObject({ outcome: "applied", ended: 1, warnings: expect.any(Array) });
    expect(await lead()).toMatchObject({ status: "qualified", is_booked: false });
  });
});

describe("a fact that stops", () => {
  it.each<[string, Columns]>([
    ["from a clock that is ahead", { occurredAt: inDays(1) }],
    ["without a time", { occurredAt: undefined }],
    ["with a time that cannot be read", { occurredAt: "yesterday" }],
    ["with an unknown key", { colour: "red" }],
    ["by an unknown channel", { channel: "pigeon" }],
    ["by no channel", { channel: null }],
    ["with an event id that is too long", { eventId: "e".repeat(1_000) }],
    ["that names the lead by several keys", { lead: { email: "ada@lenient.test", externalId: "nobody" } }],
    ["one of whose names is not valid", { lead: { email: "ada@lenient.test", id: "ada" } }],
    ["by number", { lead: { phone: "0049 (30) 123 45 67" } }],
    ["by number without its plus", { lead: { phone: "49301234567" } }],
  ])("stops %s", async (_, detail) => {
    expect(await fact("lead.opted_out", detail)).toMatchObject({ outcome: "applied", ended: 1 });
    expect(await live(chase)).toBe(0);
    const { ahead } = await one("select opted_out_at > now() as ahead from lead where id = $1", leadId);
    expect(ahead).toBe(false);
  });

  it("names an unknown key of the lead in its outcome", async () => {
    expect(await fact("lead.replied", { lead: { email: "ada@lenient.test", title: "CTO" } })).toMatchObject({
      outcome: "applied",
      warnings: ["lead: unknown key title was ignored"],
    });
  });

  it("is applied once even without an event id", async () => {
    const detail = { ...detailOf({}), eventId: undefined };
    expect(await tell(onPool(sql), "lead.replied", detail)).toMatchObject({ outcome: "applied" });
    expect(await tell(onPool(sql), "lead.replied", detail)).toEqual({ outcome: "duplicate" });
  });

  it("names no value in a warning, even if a key contains one", async () => {
    const secret = "secret@lenient.test";
    const outcome = await fact("meeting.booked", {
      [secret]: secret,
      lead: { email: "ada@lenient.test", id: secret, [secret]: 1 },
      meeting: { id: secret.repeat(20), startsAt: secret, endsAt: secret, [secret]: secret, timeZone: secret },
    });
    expect(outcome).toMatchObject({ outcome: "applied" });
    expect(JSON.stringify(outcome)).not.toContain("secret");
  });

  it("is rejected if it names no person", () => {
    for (const nobody of [undefined, null, {}, { email: "" }, { name: "Ada" }, "ada@lenient.test", []]) {
      expect(
        parseEvent(bodyOf("meeting.booked", { ...detailOf({ meeting: aMeeting("m") }), lead: nobody })),
      ).toMatchObject({
        ok: false,
      });
    }
  });
});

it("a booking stops for any content besides the person", () => {
  fc.assert(
    fc.property(
      fc.anything(),
      fc.anything(),
      fc.anything(),
      fc.dictionary(fc.string(), fc.anything()),
      (meeting, eventId, occurredAt, rest) => {
        const detail = { ...rest, workspaceId, lead: { email: "ada@lenient.test" }, meeting, eventId, occurredAt };
        const body = JSON.stringify({ "detail-type": "meeting.booked", detail }, (_, value) =>
          typeof value === "bigint" ? String(value) : value,
        );
        expect(parseEvent(body)).toMatchObject({ ok: true });
      },
    ),
    { numRuns: 500 },
  );
});

describe("a fact that starts", () => {
  it.each<[string, string, Columns]>([
    [
      "an enrolment with an unknown key",
      "lead.enrolled",
      { lead: undefined, sequence: { name: "x" }, leads: [{}], colour: "red" },
    ],
    ["a snooze that ends at an unknown time", "lead.snoozed", { until: "tomorrow" }],
    ["an approval", "touch.approved", { touchId: "x" }],
  ])("is not repaired: %s", (_, type, detail) => {
    expect(parseEvent(bodyOf(type, detailOf(detail)))).toMatchObject({ ok: false });
  });

  it("is rejected if it is in the future", async () => {
    const ahead = { until: null, occurredAt: inDays(1) };
    expect(await fact("lead.snoozed", ahead)).toMatchObject({
      outcome: "refused",
      reason: expect.stringContaining("future"),
    });
  });
});
