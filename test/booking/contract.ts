import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { type BookingTool, BookingToolFault, type ListedMeeting, type MeetingStatus } from "../../lib/booking/port.ts";
import { bookingTool } from "../../lib/booking/tools.ts";
import {
  allMeetings,
  aMeeting,
  at,
  BOOKING_URL,
  callBudget,
  DAY,
  EMAIL,
  MINUTE,
  MINUTES,
  type StandIn,
  type StandInMeeting,
  send,
  standInOf,
  TOKEN,
  type ToolUnderTest,
  WINDOW,
} from "./stand-ins/stand-in.ts";

const { from: FROM, to: TO } = WINDOW;
const LIMITS = { timeoutMs: 300, mostBytes: 1_000_000 };

/** After all others of a test. */
const atMinute = (minutes: number): Date => at(DAY + (1 + minutes) * MINUTE);

/** One every minute from the begin of the window. */
const meetingsUpTo = (count: number): StandInMeeting[] =>
  Array.from({ length: count }, (_, index) => aMeeting(`meeting-${index}`, { startsAt: at(index * MINUTE) }));

const FACTS: Readonly<Record<MeetingStatus, readonly string[]>> = {
  confirmed: ["meeting.booked"],
  cancelled: ["meeting.cancelled"],
  missed: ["meeting.missed"],
  tentative: [],
};

const EVERY_RESET: readonly (readonly [string, Readonly<Record<string, string>>, number])[] = [
  ["Retry-After in seconds", { "retry-after": "120" }, 120_000],
  [
    "Retry-After as a date, by the tool's clock",
    { date: httpDate(at(0)), "retry-after": httpDate(at(90_000)) },
    90_000,
  ],
  ["a reset in seconds", { "x-ratelimit-reset": "60" }, 60_000],
  ["a reset as a Unix time", { date: httpDate(at(0)), "x-ratelimit-reset-default": unix(at(45_000)) }, 45_000],
  ["the interval of the limit", { "x-ratelimit-interval-milliseconds": "10000" }, 10_000],
  ["nothing", {}, 60_000],
];

function httpDate(time: Date): string {
  return time.toUTCString();
}
function unix(time: Date): string {
  return String(time.getTime() / 1_000);
}

