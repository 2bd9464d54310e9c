import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import type { OutgoingTouch } from "../../lib/run/ports.ts";
import { DAY, MINUTE, wallClock, weekdayOf } from "../domain/wall-clock.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { addInstance, addLead, addSequence, addWorkspace, type Columns } from "../support/factories.ts";
import { accept, openPool, openRunner, type Runner } from "../support/run.ts";

const START = Date.parse("2027-01-04T00:00:00Z");
const END = START + 365 * DAY;
/** In which no run is made. */
const OUTAGES = [
  [Date.parse("2027-02-01T00:00:00Z"), Date.parse("2027-02-22T10:00:00Z")],
  [Date.parse("2027-03-26T00:00:00Z"), Date.parse("2027-03-29T12:00:00Z")],
  [Date.parse("2027-09-01T00:00:00Z"), Date.parse("2027-09-01T20:00:00Z")],
] as const;

const GAP_MINUTES = 20 * 60;
const CAP = 6;
const WORKSPACE_ZONE = "America/New_York";
const ZONES = ["Europe/Berlin", "America/Los_Angeles", "Pacific/Auckland", "Asia/Kolkata", null];
const OWN_HOLIDAYS = ["2027-05-17", "2027-12-24"];
const WINDOW = { days: [1, 2, 3, 4, 5], start: 9 * 60, end: 17 * 60 };

const step = (days: number, channel = "email"): Columns => ({
  delay_minutes: days * 24 * 60,
  channel,
  ...(channel === "sms" && { subject: null }),
});

let database: TestDatabase;
let sql: pg.Pool;
let runner: Runner;

beforeAll(async () => {
  database = await createDatabase();
  sql = openPool(database.url);
  runner = openRunner(database.url);
});
afterAll(async () => {
  await runner.close();
  await sql.end();
  await database.drop();
});

interface Sent extends OutgoingTouch {
  readonly at: number;
}

/** A year of runs, each at the next instant at which something is due or waits, outages left out. */
async function liveThroughTheYear(): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  let now = START;
  runner.channel.answer = (touch) => {
    sent.push({ ...touch, at: now });
    return accept(touch);
  };
  while (now < END) {
    const outage = OUTAGES.find(([from, until]) => now >= from && now < until);
    if (outage) now = outage[1];
    const report = await runner.run(
      { only: ["send-due", "recover-touches"] },
      { now: () => Promise.resolve(new Date(now)) },
    );
    expect(report.errors).toEqual([]);
    const next = await nextInstant(now);
    if (next === null) break;
    // The schedule ticks once a minute.
    now = Math.max(now + MINUTE, Math.ceil(next / MINUTE) * MINUTE);
  }
  return sent;
}

async function nextInstant(now: number): Promise<number | null> {
  const { rows } = await sql.query<{ next: Date | null }>(
    `select min(next) as next from (
       select next_step_due as next from follow_up_instance where status = 'active'
       union all select look_again_at from touch where look_again_at is not null) as waiting`,
  );
  const next = rows[0]?.next ?? null;
  return next && Math.max(next.getTime(), now);
}

/** Leads of several zones in several sequences; some begin in the middle of an outage, some on a holiday. */
async function populate(): Promise<string> {
  const workspaceId = await addWorkspace(sql, {
    time_zone: WORKSPACE_ZONE,
    window_days: WINDOW.days,
    window_start: "09:00",
    window_end: "17:00",
    own_holidays: OWN_HOLIDAYS,
    gap_minutes: GAP_MINUTES,
    daily_cap: CAP,
  });
  const long = await addSequence(sql, workspaceId, {
    steps: [step(0), step(3, "sms"), step(7), step(14, "webhook"), step(30, "task"), step(60)],
  });
  const short = await addSequence(sql, workspaceId, { steps: [step(0), step(1), step(1, "sms")] });
  for (let number = 0; number < 15; number++) {
    const leadId = await addLead(sql, workspaceId, { time_zone: ZONES[number % ZONES.length] });
    const due = new Date(START + number * 11 * DAY + number * 97 * MINUTE);
    await addInstance(sql, leadId, long.id, { next_step_due: due });
    if (number % 2 === 0) await addInstance(sql, leadId, short.id, { next_step_due: due });
  }
  return workspaceId;
}

describe("a year of a workspace, with outages", () => {
  let sent: readonly Sent[];
  let zoneOf: ReadonlyMap<string, string>;

  beforeAll(async () => {
    await populate();
    sent = await liveThroughTheYear();
    const { rows } = await sql.query<{ id: string; time_zone: string | null }>("select id, time_zone from lead");
    zoneOf = new Map(rows.map(({ id, time_zone }) => [id, time_zone ?? WORKSPACE_ZONE]));
  }, 120_000);

  const local = ({ leadId, at }: Sent) => wallClock(at, zoneOf.get(leadId) ?? "");
  const dateOf = (day: number) => new Date(day * DAY).toISOString().slice(0, 10);
  const ofLeads = () => [...Map.groupBy(sent, ({ leadId }) => leadId).values()];

  it("sends each step once, and comes to its end", async () => {
    expect(new Set(sent.map(({ id }) => id)).size).toBe(sent.length);
    expect(sent).toHaveLength(15 * 6 + 8 * 3);
    const { rows } = await sql.query("select distinct status from follow_up_instance");
    expect(rows).toEqual([{ status: "completed" }]);
  });

  it("sends inside the window of the lead's own day, on no weekend and on no holiday", () => {
    for (const touch of sent) {
      const { day, minute } = local(touch);
      expect(WINDOW.days).toContain(weekdayOf(day));
      expect(minute).toBeGreaterThanOrEqual(WINDOW.start);
      expect(minute).toBeLessThan(WINDOW.end);
      expect(OWN_HOLIDAYS).not.toContain(dateOf(day));
    }
  });

  it("keeps the gap between any two touches of a lead, also after an outage, and one touch a channel and local day", () => {
    for (const touches of ofLeads()) {
      const times = touches.map(({ at }) => at);
      const gaps = times.slice(1).map((at, index) => (at - (times[index] ?? 0)) / MINUTE);
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(GAP_MINUTES);
      const days = touches.map((touch) => `${touch.channel} ${dateOf(local(touch).day)}`);
      expect(new Set(days).size).toBe(days.length);
    }
  });

  it("stays below the cap of the workspace's day, and reaches it after the outage in which most piled up", () => {
    const days = sent.map(({ at }) => dateOf(wallClock(at, WORKSPACE_ZONE).day));
    const perDay = [...Map.groupBy(days, (day) => day).values()].map(({ length }) => length);
    expect(Math.max(...perDay)).toBeLessThanOrEqual(CAP);
    expect(Math.max(...perDay)).toBeGreaterThan(1);
  });

  it("sends nothing while it is out, and something soon after", () => {
    for (const [from, until] of OUTAGES) {
      expect(sent.filter(({ at }) => at >= from && at < until)).toEqual([]);
    }
    const [from, until] = OUTAGES[0];
    expect(sent.some(({ at }) => at >= until && at < until + 3 * DAY)).toBe(true);
    expect(sent.some(({ at }) => at >= from - 10 * DAY && at < from)).toBe(true);
  });
});
