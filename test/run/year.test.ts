import { beforeAll, describe, expect } from "@jest/globals";
import type { Channel } from "../../lib/domain/labels.ts";
import { DAY, dateOf, MINUTE, wallClock, weekdayOf } from "../domain/wall-clock.ts";
import { addInstance, addLead, addSequence, addWorkspace, type Columns } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { useRunner } from "../support/run.ts";
import { type Send, type Simulated, type Span, simulate } from "../support/simulation.ts";

const START = Date.UTC(2027, 0, 1);
const at = (instant: string) => Date.parse(instant);

const OUTAGES: readonly Span[] = [
  [at("2027-01-31T10:00Z"), at("2027-02-04T15:00Z")],
  [at("2027-04-12T00:00Z"), at("2027-05-05T10:30Z")],
  [at("2027-06-30T12:00Z"), at("2027-06-30T16:30Z")],
];

interface Step {
  readonly channel: Channel;
  readonly delayMinutes: number;
}
const afterDays = (days: number, channel: Step["channel"]): Step => ({ channel, delayMinutes: days * 24 * 60 });

const SEQUENCES: readonly (readonly Step[])[] = [
  [afterDays(1, "email"), afterDays(2, "sms"), { channel: "email", delayMinutes: 90 }, afterDays(45, "task")],
  [afterDays(3, "email"), afterDays(7, "email"), afterDays(90, "email")],
  [afterDays(1, "sms"), { channel: "webhook", delayMinutes: 30 }, afterDays(30, "sms"), afterDays(60, "email")],
];

interface Place {
  readonly zone: string;
  readonly days: readonly number[];
  /** Minutes since midnight. */
  readonly window: readonly [number, number];
  readonly holidays: readonly string[];
  readonly gapMinutes: number;
  readonly cap: number | null;
  readonly columns: Columns;
}

/** Germany's nationwide holidays, from its laws and the calendar of 2027. */
const GERMAN_HOLIDAYS = ["01-01", "03-26", "03-29", "05-01", "05-06", "05-17", "10-03", "12-25", "12-26"];

const BERLIN: Place = {
  zone: "Europe/Berlin",
  days: [1, 2, 3, 4, 5],
  window: [9 * 60, 17 * 60],
  holidays: [...GERMAN_HOLIDAYS.map((day) => `2027-${day}`), "2027-05-04"],
  gapMinutes: 2 * 24 * 60,
  cap: 4,
  columns: { holiday_country: "DE", own_holidays: ["2027-05-04"] },
};
const NEW_YORK: Place = {
  zone: "America/New_York",
  days: [1, 2, 3, 4, 5, 6],
  window: [8 * 60 + 30, 18 * 60],
  holidays: ["2027-01-18", "2027-07-05"],
  gapMinutes: 60,
  cap: null,
  columns: { own_holidays: ["2027-01-18", "2027-07-05"] },
};

const LEADS_OF_A_PLACE = 14;
const LEAD_ZONES = [null, "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Adelaide", "Asia/Kathmandu"];

interface Followed {
  readonly leadId: string;
  readonly place: Place;
  readonly zone: string;
}
const { sql, runner } = await useRunner();
const leads = new Map<string, Followed>();
/** Due time of the first step, by instance. */
const firstDue = new Map<string, number>();
let stepsEnrolled = 0;
const places = new Map<string, Place>();
const attempted = new Set<string>();
let year: Simulated;

const timeColumn = (minutes: number) => new Date(minutes * MINUTE).toISOString().slice(11, 16);

async function addPlace(place: Place): Promise<void> {
  const workspaceId = await addWorkspace(sql, {
    time_zone: place.zone,
    window_days: place.days,
    window_start: timeColumn(place.window[0]),
    window_end: timeColumn(place.window[1]),
    gap_minutes: place.gapMinutes,
    daily_cap: place.cap,
    ...place.columns,
  });
  places.set(workspaceId, place);
  const sequenceIds: string[] = [];
  for (const steps of SEQUENCES) {
    const columns = steps.map(({ channel, delayMinutes }) => ({ channel, delay_minutes: delayMinutes }));
    sequenceIds.push((await addSequence(sql, workspaceId, { steps: columns })).id);
  }
  for (let number = 0; number < LEADS_OF_A_PLACE; number++) await addEnrolled(workspaceId, place, sequenceIds, number);
}

