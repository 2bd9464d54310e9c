import { beforeEach, describe, expect, it } from "@jest/globals";
import type { FactOutcome } from "../../lib/run/apply-messages.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addFollowedLead,
  addLead,
  addSequence,
  addWorkspace,
  type Columns,
  type Sequence,
} from "../support/factories.ts";
import { aMeeting, hoursAgo, standing, tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner();
let workspaceId: string;
let chase: Sequence;
let prepare: Sequence;
let noShow: Sequence;
/** Two leads with one address; the second was contacted later. */
let [first, second] = ["", ""];
const SHARED = { email: "shared@example.test" };

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
  prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
  noShow = await addSequence(sql, workspaceId, { trigger_on: "meeting_missed" });
  const follow = async (lead: Columns) =>
    (await addFollowedLead(sql, workspaceId, chase.id, { lead, instance: { started_at: hoursAgo(100) } })).leadId;
  first = await follow({ email: "Shared@Example.test", last_outbound_at: hoursAgo(90) });
  second = await follow({ email: " shared@example.test ", last_outbound_at: hoursAgo(80) });
});

const fact = (type: string, detail: Columns = {}): Promise<FactOutcome> =>
  tell(onPool(sql), type, { workspaceId, lead: SHARED, ...detail });

const rows = async (query: string, ...values: unknown[]) => (await sql.query(query, values)).rows;
const meetingsOf = (leadId: string) =>
  rows("select external_id as id, status::text from appointment where lead_id = $1 order by 1", leadId);
const isBooked = async (leadId: string) =>
  (await rows("select is_booked from lead where id = $1", leadId))[0]?.is_booked;
const liveIn = async (sequence: Sequence) =>
  (
    await rows(
      "select lead_id from follow_up_instance where sequence_id = $1 and status in ('active', 'paused') order by 1",
      sequence.id,
    )
  ).map(({ lead_id }) => lead_id);

