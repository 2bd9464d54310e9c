import { describe, expect, it } from "@jest/globals";
import { nextOpening } from "../../lib/domain/calendar.ts";
import { capDayEnd, capDayOf } from "../../lib/domain/send-times.ts";
import type { DueCandidate } from "../../lib/run/claim-ports.ts";
import type { FollowUpStore } from "../../lib/run/store-ports.ts";
import { addInstance, addLead, addSequence, addWorkspace } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { clockAt, type Runner, useRunner } from "../support/run.ts";
import { type Send, simulate } from "../support/simulation.ts";

/** A Monday. */
const START = Date.UTC(2030, 0, 7);
const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;
const DAYS = 28;
const CAP = 3;
const ZONES = ["Asia/Tokyo", "Europe/Berlin", "America/Sao_Paulo"];
const HOURS = { days: [1, 2, 3, 4, 5, 6, 7], start: "09:00", end: "17:00" };

const { sql, runner } = await useRunner({ empty: true });

interface Followed {
  readonly leadId: string;
  readonly zone: string;
  readonly due: number;
}

/** Each day brings more leads than the cap allows, at all hours, most of them in the zone that opens first. */
async function addMonth(): Promise<readonly Followed[]> {
  const workspaceId = await addWorkspace(sql, {
    time_zone: "Europe/Berlin",
    daily_cap: CAP,
    window_start: HOURS.start,
    window_end: HOURS.end,
  });
  const { id } = await addSequence(sql, workspaceId);
  const leads: Followed[] = [];
  for (let number = 0; number < DAYS * 4; number++) {
    const zone = ZONES[[0, 1, 0, 2][number % 4] ?? 0] ?? "";
    const due = START + Math.floor(number / 4) * DAY + ((number * 7) % 24) * HOUR + (number % 60) * 60_000;
    const leadId = await addLead(sql, workspaceId, { time_zone: zone, email: `lead-${number}@example.test` });
    await addInstance(sql, leadId, id, { next_step_due: new Date(due) });
    leads.push({ leadId, zone, due });
  }
  return leads;
}

const capDay = (at: number) => capDayOf("Europe/Berlin", new Date(at));

/** True if the lead could have been contacted on the cap day of that send. */
function couldGo({ zone, due }: Followed, onTheDayOf: number): boolean {
  const dayEnd = capDayEnd("Europe/Berlin", new Date(onTheDayOf)).getTime();
  const from = new Date(Math.max(due, dayEnd - DAY));
  const opening = nextOpening(from, { zone, window: HOURS, isHoliday: () => false });
  return opening !== null && opening.from.getTime() < dayEnd && from.getTime() < dayEnd;
}

/** Sends that used the cap while a longer-waiting lead could have been contacted that day. */
function overtaken(leads: readonly Followed[], sends: readonly Send[]): readonly string[] {
  const sentAt = new Map(sends.map(({ at, touch }) => [touch.leadId, at]));
  const byLead = new Map(leads.map((lead) => [lead.leadId, lead]));
  return sends.flatMap(({ at, touch }) => {
    const sent = byLead.get(touch.leadId);
    const passedOver = leads.filter(
      (older) =>
        older.due < (sent?.due ?? 0) &&
        capDay(sentAt.get(older.leadId) ?? Number.MAX_SAFE_INTEGER / 2 ** 10) > capDay(at) &&
        couldGo(older, at),
    );
    return passedOver.map((older) => `${older.zone} of ${new Date(older.due).toISOString()} on ${capDay(at)}`);
  });
}

const month = (store: FollowUpStore = runner.ports.store) => {
  const through: Runner = { ...runner, run: (event, changes) => runner.run(event, { ...changes, store }) };
  return simulate(through, sql, { from: START - 60_000, until: START + DAYS * DAY });
};

/** Without the queue: each step uses what is left of the cap when its window opens. */
const withoutQueue: FollowUpStore["claimDue"] = (query, plan) =>
  runner.ports.store.claimDue(query, (candidates) => plan(candidates.map(withoutAhead)));

