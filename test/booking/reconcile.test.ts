import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { FACT_SCHEMAS } from "../../lib/inbound/facts.ts";
import { long } from "../support/long.ts";
import { connectionTo, DAY, MINUTE, meetingIn, TestStage } from "./reconciling.ts";
import { CALCOM } from "./stand-ins/calcom.ts";
import { CALENDLY } from "./stand-ins/calendly.ts";
import { GOHIGHLEVEL } from "./stand-ins/gohighlevel.ts";
import { BOOKING_URL, MINUTES, type StandIn, send, standInOf } from "./stand-ins/stand-in.ts";

let calendly: StandIn;
let calcom: StandIn;
beforeEach(async () => {
  calendly = await standInOf(CALENDLY);
  calcom = await standInOf(CALCOM);
});
afterEach(async () => {
  await calendly.close();
  await calcom.close();
});

const aStage = () => new TestStage([connectionTo(CALENDLY, calendly)]);
const twoTools = () => new TestStage([connectionTo(CALENDLY, calendly), connectionTo(CALCOM, calcom)]);
const detailsOf = (requests: readonly string[]) => requests.filter((path) => path.includes("/invitees"));

describe("a run", () => {
  it.each([CALENDLY, CALCOM, GOHIGHLEVEL])(
    "finds each meeting of $name once, and again when it changes",
    async (tool) => {
      const standIn = await standInOf(tool);
      const stage = new TestStage([connectionTo(tool, standIn)]);
      standIn.content.meetings = [meetingIn("soon", DAY), meetingIn("later", 30 * DAY)];
      const first = await stage.run();
      expect(first.report).toEqual({
        connections: 1,
        swept: 2,
        seen: 2,
        changed: 2,
        unread: 0,
        failed: 0,
        health: "healthy",
      });
      expect(first.meetings.map(({ type }) => type)).toEqual(["meeting.booked", "meeting.booked"]);
      for (const fact of stage.facts) expect(FACT_SCHEMAS[fact.type].safeParse(fact.detail).success).toBe(true);
      stage.pass(61);
      expect(await stage.run()).toMatchObject({ report: { swept: 2, seen: 2, changed: 0 }, meetings: [] });
      standIn.content.meetings = [
        meetingIn("soon", DAY, { status: "cancelled", changedAt: new Date() }),
        ...standIn.content.meetings.slice(1),
      ];
      stage.pass(5);
      const { report, meetings } = await stage.run();
      expect(report).toMatchObject({ swept: 1, seen: 1, changed: 1 });
      expect(meetings.map(({ type }) => type)).toEqual(["meeting.cancelled"]);
      await standIn.close();
    },
  );

  it("reports each window when it is due: hot every five minutes, warm every hour", async () => {
    const stage = aStage();
    const windows: string[] = [];
    for (let minute = 0; minute <= 61; minute++) {
      const { sweeps } = await stage.run();
      windows.push(...sweeps.map(({ window }) => `${minute} ${window}`));
      stage.pass(1);
    }
    expect(windows.filter((one) => one.endsWith("warm"))).toEqual(["0 warm", "60 warm"]);
    expect(windows.filter((one) => one.endsWith("hot"))).toHaveLength(13);
  });

  it("leaves out the team's own addresses, and what awaits confirmation", async () => {
    const stage = twoTools();
    calendly.content.meetings = [meetingIn("own", DAY, { email: "hana@team.example" })];
    calcom.content.meetings = [meetingIn("tentative", DAY, { status: "tentative" }), meetingIn("ida", DAY)];
    const { meetings } = await stage.run();
    expect(meetings.map(({ detail }) => ("lead" in detail ? detail.lead : null))).toEqual([
      { email: "ida@example.com" },
    ]);
  });

  it("reports a no-show of Calendly, which only the invitee shows, within an hour", async () => {
    const stage = aStage();
    calendly.content.meetings = [meetingIn("ida", -2 * 60 * MINUTE)];
    await stage.run();
    calendly.content.meetings = [meetingIn("ida", -2 * 60 * MINUTE, { status: "missed", changedAt: new Date() })];
    stage.pass(61);
    expect((await stage.run()).meetings.map(({ type }) => type)).toEqual(["meeting.missed"]);
    const before = detailsOf(calendly.requests).length;
    stage.pass(61);
    expect((await stage.run()).meetings).toEqual([]);
    expect(detailsOf(calendly.requests)).toHaveLength(before);
  });

  it("after a cold start repeats the same event ids, which the intake applies once", async () => {
    const stage = aStage();
    calendly.content.meetings = [meetingIn("ida", DAY)];
    const ids = async () => (await stage.run()).meetings.map(({ detail }) => detail.eventId);
    const first = await ids();
    stage.restart();
    expect(first).toHaveLength(1);
    expect(await ids()).toEqual(first);
  });

  it("that the bus refuses sends the same later, and one that died half-way as well", async () => {
    const stage = aStage();
    calendly.content.meetings = [meetingIn("ida", DAY), meetingIn("bo", 2 * DAY)];
    stage.busAccepts = false;
    expect((await stage.run()).report).toMatchObject({ changed: 0, failed: 1, health: "circuit_broken" });
    stage.busAccepts = true;
    stage.pass(5);
    const { report, meetings } = await stage.run();
    expect(report).toMatchObject({ changed: 2, failed: 0, health: "healthy" });
    expect(meetings).toHaveLength(2);
  });

  it("goes on where its calls ran out, and reads the people of each meeting once", async () => {
    const stage = new TestStage([connectionTo(CALENDLY, calendly)], { callsPerTurn: 20 });
    calendly.content.meetings = Array.from({ length: 50 }, (_, index) => meetingIn(`m${index}`, DAY + index * MINUTE));
    const faults = [];
    for (let run = 0; run < 5; run++) {
      faults.push((await stage.run()).sweeps.find(({ window }) => window === "hot")?.fault);
      stage.pass(1);
    }
    expect(faults).toEqual(["out_of_budget", "out_of_budget", null, undefined, undefined]);
    expect(new Set(detailsOf(calendly.requests)).size).toBe(50);
    expect(detailsOf(calendly.requests)).toHaveLength(50);
  });

  it("forgets a removed connection, and sweeps none without a token", async () => {
    const stage = twoTools();
    const [first, second] = stage.connections;
    if (first) first.apiToken = undefined;
    expect((await stage.run()).report).toMatchObject({ connections: 1, swept: 2 });
    stage.connections = second ? [second] : [];
    stage.pass(5);
    expect((await stage.run()).report).toMatchObject({ connections: 1, swept: 1 });
    stage.connections = [];
    expect((await stage.run()).report).toEqual({
      connections: 0,
      swept: 0,
      seen: 0,
      changed: 0,
      unread: 0,
      failed: 0,
      health: "healthy",
    });
  });
});