describe("a booking that names its person by an address of two leads", () => {
  it("books both and ends their chasing sequences", async () => {
    const outcome = await fact("meeting.booked", { meeting: aMeeting("one") });
    expect(outcome).toEqual({ outcome: "applied", ended: 2, cancelledTouches: 0, started: 1 });
    for (const lead of [first, second]) {
      expect(await isBooked(lead)).toBe(true);
      expect(await meetingsOf(lead)).toEqual([{ id: "one", status: "confirmed" }]);
    }
    expect(await liveIn(chase)).toEqual([]);
    expect((await runner.run({ workspaceId })).backstop).toMatchObject({ completedCount: 0, endedPostBooking: 0 });
  });

  it("starts the post-booking sequence for the most recently contacted, and is one booking in the digest", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one") });
    expect(await liveIn(prepare)).toEqual([second]);
    expect(await rows("select lead_id from notification_event where workspace_id = $1", workspaceId)).toEqual([
      { lead_id: second },
    ]);
  });

  it("starts it for the oldest lead if none was contacted, and only for one that may be contacted", async () => {
    await sql.query("update lead set last_outbound_at = null where workspace_id = $1", [workspaceId]);
    await fact("meeting.booked", { meeting: aMeeting("one") });
    expect(await liveIn(prepare)).toEqual([first]);
    await sql.query("update lead set status = 'blacklisted' where id = $1", [first]);
    await runner.run({ workspaceId });
    await fact("meeting.booked", { meeting: aMeeting("two"), occurredAt: hoursAgo(0.5) });
    expect(await liveIn(prepare)).toEqual([second]);
  });

  it("stays with the lead that has the sequence if the person books again", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
    await sql.query("update lead set last_outbound_at = now() where id = $1", [first]);
    await fact("meeting.booked", { meeting: aMeeting("two"), occurredAt: hoursAgo(2) });
    expect(await liveIn(prepare)).toEqual([second]);
  });

  it("does not start it again when it is reported again, not even for a lead that came in between", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
    const third = await addLead(sql, workspaceId, { ...SHARED, last_outbound_at: hoursAgo(0) });
    const again = await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(2) });
    expect(again).toMatchObject({ outcome: "applied", started: 0 });
    expect(await isBooked(third)).toBe(true);
    expect(await liveIn(prepare)).toEqual([second]);
  });

  it("is that of other addresses and workspaces in no way", async () => {
    const stranger = await addLead(sql, workspaceId, { email: "other@example.test" });
    const abroad = await addLead(sql, await addWorkspace(sql), SHARED);
    await fact("meeting.booked", { meeting: aMeeting("one") });
    expect([await isBooked(stranger), await isBooked(abroad)]).toEqual([false, false]);
  });

  it("concerns only the lead that it names by id", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), lead: { id: first } });
    expect([await isBooked(first), await isBooked(second)]).toEqual([true, false]);
  });

  it.each([
    ["meeting.cancelled", "cancelled"],
    ["meeting.missed", "missed"],
  ])("ends for both by %s, whichever of them it names", async (type, status) => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
    const outcome = await fact(type, { meeting: aMeeting("one"), lead: { id: first } });
    expect(outcome).toMatchObject({ outcome: "applied", ended: 1, started: status === "missed" ? 1 : 0 });
    for (const lead of [first, second]) {
      expect([await isBooked(lead), await meetingsOf(lead)]).toEqual([false, [{ id: "one", status }]]);
    }
    expect(await liveIn(prepare)).toEqual([]);
    expect(await liveIn(noShow)).toEqual(status === "missed" ? [second] : []);
  });

  it("is moved for both, and continues to prepare the one", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
    const moved = await fact("meeting.rescheduled", { meeting: aMeeting("two", 5), replaces: "one" });
    expect(moved).toMatchObject({ outcome: "applied", ended: 0, started: 0 });
    for (const lead of [first, second]) {
      expect(await isBooked(lead)).toBe(true);
      expect(await meetingsOf(lead)).toEqual([
        { id: "one", status: "cancelled" },
        { id: "two", status: "confirmed" },
      ]);
    }
    expect(await liveIn(prepare)).toEqual([second]);
  });

  it("that replaces an unknown one stops it from booking when it arrives", async () => {
    await fact("meeting.rescheduled", { meeting: aMeeting("two", 5), replaces: "one" });
    expect(await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) })).toMatchObject({
      outcome: "stale",
    });
    for (const lead of [first, second]) {
      expect(await meetingsOf(lead)).toEqual([
        { id: "one", status: "cancelled" },
        { id: "two", status: "confirmed" },
      ]);
    }
  });

  it("that arrives already cancelled ends the earlier chases of both", async () => {
    await fact("meeting.cancelled", { meeting: aMeeting("one"), occurredAt: hoursAgo(1) });
    const late = await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(2) });
    expect(late).toMatchObject({ outcome: "stale", ended: 2 });
    expect([await isBooked(first), await isBooked(second), await liveIn(chase)]).toEqual([false, false, []]);
  });
});

