import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { translateCalendly } from "../../lib/inbound/calendly.ts";
import type { TranslatedFact } from "../../lib/inbound/translation.ts";
import { completeFollowUpsForMeetingBookedLeads } from "../../lib/store/backstop.ts";
import { onPool } from "../../lib/store/sql.ts";
import { connectionTo, meetingIn, TestStage } from "../booking/reconciling.ts";
import { CALENDLY } from "../booking/stand-ins/calendly.ts";
import { type StandIn, type StandInMeeting, standInOf } from "../booking/stand-ins/stand-in.ts";
import { calendly, instantAt } from "../support/booking-payloads.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { tell } from "../support/facts.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });
const db = onPool(sql);
const EMAIL = "ida@example.com";

let workspaceId: string;
let standIn: StandIn;

/** A lead in a chase, and a sequence that a booking starts. */
async function aLead(): Promise<void> {
  workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId);
  await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
  await addFollowedLead(sql, workspaceId, id, {
    lead: { email: EMAIL },
    instance: { started_at: "2026-11-01T00:00:00Z" },
  });
}

beforeEach(async () => {
  standIn = await standInOf(CALENDLY);
  await aLead();
});
afterEach(() => standIn.close());

const apply = async (facts: readonly TranslatedFact[]) => {
  for (const { type, detail } of facts) await tell(db, type, detail);
};

/** In minutes since the base of `instantAt`. */
const booked = (id: string, at: number, starts: number, changes: Partial<StandInMeeting> = {}) =>
  meetingIn(id, 0, {
    email: EMAIL,
    startsAt: new Date(instantAt(starts)),
    bookedAt: new Date(instantAt(at)),
    changedAt: new Date(instantAt(at)),
    ...changes,
  });

/** The facts of a sweep by a process that remembers nothing. */
async function sweptFacts(meetings: readonly StandInMeeting[]): Promise<readonly TranslatedFact[]> {
  standIn.content.meetings = meetings;
  return (await new TestStage([connectionTo(CALENDLY, standIn, workspaceId)]).run()).meetings;
}

function webhook(event: "invitee.created" | "invitee.canceled", id: string, at: number, starts: number) {
  const payload = calendly(event, { uuid: `invitee-of-${id}`, eventUuid: id }, { at, starts });
  const translation = translateCalendly(payload, { workspaceId, receivedAt: new Date() });
  return translation.kind === "facts" ? translation.facts : [];
}

const TWO_WEEKS = 20_160;
const STARTS = 8_000 + TWO_WEEKS / 2;

/** The law counts bookings, stops and starts. Ids of rows are no part of it. */
async function outcome() {
  const { completedCount: leftToStop } = await completeFollowUpsForMeetingBookedLeads(db);
  const { rows } = await sql.query(
    `select (select json_agg(json_build_object('id', external_id, 'status', status) order by external_id)
               from appointment where workspace_id = $1) as meetings,
            (select json_agg(json_build_object('trigger', trigger_on, 'status', instance.status, 'generation', generation,
                                               'reason', completed_reason) order by trigger_on, instance.status::text)
               from follow_up_instance as instance join follow_up_sequence as sequence on sequence.id = sequence_id
              where instance.workspace_id = $1) as instances,
            (select count(*)::int from notification_event where workspace_id = $1 and kind = 'meeting_booked') as told,
            (select is_booked from lead where workspace_id = $1) as booked`,
    [workspaceId],
  );
  return { ...rows[0], leftToStop };
}

describe("a booking that a webhook and a sweep report", () => {
  const sweepFirst = async () => [await sweptFacts([booked("one", 10, STARTS)])].flat();
  const byWebhook = () => webhook("invitee.created", "one", 10, STARTS);
  const ONE_STOP = {
    meetings: [{ id: "calendly:invitee-of-one", status: "confirmed" }],
    instances: [
      expect.objectContaining({ status: "active", generation: 1 }),
      expect.objectContaining({ status: "completed", generation: 1 }),
    ],
    told: 1,
    booked: true,
    leftToStop: 0,
  };

  const byId = (instances: readonly { status: string }[]) =>
    instances.toSorted((one, other) => one.status.localeCompare(other.status));
  const expectOneStop = async () => {
    const found = await outcome();
    expect({ ...found, instances: byId(found.instances) }).toEqual(ONE_STOP);
  };

  it.each([
    ["webhook first", async () => [byWebhook(), await sweepFirst()]],
    ["sweep first", async () => [await sweepFirst(), byWebhook()]],
    ["each twice", async () => [await sweepFirst(), byWebhook(), await sweepFirst(), byWebhook()]],
    ["the sweep only: the webhook was lost", async () => [await sweepFirst()]],
    ["the webhook only", async () => [byWebhook()]],
  ])("is one booking and one stop: %s", async (_, factsOf) => {
    for (const facts of await factsOf()) await apply(facts);
    await expectOneStop();
  });

  it("is one booking and one stop if both arrive at once, several times", async () => {
    const facts = [byWebhook(), await sweepFirst(), byWebhook(), await sweepFirst()];
    await Promise.all(facts.map((some) => apply(some)));
    await expectOneStop();
  });

  it("has the same event id from both", async () => {
    const idsOf = (facts: readonly TranslatedFact[]) => facts.map(({ detail }) => detail.eventId);
    expect(idsOf(await sweepFirst())).toEqual(idsOf(byWebhook()));
  });

  it("negative control: without both, the chase is live", async () => {
    expect(await outcome()).toMatchObject({ meetings: null, told: 0, booked: false });
  });
});

describe("a meeting that was cancelled, and one booked instead", () => {
  const steps = {
    "the first booking": () => webhook("invitee.created", "one", 10, STARTS),
    "its cancellation": () => webhook("invitee.canceled", "one", 20, STARTS),
    "the second booking": () => webhook("invitee.created", "two", 30, STARTS + 60),
  };
  const NAMES = ["the first booking", "its cancellation", "the second booking", "the sweep"] as const;
  const orders = (items: readonly (typeof NAMES)[number][]): (typeof NAMES)[number][][] =>
    items.length < 2
      ? [[...items]]
      : items.flatMap((item, index) => orders(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));

  it.each(orders(NAMES))("leave the lead booked for the second: %s, %s, %s, %s", async (...order) => {
    const cancelled = booked("one", 10, STARTS, { status: "cancelled", changedAt: new Date(instantAt(20)) });
    const swept = await sweptFacts([cancelled, booked("two", 30, STARTS + 60)]);
    for (const name of order) await apply(name === "the sweep" ? swept : steps[name]());
    expect(await outcome()).toMatchObject({
      meetings: [
        { id: "calendly:invitee-of-one", status: "cancelled" },
        { id: "calendly:invitee-of-two", status: "confirmed" },
      ],
      booked: true,
      leftToStop: 0,
    });
  });

  it.each(orders(["its cancellation", "the sweep"] as const as never))(
    "negative control: without the second, the lead is not booked: %s, %s",
    async (...order: string[]) => {
      const cancelled = booked("one", 10, STARTS, { status: "cancelled", changedAt: new Date(instantAt(20)) });
      const swept = await sweptFacts([cancelled]);
      await apply(steps["the first booking"]());
      for (const name of order) await apply(name === "the sweep" ? swept : steps["its cancellation"]());
      expect(await outcome()).toMatchObject({ booked: false });
    },
  );
});