/** Other answers of a tool, with their effects. */
const FAULTS: readonly { name: string; fault: string; instead: NonNullable<StandIn["instead"]> }[] = [
  { name: "hangs", fault: "unavailable", instead: () => undefined },
  {
    name: "is cut off",
    fault: "unavailable",
    instead: (response) => {
      response.writeHead(200, { "content-type": "application/json" }).write('{"collection":[');
      setImmediate(() => response.destroy());
    },
  },
  { name: "answers 401", fault: "unauthorised", instead: (response) => send(response, 401, {}) },
  {
    name: "answers 429",
    fault: "throttled",
    instead: (response) => send(response, 429, {}, { "retry-after": "1200" }),
  },
  { name: "answers 500", fault: "unavailable", instead: (response) => send(response, 500, "<html>") },
  { name: "answers garbage", fault: "unexpected_answer", instead: (response) => send(response, 200, "<html>") },
  {
    name: "never ends",
    fault: "unexpected_answer",
    instead: (response, { body }) =>
      send(response, 200, { ...(body as object), pagination: { next_page_token: String(Math.random()) } }),
  },
];

describe("a tool that fails", () => {
  it.each(FAULTS)("and $name is reported as $fault, and delays no other", async ({ fault, instead }) => {
    const stage = twoTools();
    calendly.content.meetings = [meetingIn("lost", DAY)];
    calcom.content.meetings = [meetingIn("ida", DAY)];
    calendly.instead = instead;
    const started = Date.now();
    const { report, sweeps, meetings } = await stage.run();
    expect(Date.now() - started).toBeLessThan(5_000);
    expect(report).toMatchObject({ connections: 2, swept: 2, changed: 1, health: "degraded" });
    expect(sweeps.find(({ tool }) => tool === "calendly")).toMatchObject({ window: "hot", fault, seen: 0, changed: 0 });
    expect(meetings).toHaveLength(1);
    expect(stage.log[0]).toContain(`"fault":"${fault}"`);
    expect(stage.log.join()).not.toMatch(/@|token/);
    calendly.instead = undefined;
    stage.pass(60);
    expect((await stage.run()).report).toMatchObject({ swept: 4, changed: 1, failed: 0, health: "healthy" });
  });

  it("pauses for longer each time, an hour at most, and is swept again as before once it works", async () => {
    const stage = aStage();
    calendly.instead = (response) => send(response, 401, {});
    const tried: number[] = [];
    for (let minute = 0; minute < 300; minute++) {
      if ((await stage.run()).sweeps.some(({ window }) => window === "hot")) tried.push(minute);
      stage.pass(1);
    }
    expect(tried).toEqual([0, 5, 15, 35, 75, 135, 195, 255]);
    calendly.instead = undefined;
    stage.pass(60);
    expect((await stage.run()).report).toMatchObject({ failed: 0, health: "healthy" });
    stage.pass(5);
    expect((await stage.run()).report).toMatchObject({ swept: 1 });
  });

  it("is not called before it wants to be", async () => {
    const stage = aStage();
    calendly.instead = (response) => send(response, 429, {}, { "retry-after": "1500" });
    await stage.run();
    calendly.instead = undefined;
    stage.pass(20);
    expect((await stage.run()).sweeps).toEqual([]);
    stage.pass(5);
    expect((await stage.run()).report).toMatchObject({ swept: 2 });
  });
});