describe("a meeting that is reported for another person than before", () => {
  let other: string;
  const OTHER = { lead: { email: "other@example.test" } };
  beforeEach(async () => {
    other = (await addFollowedLead(sql, workspaceId, chase.id, { lead: OTHER.lead })).leadId;
    await fact("meeting.booked", { meeting: aMeeting("one"), occurredAt: hoursAgo(3) });
  });

  it.each(["meeting.booked", "meeting.rescheduled"])(
    "by %s concerns both: no lead that may have it is chased",
    async (type) => {
      expect(await fact(type, { meeting: aMeeting("one", 4), ...OTHER })).toMatchObject({
        outcome: "applied",
        ended: 1,
      });
      for (const lead of [first, second, other]) expect(await isBooked(lead)).toBe(true);
      expect(await liveIn(chase)).toEqual([]);
    },
  );

  it("by meeting.booked prepares the person that it names", async () => {
    await fact("meeting.booked", { meeting: aMeeting("one", 4), ...OTHER });
    expect(await liveIn(prepare)).toEqual([second, other].toSorted());
  });

  it("as the one that replaces theirs is of both too", async () => {
    await fact("meeting.rescheduled", { meeting: aMeeting("two", 4), replaces: "one", ...OTHER });
    for (const lead of [first, second, other]) {
      expect((await meetingsOf(lead)).filter(({ status }) => status === "confirmed")).toEqual([
        { id: "two", status: "confirmed" },
      ]);
    }
  });

  it("is cancelled only for the leads that have it", async () => {
    await sql.query("update lead set status = 'meeting-booked' where id = $1", [other]);
    await fact("meeting.cancelled", { meeting: aMeeting("one"), ...OTHER });
    expect([await isBooked(first), await isBooked(second), await isBooked(other)]).toEqual([false, false, true]);
  });

  it("ends alike in any order of reports", async () => {
    const said: readonly [string, Columns][] = [
      ["meeting.booked", { meeting: aMeeting("x", 2), occurredAt: hoursAgo(9) }],
      ["meeting.booked", { meeting: aMeeting("x", 3), occurredAt: hoursAgo(8), ...OTHER }],
      ["meeting.rescheduled", { meeting: aMeeting("x", 5), occurredAt: hoursAgo(7), lead: { id: first } }],
    ];
    const outcomes = new Set<string>();
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
      [2, 0, 1],
    ]) {
      await sql.query("delete from appointment where workspace_id = $1", [workspaceId]);
      for (const index of order) await fact(...(said[index] as [string, Columns]));
      const after = await rows(
        `select lead_id, appointment.external_id, appointment.status, date_trunc('second', ends_at) as ends, is_booked
           from appointment join lead on lead.id = lead_id where lead.workspace_id = $1 order by 1, 2`,
        workspaceId,
      );
      outcomes.add(JSON.stringify(after));
    }
    expect([...outcomes]).toHaveLength(1);
    expect(JSON.parse([...outcomes][0] ?? "[]")).toHaveLength(3);
  });
});

it("a booking by a shared address in two spellings stops both leads", async () => {
  const workspace = "0a000000-0000-7000-8000-00000000000a";
  await addWorkspace(sql, { id: workspace });
  const { id } = await addSequence(sql, workspace, { trigger_on: "no_response" });
  for (const email of ["shared@example.com", "Shared@example.com"]) {
    await addFollowedLead(sql, workspace, id, { lead: { email } });
  }
  const startsAt = new Date(Date.now() + 86_400_000).toISOString();
  const endsAt = new Date(Date.now() + 88_200_000).toISOString();
  const detail = { workspaceId: workspace, eventId: "book-shared", occurredAt: hoursAgo(1) };
  const meeting = { id: "c-shared", startsAt, endsAt };
  const outcome = await tell(onPool(sql), "meeting.booked", {
    ...detail,
    lead: { email: "shared@example.com" },
    meeting,
  });
  expect(outcome).toMatchObject({ outcome: "applied", ended: 2 });
  expect((await standing(sql, workspace)).map(({ is_booked, live }) => [is_booked, live])).toEqual([
    [true, null],
    [true, null],
  ]);
});

describe("a fact about an unknown address", () => {
  it.each(["meeting.booked", "lead.replied", "lead.opted_out"])("makes a lead by %s, and says so", async (type) => {
    const meeting = type === "meeting.booked" ? { meeting: aMeeting("one") } : {};
    const outcome = await fact(type, { lead: { email: "nobody@example.test" }, ...meeting });
    expect(outcome).toMatchObject({ outcome: "applied", created: 1 });
    expect(await fact(type, { lead: { email: "nobody@example.test" }, ...meeting })).not.toHaveProperty("created");
  });
});