/** Adds a lead enrolled between January and June; every second one in all sequences at once. */
async function addEnrolled(workspaceId: string, place: Place, sequenceIds: readonly string[], number: number) {
  const timeZone = LEAD_ZONES[number % LEAD_ZONES.length] ?? null;
  const leadId = await addLead(sql, workspaceId, { time_zone: timeZone });
  leads.set(leadId, { leadId, place, zone: timeZone ?? place.zone });
  for (const [index, sequenceId] of sequenceIds.entries()) {
    if (number % 2 === 1 && index !== number % sequenceIds.length) continue;
    const due = START + Math.floor(number / 2) * 30 * DAY + ((number % 4) * 17 * 60 + index * 150) * MINUTE;
    firstDue.set(await addInstance(sql, leadId, sequenceId, { next_step_due: new Date(due) }), due);
    stepsEnrolled += SEQUENCES[index]?.length ?? 0;
  }
}

/** In New York the provider rejects every third touch temporarily, up to three times. */
function takes({ id, workspaceId, failures }: Send["touch"]): boolean {
  attempted.add(id);
  if (places.get(workspaceId) !== NEW_YORK) return true;
  return failures >= (attempted.size % 3 === 0 ? 1 + (attempted.size % 4) : 0);
}

beforeAll(async () => {
  await addPlace(BERLIN);
  await addPlace(NEW_YORK);
  year = await simulate(runner, sql, { from: START, until: START + 365 * DAY, outages: OUTAGES, takes });
}, 300_000);

function leadOf({ touch }: Send): Followed {
  const lead = leads.get(touch.leadId);
  if (!lead) throw new Error(`touch ${touch.id} went to a lead that nobody added`);
  return lead;
}

/** Sends per lead, in order. */
const byLead = () => [...Map.groupBy(year.sends, ({ touch }) => touch.leadId).values()];
const pairs = (sends: readonly Send[]) =>
  sends.flatMap((send, index) => (index === 0 ? [] : [[sends[index - 1], send]]));

interface SentStep {
  readonly id: string;
  readonly lead_id: string;
  readonly instance_id: string;
  readonly delay_minutes: number;
  /** When the previous step ended, from which the delay counts; null for the first step. */
  readonly before: Date | null;
}

async function sentSteps(): Promise<readonly SentStep[]> {
  const { rows } = await sql.query<SentStep>(
    `select touch.id, touch.lead_id, touch.instance_id, step.delay_minutes,
            lag(touch.claimed_at) over (partition by touch.instance_id order by step.position) as before
       from touch join follow_up_step as step on step.id = touch.step_id`,
  );
  return rows;
}

function isEarly({ lead_id, instance_id, delay_minutes, before }: SentStep, sentAt: number): boolean {
  const zone = leads.get(lead_id)?.zone ?? "";
  const inTime = before
    ? waitedMinutes(before.getTime(), sentAt, zone, delay_minutes) >= delay_minutes
    : sentAt >= (firstDue.get(instance_id) ?? Number.NaN);
  return !inTime;
}