/** The contract of every booking tool, on a server that speaks its wire format. */
export function bookingToolContract(tool: ToolUnderTest): void {
  let standIn: StandIn;
  let api: BookingTool;

  beforeEach(async () => {
    standIn = await standInOf(tool);
    api = bookingTool(tool.name, { apiToken: TOKEN, apiUrl: standIn.url, ...tool.settings }, LIMITS);
  });
  afterEach(() => standIn.close());

  const budget = (calls = 1_000, ms = 20_000) => callBudget(calls, AbortSignal.timeout(ms));
  const listed = (window = WINDOW, within = budget()) => allMeetings(api, window, within);
  const list = async () => (await listed()).meetings;
  const idsOf = (meetings: readonly ListedMeeting[]) => meetings.map(({ id }) => id);
  const onlyOne = async (): Promise<ListedMeeting> => {
    const [meeting, ...others] = await list();
    if (!meeting || others.length > 0) throw new Error("the list does not have one meeting");
    return meeting;
  };
  const faultOf = async (promise: Promise<unknown>): Promise<BookingToolFault> => {
    const thrown = await promise.then(
      () => undefined,
      (error: unknown) => error,
    );
    if (!(thrown instanceof BookingToolFault)) throw new Error(`no fault: ${String(thrown)}`);
    for (const secret of [TOKEN, EMAIL, "example.com"]) expect(thrown.message).not.toContain(secret);
    return thrown;
  };

  describe("the list", () => {
    it("is empty without meetings", async () => {
      expect(await list()).toEqual([]);
    });

    it("has the meetings that start in the window, in order of their start", async () => {
      const starts = { before: at(-1), first: at(0), last: new Date(TO.getTime() - 1), after: TO };
      standIn.content.meetings = Object.entries(starts)
        .map(([id, startsAt]) => aMeeting(id, { startsAt, minutes: 3 * 24 * 60 }))
        .reverse();
      expect(idsOf(await list())).toEqual(["first", "last"]);
    });

    it.each(tool.statuses)("gives what a %s meeting means for its person", async (status) => {
      const sent = aMeeting("one", { status, changedAt: at(2 * DAY) });
      standIn.content.meetings = [sent];
      const meeting = await onlyOne();
      expect(meeting).toMatchObject({ id: "one", startsAt: sent.startsAt, endsAt: at(DAY + MINUTES * MINUTE) });
      if (status !== "missed" || api.listsMissed) expect(meeting.status).toBe(status);
      const { bookings } = await api.details(meeting, budget());
      expect(bookings.map(({ type }) => type)).toEqual(FACTS[status]);
      for (const booking of bookings) {
        expect(booking).toMatchObject({ meetingId: tool.meetingId(sent), lead: { email: EMAIL } });
        expect([booking.startsAt, booking.endsAt].map((time) => new Date(time ?? ""))).toEqual([
          meeting.startsAt,
          meeting.endsAt,
        ]);
      }
    });

    it("costs the stated calls for details", async () => {
      standIn.content.meetings = [aMeeting("one")];
      const meeting = await onlyOne();
      const before = standIn.requests.length;
      await api.details(meeting, budget());
      expect(standIn.requests.length - before).toBe(tool.detailCalls);
    });

    it("gives a meeting the same version until something changes", async () => {
      const versionOf = async (meeting: StandInMeeting) => {
        standIn.content.meetings = [meeting];
        return (await onlyOne()).version;
      };
      const first = await versionOf(aMeeting("one"));
      expect(await versionOf(aMeeting("one"))).toBe(first);
      const changes = [
        { startsAt: at(2 * DAY) },
        { minutes: 45 },
        ...tool.statuses
          .filter((status) => status !== "confirmed" && (status !== "missed" || api.listsMissed))
          .map((status) => ({ status })),
      ];
      const versions = [first];
      for (const change of changes) versions.push(await versionOf(aMeeting("one", change)));
      expect(new Set(versions).size).toBe(changes.length + 1);
      expect(first).toMatch(/^[\w-]{1,40}$/);
    });
  });

  describe("many meetings", () => {
    const most = 2.5 * (tool.pageSize ?? 100);

    it("are all read, each once", async () => {
      standIn.content.meetings = meetingsUpTo(most);
      expect(idsOf(await list())).toEqual(idsOf(meetingsUpTo(most) as never));
    });

    it("are all read if they start at one instant", async () => {
      standIn.content.meetings = meetingsUpTo(most).map((meeting) => ({ ...meeting, startsAt: at(DAY) }));
      expect(new Set(idsOf(await list())).size).toBe(most);
    });

    it.each<[string, (meetings: readonly StandInMeeting[]) => readonly StandInMeeting[]]>([
      ["removed", (meetings) => meetings.slice(20)],
      [
        "added",
        (meetings) => [...Array.from({ length: 20 }, (_, n) => aMeeting(`new-${n}`, { startsAt: at(n) })), ...meetings],
      ],
    ])("are neither lost nor doubled if others are %s while pages are read", async (_, shift) => {
      const all = meetingsUpTo(most);
      standIn.content.meetings = all;
      standIn.before = (count) => {
        if (count > 1) standIn.content.meetings = shift(standIn.content.meetings);
      };
      const ids = idsOf(await list());
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).toEqual(expect.arrayContaining(all.slice(most / 2).map(({ id }) => id)));
    });

    if (tool.pageSize !== undefined) {
      it("end, also if the tool repeats a page for ever", async () => {
        standIn.content.meetings = meetingsUpTo(most);
        let first: unknown;
        standIn.instead = (response, { body }) => {
          first ??= body;
          send(response, 200, first);
        };
        expect(await faultOf(list())).toMatchObject({ code: "unexpected_answer" });
        expect(standIn.requests.length).toBeLessThan(10);
      });

      it("end, also if the tool invents new ones for ever", async () => {
        standIn.before = (count) => {
          standIn.content.meetings = Array.from({ length: (count + 2) * (tool.pageSize ?? 0) }, (_, index) =>
            aMeeting(`${index}`, { startsAt: at(DAY) }),
          );
        };
        const fault = await faultOf(listed(WINDOW, budget(8)));
        expect(fault.code).toBe("out_of_budget");
        expect(standIn.requests).toHaveLength(8);
      });

      it("are refused if they are out of order", async () => {
        standIn.content.meetings = [aMeeting("one", { startsAt: at(DAY) }), aMeeting("two", { startsAt: at(2 * DAY) })];
        standIn.instead = (response, { body }) =>
          send(
            response,
            200,
            JSON.stringify(body, (_, value) => (Array.isArray(value) ? value.toReversed() : value)),
          );
        expect(await faultOf(list())).toMatchObject({ code: "unexpected_answer" });
      });
    }
  });

  describe("a fault", () => {
    beforeEach(() => {
      standIn.content.meetings = [aMeeting("one")];
    });
    const answers = (status: number, body: unknown = EMAIL, headers: Readonly<Record<string, string>> = {}) => {
      standIn.instead = (response) => send(response, status, body, headers);
    };

    it.each([
      [401, "unauthorised"],
      [403, "unauthorised"],
      [404, "unexpected_answer"],
      [302, "unexpected_answer"],
      [500, "unavailable"],
      [503, "unavailable"],
    ])("of status %i is %s", async (status, code) => {
      answers(status, EMAIL, { location: "https://elsewhere.example/" });
      expect(await faultOf(list())).toMatchObject({ code, until: undefined });
      expect(standIn.requests).toHaveLength(1);
    });

    it("is a wrong token", async () => {
      const wrong = bookingTool(tool.name, { apiToken: "wrong", apiUrl: standIn.url, ...tool.settings }, LIMITS);
      expect(await faultOf(wrong.meetings(WINDOW, budget()))).toMatchObject({ code: "unauthorised" });
    });

    it.each(EVERY_RESET)("of status 429 with %s says until when to wait", async (_, headers, waitMs) => {
      answers(429, "", headers);
      const before = Date.now();
      const { code, until } = await faultOf(list());
      expect(code).toBe("throttled");
      expect(until?.getTime()).toBeGreaterThanOrEqual(before + waitMs - 1_000);
      expect(until?.getTime()).toBeLessThanOrEqual(Date.now() + waitMs);
    });

    it("is an answer that does not come in time", async () => {
      standIn.instead = () => undefined;
      const started = Date.now();
      expect(await faultOf(list())).toMatchObject({ code: "unavailable" });
      expect(Date.now() - started).toBeLessThan(5_000);
    });

    it("is an answer that stops in the middle", async () => {
      standIn.instead = (response, { body }) => {
        response.writeHead(200, { "content-length": "1000000" }).write(JSON.stringify(body).slice(0, 20));
        response.socket?.end();
      };
      expect(await faultOf(list())).toMatchObject({ code: "unavailable" });
    });

    it("is a body that drips without end", async () => {
      standIn.instead = (response) => {
        response.writeHead(200).write("{");
      };
      expect(await faultOf(list())).toMatchObject({ code: "unavailable" });
    });

    it("is a server that is not there", async () => {
      await standIn.close();
      expect(await faultOf(list())).toMatchObject({ code: "unavailable" });
    });

    it.each([
      ["a page of HTML", "<html>busy</html>"],
      ["no object", "[]"],
      ["more than the limit", `"${"x".repeat(LIMITS.mostBytes)}"`],
    ])("is an answer of %s", async (_, body) => {
      answers(200, body);
      expect(await faultOf(list())).toMatchObject({ code: "unexpected_answer" });
    });

    it("is a token that would leave this machine without TLS", async () => {
      const open = bookingTool(tool.name, { apiToken: TOKEN, apiUrl: "http://api.example", ...tool.settings }, LIMITS);
      expect(await faultOf(open.meetings(WINDOW, budget()))).toMatchObject({ code: "unauthorised" });
    });
  });

  describe("a meeting that cannot be read", () => {
    const others = ["a", "bb", "ccc", "dddd"];
    beforeEach(() => {
      standIn.content.meetings = [aMeeting("odd"), ...others.map((id, at) => aMeeting(id, { startsAt: atMinute(at) }))];
    });
    /** The answer of a server with an unexpected value in a field of that meeting. */
    const sends = (field: string, value: unknown) => {
      const isOdd = (sent: unknown) => /^\{"[^{]*\bodd"/.test(JSON.stringify(sent));
      const changed = (sent: unknown) => (isOdd(sent) ? { ...(sent as object), [field]: value } : sent);
      standIn.instead = (response, { status, body }) =>
        send(
          response,
          status,
          JSON.stringify(body, (_, sent) => (Array.isArray(sent) ? sent.map(changed) : sent)),
        );
    };

    it.each<[string, string, unknown]>([
      ["no time", tool.timeField, `no time, ${EMAIL}`],
      ["null as its time", tool.timeField, null],
      ["a number as its time", tool.timeField, 1_800_000_000],
      ["an unknown status, although its times can be read", tool.statusField, EMAIL],
      ["no status", tool.statusField, undefined],
    ])("because it has %s, is named without a value, and all others are listed", async (_, field, value) => {
      sends(field, value);
      const { meetings, unread } = await listed();
      expect(idsOf(meetings).toSorted()).toEqual(others);
      expect(unread).toMatchObject([{ id: "odd", fault: "unexpected_answer" }]);
      expect(unread[0]?.reason).toMatch(new RegExp(`^${field}: .* \\(is .*\\)$`));
      for (const secret of [TOKEN, EMAIL, "example.com"]) expect(unread[0]?.reason).not.toContain(secret);
    });

    it("twin: is listed like the others if it can be read", async () => {
      sends("unknownField", { is: "ignored" });
      const { meetings, unread } = await listed();
      expect(idsOf(meetings).toSorted()).toEqual([...others, "odd"].toSorted());
      expect(unread).toEqual([]);
    });

    it("is not one of another window", async () => {
      sends(tool.statusField, "odd");
      expect((await listed({ from: at(2 * DAY), to: at(3 * DAY) })).unread).toEqual([]);
    });
  });

  describe("the budget", () => {
    it("ends the calls of a run", async () => {
      const shared = budget(1);
      await api.meetings(WINDOW, shared).catch(() => undefined);
      expect(await faultOf(api.meetings(WINDOW, shared))).toMatchObject({ code: "out_of_budget" });
      expect(standIn.requests).toHaveLength(1);
    });

    it("ends a call when its time is over", async () => {
      standIn.instead = () => undefined;
      const fault = await faultOf(api.meetings(WINDOW, budget(10, 50)));
      expect(fault).toMatchObject({ code: "out_of_budget" });
    });
  });

  if (tool.settings.eventType !== undefined) {
    const range = { from: FROM, to: at(40 * DAY) };
    const spanAt = (startsAt: Date) => ({ startsAt, endsAt: new Date(startsAt.getTime() + MINUTES * MINUTE) });

    it("gives the free times of the range, in order, with their length and booking page", async () => {
      const free = [at(39 * DAY), at(DAY), at(2 * DAY), at(2 * DAY + 30 * MINUTE)];
      standIn.content.freeTimes = [...free, range.to, at(41 * DAY)];
      expect(await api.freeSlots?.(range, budget())).toEqual({
        times: free.toSorted((one, other) => one.getTime() - other.getTime()).map(spanAt),
        bookingUrl: BOOKING_URL,
        unread: [],
      });
    });

    it("gives the other free times if one cannot be read, and names what it lacks", async () => {
      standIn.content.freeTimes = [at(DAY), at(2 * DAY)];
      const first = JSON.stringify(at(DAY)).slice(1, 17);
      standIn.instead = (response, { status, body }) =>
        send(response, status, JSON.stringify(body).replace(first, `${EMAIL} `));
      const slots = await api.freeSlots?.(WINDOW, budget());
      expect(slots).toMatchObject({ times: [spanAt(at(2 * DAY))], unread: [{ id: undefined }] });
      expect(slots?.unread[0]?.reason).toMatch(/^start(_time)?: must be an instant/);
      expect(slots?.unread[0]?.reason).not.toContain(EMAIL);
    });

    it("gives no free times if there are none", async () => {
      expect(await api.freeSlots?.(WINDOW, budget())).toMatchObject({ times: [], unread: [] });
    });
  } else {
    it("offers no free times", () => expect(api.freeSlots).toBeUndefined());
  }
}
