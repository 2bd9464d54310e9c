import { randomUUID } from "node:crypto";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { bookingFact, meetingId } from "../../lib/inbound/booking-facts.ts";
import { translateCalcom } from "../../lib/inbound/calcom.ts";
import { translateCalendly } from "../../lib/inbound/calendly.ts";
import type { TranslatedFact, Translation } from "../../lib/inbound/translation.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  anInvitee,
  calcom,
  calcomAttendee,
  calcomNoShow,
  calendly,
  calendlyRescheduled,
  instantAt,
} from "../support/booking-payloads.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { tell } from "../support/facts.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();
const db = onPool(sql);

let workspaceId: string;
let chaseId: string;

/** A lead in a chase, which started before all events, and a sequence for each trigger of a meeting. */
async function aLead(email = "ida@example.com"): Promise<void> {
  workspaceId = await addWorkspace(sql);
  ({ id: chaseId } = await addSequence(sql, workspaceId));
  for (const trigger_on of ["meeting_selected", "meeting_missed"]) await addSequence(sql, workspaceId, { trigger_on });
  await follow(email);
}

const follow = (email: string) =>
  addFollowedLead(sql, workspaceId, chaseId, { lead: { email }, instance: { started_at: "2026-11-01T00:00:00Z" } });

beforeEach(() => aLead());

async function apply(facts: readonly TranslatedFact[]): Promise<void> {
  for (const { type, detail } of facts) await tell(db, type, detail);
}

const factsOf = (translation: Translation): readonly TranslatedFact[] =>
  translation.kind === "facts" ? translation.facts : [];
const receivedAt = new Date();
const fromCalendly = (payload: unknown) => factsOf(translateCalendly(payload, { workspaceId, receivedAt }));
const fromCalcom = (payload: unknown) => factsOf(translateCalcom(payload, { workspaceId, receivedAt }));

const meetings = async () =>
  (
    await sql.query(
      `select lead.email, appointment.status, appointment.external_id as id
         from appointment join lead on lead.id = lead_id
        where appointment.workspace_id = $1 order by appointment.external_id`,
      [workspaceId],
    )
  ).rows;

const live = async (): Promise<readonly unknown[]> =>
  (
    await sql.query(
      `select lead.email, sequence.trigger_on
         from follow_up_instance as instance
         join lead on lead.id = lead_id
         join follow_up_sequence as sequence on sequence.id = sequence_id
        where instance.workspace_id = $1 and instance.status in ('active', 'paused')
        order by lead.email, trigger_on`,
      [workspaceId],
    )
  ).rows;

/** The facts that decide about touches and meetings. Ids of bookings are part of it, those of rows are not. */
const outcome = async () => ({
  leads: (
    await sql.query(
      `select email, status, is_booked as booked, missed_at is not null as missed from lead
        where workspace_id = $1 order by email`,
      [workspaceId],
    )
  ).rows,
  meetings: await meetings(),
  live: await live(),
});

/** All orders of the items. */
const ordersOf = <Item>(items: readonly Item[]): Item[][] =>
  items.length < 2
    ? [[...items]]
    : items.flatMap((item, index) => ordersOf(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));

interface History {
  readonly name: string;
  /** The facts of each webhook, and of a later sweep of the calendar. */
  readonly events: () => readonly (readonly TranslatedFact[])[];
  readonly expected: { readonly status: string; readonly booked: boolean; readonly missed?: boolean };
  readonly meetings: readonly string[];
  readonly live: readonly string[];
}

const [invitee, moved] = [anInvitee(), anInvitee()];
const [uid, movedUid] = [randomUUID(), randomUUID()];
const rescheduled = calendlyRescheduled(invitee, moved, { at: 10, starts: 20_000 });

/** A sweep reads the same meeting, but from resources with times of their own. */
const sweptCalcom = (at: number) => [
  bookingFact(
    { workspaceId, receivedAt },
    {
      type: "meeting.booked",
      meetingId: meetingId("calcom", uid, "ida@example.com"),
      lead: { email: "ida@example.com" },
      startsAt: instantAt(20_000),
      endsAt: instantAt(20_030),
      occurredAt: instantAt(at),
    },
  ),
];