describe("a year of two workspaces", () => {
  long.it("ends completely: every run succeeds, every step was sent once, and nothing is left", async () => {
    expect(year.reports.filter(({ success }) => !success)).toEqual([]);
    expect(year.sends).toHaveLength(stepsEnrolled);
    const { rows } = await sql.query(
      `select (select array_agg(distinct status::text || ' ' || completed_reason) from follow_up_instance) as instances,
              (select array_agg(distinct status::text) from touch) as touches`,
    );
    expect(rows).toEqual([{ instances: ["completed out_of_steps"], touches: ["sent"] }]);
    expect((await sentSteps()).map(({ id }) => id).sort()).toEqual(year.sends.map(({ touch }) => touch.id).sort());
  });

  long.it("meets every rule on time, so that each of the laws below could be broken", () => {
    const met = new Set(year.reports.flatMap(({ results }) => Object.keys(results?.reasons ?? {})));
    expect([...met].sort()).toEqual([
      "channel_used_today",
      "closed_day",
      "daily_cap_reached",
      "holiday",
      "outside_send_window",
      "ready",
      "too_soon",
    ]);
    const retried = year.reports.reduce((sum, { recovered }) => sum + (recovered?.takenUp ?? 0), 0);
    expect(retried).toBeGreaterThan(10);
  });

  long.it("sends inside the window of an allowed local day of the lead, and on no holiday", () => {
    const outside = year.sends.filter((send) => {
      const { place, zone } = leadOf(send);
      const { day, minute } = wallClock(send.at, zone);
      const [start, end] = place.window;
      const open = minute >= start && minute < end && place.days.includes(weekdayOf(day));
      return !open || place.holidays.includes(dateOf(day));
    });
    expect(outside).toEqual([]);
  });

  long.it("sends no step before it is due: whole days keep the time of day, and hours are hours", async () => {
    const sentAt = new Map(year.sends.map(({ touch, at: instant }) => [touch.id, instant]));
    const early = (await sentSteps()).filter((step) => isEarly(step, sentAt.get(step.id) ?? Number.NaN));
    expect(early).toEqual([]);
  });

  long.it("keeps the gap between two sends of a lead, across sequences", () => {
    const close = byLead()
      .flatMap(pairs)
      .filter(([before, after]) => {
        if (!before || !after) return true;
        return after.at - before.at < leadOf(after).place.gapMinutes * MINUTE;
      });
    expect(close).toEqual([]);
  });

  long.it("reaches a lead once a channel and local day", () => {
    const days = year.sends.map((send) =>
      [send.touch.leadId, send.touch.channel, wallClock(send.at, leadOf(send).zone).day].join(" "),
    );
    expect(days.length - new Set(days).size).toBe(0);
  });

  long.it("keeps the cap of each local day of a workspace, and reaches it", () => {
    const berlin = year.sends.filter((send) => leadOf(send).place === BERLIN);
    const days = Map.groupBy(berlin, (send) => wallClock(send.at, BERLIN.zone).day);
    expect(Math.max(...[...days.values()].map(({ length }) => length))).toBe(BERLIN.cap);
  });

  long.it("sends nothing in an outage, and after it no lead more than one touch in a gap", () => {
    const during = year.sends.filter((send) => OUTAGES.some(([from, until]) => send.at >= from && send.at < until));
    expect(during).toEqual([]);
    for (const [from, until] of OUTAGES) {
      const [first] = year.reports.filter(({ timestamp }) => Date.parse(timestamp ?? "") >= until);
      expect(first?.timestamp).toBe(new Date(until).toISOString());
      expect(first?.results?.oldestDueSeconds).toBeGreaterThan(0);
      expect((first?.results?.oldestDueSeconds ?? 0) * 1_000).toBeLessThanOrEqual(until - from + MINUTE);
      for (const sends of byLead()) {
        const soon = sends.filter(
          (send) => send.at >= until && send.at < until + leadOf(send).place.gapMinutes * MINUTE,
        );
        expect(soon.length).toBeLessThanOrEqual(1);
      }
    }
  });
});

/** Whole days count in local wall-clock time. */
function waitedMinutes(from: number, until: number, zone: string, delayMinutes: number): number {
  if (delayMinutes % (24 * 60) !== 0) return (until - from) / MINUTE;
  const [first, last] = [wallClock(from, zone), wallClock(until, zone)];
  return (last.day - first.day) * 24 * 60 + last.minute - first.minute;
}
