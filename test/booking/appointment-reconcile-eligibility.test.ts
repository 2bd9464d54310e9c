import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { mustRead, rangesOf, SWEEP_DEFAULTS, windowOf } from "../../lib/booking/eligibility.ts";
import type { BookingTool, ListedMeeting, MeetingStatus } from "../../lib/booking/port.ts";
import { SweepMemory, sweep } from "../../lib/booking/sweep.ts";
import { BOOKING_TOOLS, type BookingToolName, SWEEP_WINDOWS, type SweepWindow } from "../../lib/domain/labels.ts";
import { type Booking, isOwn } from "../../lib/inbound/booking-facts.ts";
import type { TranslatedFact } from "../../lib/inbound/translation.ts";

const now = new Date("2026-11-30T09:00:00.000Z");
const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const HALF_HOUR = 30 * MINUTE;
const settings = SWEEP_DEFAULTS;

/** A meeting by its start, in milliseconds from now. */
const meetingAt = (ms: number, changes: Partial<ListedMeeting> = {}): ListedMeeting => ({
  id: `m${ms}`,
  version: "1",
  status: "confirmed",
  startsAt: new Date(+now + ms),
  endsAt: new Date(+now + ms + HALF_HOUR),
  ...changes,
});

interface Boundary {
  readonly name: string;
  readonly startsAfterMs: number;
  readonly window: SweepWindow | undefined;
}

/** Both sides of each boundary, to the millisecond. */
const BOUNDARIES: readonly Boundary[] = [
  { name: "ended a moment more than 7 days ago", startsAfterMs: -7 * DAY - HALF_HOUR - 1, window: undefined },
  { name: "ended 7 days ago", startsAfterMs: -7 * DAY - HALF_HOUR, window: "warm" },
  { name: "ended an hour ago", startsAfterMs: -90 * MINUTE, window: "warm" },
  { name: "began a moment more than 10 minutes ago", startsAfterMs: -10 * MINUTE - 1, window: "warm" },
  { name: "began 10 minutes ago, as a clock ahead sees it", startsAfterMs: -10 * MINUTE, window: "hot" },
  { name: "starts now", startsAfterMs: 0, window: "hot" },
  { name: "starts a moment before 14 days", startsAfterMs: 14 * DAY - 1, window: "hot" },
  { name: "starts in 14 days", startsAfterMs: 14 * DAY, window: "warm" },
  { name: "starts a moment before 90 days", startsAfterMs: 90 * DAY - 1, window: "warm" },
  { name: "starts in 90 days", startsAfterMs: 90 * DAY, window: undefined },
];

const STATUSES: readonly MeetingStatus[] = ["confirmed", "cancelled", "missed", "tentative"];
const matrix = STATUSES.flatMap((status) =>
  BOUNDARIES.map(({ name, startsAfterMs, window }) => ({
    name,
    status,
    meeting: meetingAt(startsAfterMs, { status }),
    window: status === "tentative" ? undefined : window,
  })),
);

const TYPES: Readonly<Record<MeetingStatus, Booking["type"]>> = {
  confirmed: "meeting.booked",
  cancelled: "meeting.cancelled",
  missed: "meeting.missed",
  tentative: "meeting.booked",
};

/** A tool whose list ignores the range, as a tool may, and that counts the calls for details. */
function toolWith(name: BookingToolName, meetings: readonly ListedMeeting[]) {
  const details: string[] = [];
  const tool: BookingTool = {
    name,
    listsMissed: name !== "calendly",
    meetings: () => Promise.resolve({ meetings, unread: [], rest: [] }),
    details({ id, status, startsAt, endsAt }) {
      details.push(id);
      const times = { startsAt: startsAt.toISOString(), endsAt: endsAt.toISOString() };
      const booking = { type: TYPES[status], meetingId: `${name}:${id}`, lead: { email: `${id}@example.com` } };
      return Promise.resolve({ bookings: [{ ...booking, ...times, occurredAt: "2026-11-01T00:00:00Z" }], unread: [] });
    },
  };
  return { tool, details };
}

async function sweepOf(tool: BookingTool, window: SweepWindow, given: { memory?: SweepMemory; now?: Date } = {}) {
  const facts: TranslatedFact[] = [];
  const budget = { take: () => true, signal: new AbortController().signal };
  const put = (sent: readonly TranslatedFact[]) => Promise.resolve(facts.push(...sent) > 0);
  const about = { workspaceId: "w", ownAddresses: [], memory: new SweepMemory(), settings, now };
  const result = await sweep({ ...about, ...given, tool, window, budget, put });
  return { result, facts };
}