/** Makes the tool answer otherwise about one meeting, or all, wherever the texts occur in the path or the item. */
const instead = (standIn: StandIn, change: (path: string, text: string) => { status?: number; text?: string }) => {
  standIn.instead = (response, { status, body }) => {
    const text = JSON.stringify(body);
    const changed = change(standIn.requests.at(-1) ?? "", text);
    send(response, changed.status ?? status, changed.text ?? text);
  };
};
const faultsOf = (sweeps: readonly { window: string; fault?: string | null }[]) =>
  sweeps.map(({ window, fault }) => `${window} ${fault}`);

describe("one meeting that cannot be read", () => {
  const STATUS = { calendly: '"active"', calcom: '"accepted"', gohighlevel: '"confirmed"' };

  it.each([CALENDLY, CALCOM, GOHIGHLEVEL])(
    "in the list of $name keeps no other back, and the sweep is not a complete one until it can be read",
    async (tool) => {
      const standIn = await standInOf(tool);
      const stage = new TestStage([connectionTo(tool, standIn)]);
      standIn.content.meetings = [meetingIn("odd", DAY), meetingIn("ida", 2 * DAY), meetingIn("bo", 30 * DAY)];
      instead(standIn, (_, text) => ({
        text: text.replace(
          new RegExp(`(\\bodd"[^{}]*?(?:\\{[^{}]*\\}[^{}]*?)*?)${STATUS[tool.name]}`),
          '$1"odd@example.com"',
        ),
      }));
      const first = await stage.run();
      expect(first.report).toEqual({
        connections: 1,
        swept: 1,
        seen: 2,
        changed: 2,
        unread: 1,
        failed: 1,
        health: "degraded",
      });
      expect(first.meetings).toHaveLength(2);
      expect(faultsOf(first.sweeps)).toEqual(["hot unread_meetings", "warm null"]);
      for (const fact of stage.facts) expect(FACT_SCHEMAS[fact.type].safeParse(fact.detail).success).toBe(true);
      expect(stage.log).toEqual([
        expect.stringMatching(/"unread":\[\{"id":"odd","reason":"\w*[sS]tatus: .*\(is text\)"/),
      ]);
      expect(stage.log.join()).not.toContain("@");
      stage.pass(5);
      expect(await stage.run()).toMatchObject({ report: { unread: 1, changed: 0, health: "degraded" }, meetings: [] });
      standIn.instead = undefined;
      stage.pass(5);
      const { report, meetings } = await stage.run();
      expect(report).toMatchObject({ swept: 1, changed: 1, unread: 0, failed: 0, health: "healthy" });
      expect(meetings).toHaveLength(1);
      await standIn.close();
    },
  );

  it.each([
    [403, "{}"],
    [404, "{}"],
    [500, "{}"],
    [200, '{"collection":"?"}'],
  ])(
    "because the tool answers %i about its people keeps no other meeting and no other window back",
    async (status, text) => {
      const stage = aStage();
      calendly.content.meetings = [
        ...["a", "b", "c"].map((id, index) => meetingIn(id, DAY + index)),
        meetingIn("later", 30 * DAY),
      ];
      instead(calendly, (path) => (path.includes("/a/invitees") ? { status, text } : {}));
      const { report, sweeps } = await stage.run();
      expect(report).toMatchObject({ swept: 1, failed: 1, changed: 3, unread: 1, health: "degraded" });
      expect(faultsOf(sweeps)).toEqual(["hot unread_meetings", "warm null"]);
      expect(stage.log[0]).toContain('"unread":[{"id":"a","reason":"GET /scheduled_events/a/invitees');
    },
  );

  it("comes after those that were never tried, however many there are", async () => {
    const stage = new TestStage([connectionTo(CALENDLY, calendly)], { callsPerTurn: 20 });
    const odd = Array.from({ length: 40 }, (_, index) => meetingIn(`odd${index}`, DAY + index * MINUTE));
    calendly.content.meetings = [...odd, meetingIn("ida", 2 * DAY), meetingIn("bo", 3 * DAY)];
    instead(calendly, (path) => (path.includes("/odd") ? { status: 403, text: "{}" } : {}));
    const found: unknown[] = [];
    for (let minute = 0; minute < 31; minute++) {
      found.push(...(await stage.run()).meetings);
      stage.pass(1);
    }
    expect(found).toHaveLength(2);
  });

  it("as long as that lasts, makes the others wait for no longer than usual", async () => {
    const stage = aStage();
    calendly.content.meetings = [meetingIn("a", DAY)];
    instead(calendly, (path) => (path.includes("/a/invitees") ? { text: '{"collection":"?"}' } : {}));
    const tried: number[] = [];
    for (let minute = 0; minute <= 30; minute++) {
      if ((await stage.run()).sweeps.some(({ window }) => window === "hot")) tried.push(minute);
      stage.pass(1);
    }
    expect(tried).toEqual([0, 5, 10, 15, 20, 25, 30]);
  });

  it("twin: if the token may read the people of none, the connection is at fault", async () => {
    const stage = aStage();
    calendly.content.meetings = ["a", "b"].map((id) => meetingIn(id, DAY));
    instead(calendly, (path) => (path.includes("/invitees") ? { status: 403, text: "{}" } : {}));
    const { report, sweeps } = await stage.run();
    expect(report).toMatchObject({ swept: 0, changed: 0, health: "circuit_broken" });
    expect(faultsOf(sweeps)).toEqual(["hot unauthorised"]);
  });
});

describe("a location with more calendars than a turn has calls", () => {
  const calendars = Array.from({ length: 250 }, (_, index) => `calendar-${index}`);
  const ofLast = (path: string, text: string) => {
    if (path.startsWith("/calendars/?"))
      return { text: JSON.stringify({ calendars: calendars.map((id) => ({ id })) }) };
    // The stand-in has them in a calendar of its own.
    const isLast = path.includes("calendarId=calendar-249");
    return path.startsWith("/calendars/events") && !isLast ? { text: '{"events":[]}' } : { text };
  };

  long.it("is compared over several runs, and its age is that of the first of them", async () => {
    const standIn = await standInOf({
      ...GOHIGHLEVEL,
      answer: (content, url, request) => {
        if (url.searchParams.has("calendarId")) url.searchParams.set("calendarId", "calendar-one");
        return GOHIGHLEVEL.answer(content, url, request);
      },
    });
    const stage = new TestStage([connectionTo(GOHIGHLEVEL, standIn)]);
    standIn.content.meetings = [meetingIn("ab", DAY), meetingIn("cd", 30 * DAY)];
    instead(standIn, ofLast);
    const sweeps: string[] = [];
    const begun = new Map<string, Set<string>>();
    let found = 0;
    for (let minute = 0; minute < 20; minute++) {
      const run = await stage.run();
      found += run.meetings.length;
      for (const { window, fault, occurredAt } of run.sweeps) {
        sweeps.push(`${minute} ${window} ${fault}`);
        if (minute < 3) begun.set(window, (begun.get(window) ?? new Set()).add(occurredAt));
      }
      expect(run.report.health).toBe("healthy");
      stage.pass(1);
    }
    expect(sweeps.slice(0, 3)).toEqual(["0 hot out_of_budget", "1 hot out_of_budget", "2 hot null"]);
    expect(begun.get("hot")?.size).toBe(1);
    expect(sweeps.filter((one) => one.includes("warm null")).length).toBeGreaterThan(0);
    expect(found).toBe(2);
    await standIn.close();
  });
});

describe("fifty connections", () => {
  long.it("each get their turn within two runs, although half of them hang", async () => {
    calendly.instead = () => undefined;
    calcom.content.meetings = [meetingIn("ida", DAY)];
    const connections = Array.from({ length: 50 }, (_, index) =>
      index % 2 === 0 ? connectionTo(CALENDLY, calendly) : connectionTo(CALCOM, calcom),
    );
    const stage = new TestStage(connections, { turnMs: 1_000 });
    const swept = new Set<string>();
    for (let run = 0; run < 2; run++) {
      const started = Date.now();
      // 9 s of this are reserved for the end of the turns.
      for (const { workspaceId } of (await stage.run(10_000)).sweeps) swept.add(workspaceId);
      expect(Date.now() - started).toBeLessThan(10_000);
      stage.pass(1);
    }
    expect(swept.size).toBe(50);
  });

  it("take turns by the calls that a run may make: none waits for more than its share", async () => {
    calcom.content.meetings = [meetingIn("ida", DAY)];
    const stage = new TestStage(
      Array.from({ length: 50 }, () => connectionTo(CALCOM, calcom)),
      { callsPerRun: 30, turnsAtOnce: 1 },
    );
    const swept = new Set<string>();
    // Three calls complete a connection: one for the hot window, two for the warm one.
    for (let run = 0; run < 5; run++) {
      for (const { workspaceId, fault } of (await stage.run()).sweeps) if (fault === null) swept.add(workspaceId);
      stage.pass(1);
    }
    expect(swept.size).toBe(50);
  });
});

describe("free times", () => {
  it.each([CALENDLY, CALCOM])("of $name are reported with each hot sweep, as the intake takes them", async (tool) => {
    const standIn = await standInOf(tool);
    const connection = { ...connectionTo(tool, standIn), offersTimes: true };
    const stage = new TestStage([connection]);
    const free = [new Date(Date.now() + DAY), new Date(Date.now() + 2 * DAY)];
    standIn.content.freeTimes = [...free, new Date(Date.now() + 15 * DAY)];
    const { freeTimes } = await stage.run();
    const slots = free.map((startsAt) => ({
      startsAt: startsAt.toISOString(),
      endsAt: new Date(+startsAt + MINUTES * MINUTE).toISOString(),
    }));
    expect(freeTimes).toEqual([
      expect.objectContaining({ workspaceId: connection.workspaceId, tool: tool.name, slots, bookingUrl: BOOKING_URL }),
    ]);
    expect(FACT_SCHEMAS["connection.availability"].safeParse(freeTimes[0]).error).toBeUndefined();
    stage.pass(1);
    expect((await stage.run()).freeTimes).toEqual([]);
    stage.pass(4);
    expect((await stage.run()).freeTimes).toHaveLength(1);
    await standIn.close();
  });

  it("that cannot be read fail no sweep, and are logged without a value", async () => {
    const connection = { ...connectionTo(CALENDLY, calendly), offersTimes: true };
    const stage = new TestStage([connection]);
    calendly.content.meetings = [meetingIn("soon", DAY)];
    calendly.instead = (response, { status, body }) => {
      const isTimes = calendly.requests.at(-1)?.startsWith("/event_type") === true;
      send(response, isTimes ? 500 : status, isTimes ? "secret words" : body);
    };
    const { report, meetings, freeTimes } = await stage.run();
    expect(report).toMatchObject({ swept: 2, failed: 0, health: "healthy" });
    expect([meetings.length, freeTimes]).toEqual([1, []]);
    expect(stage.log).toEqual([expect.stringMatching(/"connection.free_times_failed".*"fault":"unavailable"/)]);
    expect(stage.log.join()).not.toContain("secret words");
  });

  it("without one that cannot be read are reported, and what it lacks is logged without a value", async () => {
    const stage = new TestStage([{ ...connectionTo(CALENDLY, calendly), offersTimes: true }]);
    calendly.content.freeTimes = [new Date(Date.now() + DAY), new Date(Date.now() + 2 * DAY)];
    instead(calendly, (_, text) => ({ text: text.replace(/"start_time":"[^"]*"/, '"start_time":"ida@example.com"') }));
    const { freeTimes, report } = await stage.run();
    expect(freeTimes).toMatchObject([{ slots: [expect.anything()] }]);
    expect(report).toMatchObject({ failed: 0, health: "healthy" });
    expect(stage.log).toEqual([expect.stringMatching(/"connection.free_times_failed".*"start_time: .* \(is text\)"/)]);
    expect(stage.log.join()).not.toContain("ida@");
  });

  it("are none without an event type", async () => {
    expect((await aStage().run()).freeTimes).toEqual([]);
  });
});
