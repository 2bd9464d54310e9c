import type pg from "pg";
import type { OutgoingTouch } from "../../lib/run/channel-ports.ts";
import type { Report } from "../../lib/run/report.ts";
import { accept, clockAt, type Runner } from "./run.ts";

/** A half-open interval in Unix milliseconds: `from` is inclusive, `until` exclusive. */
export type Span = readonly [from: number, until: number];

export interface Send {
  readonly at: number;
  readonly touch: OutgoingTouch;
}

export interface Simulated {
  readonly reports: readonly Report[];
  /** The touches that the provider accepted, in order. */
  readonly sends: readonly Send[];
}

export interface Simulation {
  readonly from: number;
  /** The latest end of the simulation. */
  readonly until: number;
  /** Periods without runs. */
  readonly outages?: readonly Span[];
  /** Whether the provider accepts the touch; otherwise it returns a transient error. By default it accepts all. */
  readonly takes?: (touch: OutgoingTouch) => boolean;
}

const MINUTE_MS = 60_000;

/**
 * Runs the engine like a schedule that invokes it each minute, but skips idle runs: it jumps to the next instant at
 * which a row is due. Ends when no row will be due.
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
    reports.push(await runner.run({ trigger: "schedule" }, clockAt(now)));
  }
  return { reports, sends };
}

const afterOutage = (at: number, outages: readonly Span[]): number =>
  outages.find(([from, until]) => at >= from && at < until)?.[1] ?? at;

async function nextLook(sql: pg.Pool): Promise<number | null> {
  const { rows } = await sql.query<{ next: Date | null }>(
    `select least((select min(next_step_due) from follow_up_instance where status = 'active'),
                  (select min(recheck_at) from follow_up_instance where status = 'paused' and recheck_at < 'infinity'),
                  (select min(recheck_at) from touch where status in ('claimed', 'sending', 'awaiting_approval'))) as next`,
  );
  return rows[0]?.next?.getTime() ?? null;
}
