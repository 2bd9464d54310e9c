import type pg from "pg";
import type { OutgoingTouch } from "../../lib/run/delivery-ports.ts";
import type { Report } from "../../lib/run/report.ts";
import { accept, type Runner } from "./run.ts";

/** From the first instant until before the second, in milliseconds since 1970. */
export type Span = readonly [from: number, until: number];

export interface Send {
  readonly at: number;
  readonly touch: OutgoingTouch;
}

export interface Simulated {
  readonly reports: readonly Report[];
  /** What the provider accepted, from the first to the last. */
  readonly sends: readonly Send[];
}

export interface Simulation {
  readonly from: number;
  /** The simulation ends at the latest then. */
  readonly until: number;
  /** No run takes place in them. */
  readonly outages?: readonly Span[];
  /** Whether the provider takes it; where it does not, the fault passes. Default: it takes all. */
  readonly takes?: (touch: OutgoingTouch) => boolean;
}

const MINUTE_MS = 60_000;

/**
 * Runs the engine as a schedule does that invokes it each minute, without the runs that have nothing to do: from the
 * instant at which some row wants to be looked at to the next. Ends when no row wants to be.
 */
export async function simulate(runner: Runner, sql: pg.Pool, simulation: Simulation): Promise<Simulated> {
  const { from, until, outages = [], takes = () => true } = simulation;
  const reports: Report[] = [];
  const sends: Send[] = [];
  let at = from;
  runner.channel.answer = (touch) => {
    if (!takes(touch)) return { kind: "retry", reason: "provider_is_busy" };
    sends.push({ at, touch });
    return accept(touch);
  };
  for (let next = await nextLook(sql); next !== null; next = await nextLook(sql)) {
    at = afterOutage(Math.max(at + MINUTE_MS, Math.ceil(next / MINUTE_MS) * MINUTE_MS), outages);
    if (at >= until) break;
    const now = new Date(at);
    reports.push(await runner.run({ trigger: "schedule" }, { now: () => Promise.resolve(now) }));
  }
  return { reports, sends };
}

const afterOutage = (at: number, outages: readonly Span[]): number =>
  outages.find(([from, until]) => at >= from && at < until)?.[1] ?? at;

async function nextLook(sql: pg.Pool): Promise<number | null> {
  const { rows } = await sql.query<{ next: Date | null }>(
    `select least((select min(next_step_due) from follow_up_instance where status = 'active'),
                  (select min(recheck_at) from follow_up_instance where status = 'paused' and recheck_at < 'infinity'),
                  (select min(recheck_at) from touch where status in ('claimed', 'sending'))) as next`,
  );
  return rows[0]?.next?.getTime() ?? null;
}