const HISTORIES: readonly History[] = [
  {
    name: "Calendly: booked",
    events: () => [fromCalendly(calendly("invitee.created", invitee))],
    expected: { status: "meeting-booked", booked: true },
    meetings: ["confirmed"],
    live: ["meeting_selected"],
  },
  {
    name: "Calendly: booked and rescheduled",
    events: () => [
      fromCalendly(calendly("invitee.created", invitee)),
      fromCalendly(rescheduled.canceled),
      fromCalendly(rescheduled.created),
    ],
    expected: { status: "meeting-booked", booked: true },
    meetings: ["cancelled", "confirmed"],
    live: ["meeting_selected"],
  },
  {
    name: "Calendly: booked, rescheduled and cancelled",
    events: () => [
      fromCalendly(calendly("invitee.created", invitee)),
      fromCalendly(rescheduled.created),
      fromCalendly(calendly("invitee.canceled", moved, { at: 20, starts: 20_000 })),
    ],
    expected: { status: "qualified", booked: false },
    meetings: ["cancelled", "cancelled"],
    live: [],
  },
  {
    name: "Calendly: booked, missed, and not missed after all",
    events: () => [
      fromCalendly(calendly("invitee.created", invitee, { starts: 60 })),
      fromCalendly(calendly("invitee_no_show.created", invitee, { at: 100, starts: 60 })),
      fromCalendly(calendly("invitee_no_show.deleted", invitee, { at: 110, starts: 60 })),
    ],
    expected: { status: "meeting-booked", booked: true },
    meetings: ["confirmed"],
    live: [],
  },
  {
    name: "Cal.com: confirmed and swept",
    events: () => [
      fromCalcom(calcom("BOOKING_CREATED", uid, { at: 5, starts: 20_000 })),
      sweptCalcom(4),
      sweptCalcom(6),
    ],
    expected: { status: "meeting-booked", booked: true },
    meetings: ["confirmed"],
    live: ["meeting_selected"],
  },
  {
    name: "Cal.com: booked, rescheduled and swept before",
    events: () => [
      fromCalcom(calcom("BOOKING_CREATED", uid, { at: 5, starts: 20_000 })),
      sweptCalcom(4),
      fromCalcom(calcom("BOOKING_RESCHEDULED", movedUid, { at: 20, payload: { rescheduleUid: uid } })),
    ],
    expected: { status: "meeting-booked", booked: true },
    meetings: ["cancelled", "confirmed"],
    live: ["meeting_selected"],
  },
  {
    name: "Cal.com: booked and missed",
    events: () => [
      fromCalcom(calcom("BOOKING_CREATED", uid, { starts: 60 })),
      fromCalcom(calcomNoShow(uid, [{ email: "ida@example.com", noShow: true }], 100)),
    ],
    expected: { status: "qualified", booked: false, missed: true },
    meetings: ["missed"],
    live: ["meeting_missed"],
  },
];

describe("the webhooks of one meeting, each twice and in every order, are one booking and one stop:", () => {
  it.each(HISTORIES)("$name", async ({ events, expected, meetings: statuses, live: triggers }) => {
    for (const order of ordersOf(events().map((_, index) => index))) {
      await aLead();
      const sent = events();
      for (const index of [...order, ...order]) await apply(sent[index] ?? []);
      const found = await outcome();
      expect({ order, ...found }).toMatchObject({
        order,
        leads: [{ email: "ida@example.com", missed: false, ...expected }],
        live: triggers.map((trigger_on) => ({ trigger_on })),
      });
      expect(found.meetings.map(({ status }) => status).sort()).toEqual(statuses);
    }
  });
});

describe("a meeting with several attendees", () => {
  const [ida, bo] = ["ida@example.com", "bo@example.com"];
  const both = { payload: { attendees: [ida, bo].map((email) => calcomAttendee(email)) } };

  it("stops the sequences of each, and a cancelled seat ends the meeting of one", async () => {
    await follow(bo);
    await apply(fromCalcom(calcom("BOOKING_CREATED", uid, both)));
    expect(await outcome()).toMatchObject({ leads: [{ booked: true }, { booked: true }], meetings: [{}, {}] });
    await apply(fromCalcom(calcom("BOOKING_CANCELLED", uid, { at: 5, payload: { attendees: [calcomAttendee(bo)] } })));
    expect((await outcome()).leads).toMatchObject([
      { email: bo, booked: false },
      { email: ida, booked: true },
    ]);
  });

  it("counts as missed for the one who was absent only", async () => {
    await follow(bo);
    await apply(fromCalcom(calcom("BOOKING_CREATED", uid, { ...both, starts: 60 })));
    await apply(fromCalcom(calcomNoShow(uid, [{ email: bo, noShow: true }], 100)));
    expect((await outcome()).live).toEqual([{ email: bo, trigger_on: "meeting_missed" }]);
  });
});

it("a rescheduled webhook alone leaves the booking as it is, where a cancellation ends it", async () => {
  await apply(fromCalendly(calendly("invitee.created", invitee)));
  await apply(fromCalendly(rescheduled.canceled));
  expect((await outcome()).leads).toMatchObject([{ booked: true }]);
  await apply(fromCalendly(calendly("invitee.canceled", invitee, { at: 11 })));
  expect((await outcome()).leads).toMatchObject([{ booked: false }]);
});

it("a booking by the made-up address of a phone stops the lead with that number", async () => {
  await sql.query("update lead set phone = '+49 171 1234567' where workspace_id = $1", [workspaceId]);
  await apply(
    fromCalcom(
      calcom("BOOKING_CREATED", uid, {
        payload: { attendees: [calcomAttendee("491711234567@sms.cal.com")], responses: {} },
      }),
    ),
  );
  expect((await outcome()).leads).toMatchObject([{ email: "ida@example.com", booked: true }]);
});