function withoutAhead(candidate: DueCandidate): DueCandidate {
  if (!("item" in candidate.read)) return candidate;
  const { ahead: _, ...instance } = candidate.read.item.instance;
  return { ...candidate, read: { item: { ...candidate.read.item, instance } } };
}

describe("a month in which a cap binds", () => {
  long.it(
    "gives each place of the cap to the lead that has waited longest and can use it, across zones",
    async () => {
      const leads = await addMonth();
      const { sends, reports } = await month();
      expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
      expect(overtaken(leads, sends)).toEqual([]);
      const days = Map.groupBy(sends, ({ at }) => capDay(at));
      for (const [, ofDay] of days) expect(ofDay.length).toBeLessThanOrEqual(CAP);
      // The cap is fully used while leads can be contacted.
      expect(sends.length).toBeGreaterThanOrEqual((DAYS - 2) * CAP);
      const served = new Set(sends.map(({ touch }) => touch.leadId));
      const oldest = leads.toSorted((one, other) => one.due - other.due).slice(0, (DAYS - 4) * CAP);
      expect(oldest.filter(({ leadId }) => !served.has(leadId))).toEqual([]);
    },
    300_000,
  );

  long.it(
    "negative control: first come, first served would let the first zone take the whole cap",
    async () => {
      const leads = await addMonth();
      const { sends } = await month({ ...runner.ports.store, claimDue: withoutQueue });
      expect(overtaken(leads, sends).length).toBeGreaterThan(0);
      const served = new Set(sends.map(({ touch }) => touch.leadId));
      const waiting = leads.filter(({ leadId, due }) => due < START + 14 * DAY && !served.has(leadId));
      expect(new Set(waiting.map(({ zone }) => zone))).toContain("America/Sao_Paulo");
      expect(waiting.map(({ zone }) => zone)).not.toContain("Asia/Tokyo");
    },
    300_000,
  );
});

describe("a place that an older step leaves", () => {
  it("goes to the next one on the same day, if its window is still open", async () => {
    const workspaceId = await addWorkspace(sql, { daily_cap: 1, window_start: "09:00", window_end: "17:00" });
    const { id } = await addSequence(sql, workspaceId);
    const add = async (zone: string, due: number, hold: Date | null) => {
      const leadId = await addLead(sql, workspaceId, { time_zone: zone });
      await addInstance(sql, leadId, id, {
        next_step_due: hold ?? new Date(due),
        ...(hold && { hold_reason: "daily_cap_reached", held_since: new Date(due) }),
      });
      return leadId;
    };
    const eleven = new Date(START + 11 * HOUR);
    const older = await add("Etc/GMT+2", START - 5 * DAY, eleven);
    const newer = await add("UTC", START + 9 * HOUR, null);
    const runAt = async (hours: number) => {
      runner.channel.sent.length = 0;
      await runner.run({}, clockAt(START + hours * HOUR));
      return runner.channel.sent.map(({ leadId }) => leadId);
    };
    expect(await runAt(10)).toEqual([]);
    const { rows } = await sql.query("select hold_reason, next_step_due from follow_up_instance where lead_id = $1", [
      newer,
    ]);
    expect(rows).toEqual([{ hold_reason: "daily_cap_reached", next_step_due: eleven }]);
    await sql.query("update lead set opted_out_at = now() where id = $1", [older]);
    expect(await runAt(11)).toEqual([newer]);
  });

  it.each([
    ["one that is held because its sequence is inactive", "sequence_inactive"],
    ["one whose time zone does not exist", "invalid_time_zone"],
  ])("is not reserved for %s", async (_, reason) => {
    const workspaceId = await addWorkspace(sql, { daily_cap: 1 });
    const { id } = await addSequence(sql, workspaceId);
    const held = { hold_reason: reason, held_since: new Date(START - DAY), next_step_due: new Date(START + 11 * HOUR) };
    await addInstance(sql, await addLead(sql, workspaceId), id, held);
    await addInstance(sql, await addLead(sql, workspaceId), id, { next_step_due: new Date(START) });
    const report = await runner.run({}, clockAt(START + 10 * HOUR));
    expect(report.results).toMatchObject({ claimed: 1, held: 0 });
  });
});