describe("a meeting", () => {
  it.each(matrix)("that $name and is $status belongs to $window", ({ meeting, window }) => {
    expect(windowOf(meeting, now, settings)).toBe(window);
  });

  it.each(BOOKING_TOOLS.flatMap((name) => matrix.map((row) => ({ tool: name, ...row }))))(
    "of $tool that $name and is $status becomes a fact in its window only",
    async ({ tool: name, meeting, window, status }) => {
      for (const swept of SWEEP_WINDOWS) {
        const { tool, details } = toolWith(name, [meeting]);
        const { facts, result } = await sweepOf(tool, swept);
        const expected = swept === window ? [TYPES[status]] : [];
        expect(facts.map(({ type }) => type)).toEqual(expected);
        expect(details).toHaveLength(expected.length);
        expect(result).toMatchObject({ seen: expected.length, changed: expected.length, fault: null });
      }
    },
  );

  it("that is eligible is in a range of its window, and no other window claims it", () => {
    const start = fc.integer({ min: -9 * DAY, max: 91 * DAY });
    const minutes = fc.integer({ min: 1, max: 1_440 });
    const status = fc.constantFrom(...STATUSES);
    const days = fc.record({ hotDays: fc.integer({ min: 1, max: 60 }), warmDays: fc.integer({ min: 1, max: 90 }) });
    fc.assert(
      fc.property(start, minutes, status, days, (ms, long, state, given) => {
        const meeting = meetingAt(ms, { status: state, endsAt: new Date(+now + ms + long * MINUTE) });
        const window = windowOf(meeting, now, given);
        const inRange = SWEEP_WINDOWS.filter((one) =>
          rangesOf(one, now, given).some(({ from, to }) => meeting.startsAt >= from && meeting.startsAt < to),
        );
        if (window !== undefined) expect(inRange).toEqual([window]);
      }),
    );
  });

  it("keeps its window if the clock is five minutes off, except at its far boundaries", () => {
    const inside = BOUNDARIES.filter(({ name }) => /an hour ago|starts now/.test(name));
    for (const { startsAfterMs, window } of inside) {
      for (const off of [-5, 5]) {
        expect(windowOf(meetingAt(startsAfterMs), new Date(+now + off * MINUTE), settings)).toBe(window);
      }
    }
  });
});

describe("the people of a meeting", () => {
  it("are read once per version", async () => {
    const memory = new SweepMemory();
    const meeting = meetingAt(DAY);
    for (const [version, reads] of [
      ["1", 1],
      ["1", 0],
      ["2", 1],
    ] as const) {
      const { tool, details } = toolWith("calendly", [{ ...meeting, version }]);
      await sweepOf(tool, "hot", { memory });
      expect(details).toHaveLength(reads);
    }
  });

  it("are read again after the end only if the list does not show who missed it, until that is final", () => {
    const ended = meetingAt(-DAY);
    const about = { listsMissed: false, now, warmMinutes: 60 };
    const before = { version: "1", readAt: new Date(+now - 60 * MINUTE), isFinal: false };
    expect(mustRead(ended, before, about)).toBe(true);
    expect(mustRead(ended, before, { ...about, listsMissed: true })).toBe(false);
    expect(mustRead(ended, { ...before, isFinal: true }, about)).toBe(false);
    expect(mustRead(ended, { ...before, readAt: now }, about)).toBe(false);
    expect(mustRead({ ...ended, status: "cancelled" }, before, about)).toBe(false);
    expect(mustRead(meetingAt(DAY), before, about)).toBe(false);
  });

  it("of ten times as many ineligible meetings in front cost no call, and keep none of the eligible ones back", async () => {
    const ineligible = Array.from({ length: 500 }, (_, index) => [
      meetingAt(-8 * DAY - index * MINUTE),
      meetingAt(DAY + index, { status: "tentative", id: `t${index}` }),
    ]).flat();
    const eligible = Array.from({ length: 100 }, (_, index) => meetingAt(2 * DAY + index * MINUTE));
    const { tool, details } = toolWith("calendly", [...ineligible, ...eligible]);
    const { facts, result } = await sweepOf(tool, "hot");
    expect(result).toMatchObject({ seen: 100, read: 100, changed: 100, unread: [], fault: null });
    expect(details.toSorted()).toEqual(eligible.map(({ id }) => id).toSorted());
    expect(facts).toHaveLength(100);
  });
});

describe("an address of the team", () => {
  it("is known in any notation, alone or by its domain", () => {
    const own = ["Hana <hana@acme.example>", "@corp.example"];
    expect(["HANA@acme.example ", "x@CORP.example"].map((address) => isOwn(address, own))).toEqual([true, true]);
    const others = ["ida@acme.example", "x@notcorp.example", "hana@acme.example.org", undefined];
    expect(others.map((address) => isOwn(address, own))).toEqual([false, false, false, false]);
    expect(isOwn("hana@acme.example", [])).toBe(false);
  });
});
