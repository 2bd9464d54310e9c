import pLimit from "p-limit";
import type { BookingToolName, SweepWindow } from "../domain/labels.ts";
import type { SweepFault } from "../domain/sweeps.ts";
import { ConnectionState } from "./connection-state.ts";
import type { SweepSettings } from "./eligibility.ts";
import { freeTimesOf } from "./free-times.ts";
import type { BookingTool, CallBudget } from "./port.ts";
import { RunBudget, type TurnLimits } from "./run-budget.ts";
import { concernsAll, faultOf, NOTHING, type PutFacts, reasonOf, type SweepResult, sweep } from "./sweep.ts";

/** A workspace's account with a booking tool. */
export interface ConnectionName {
  readonly workspaceId: string;
  readonly tool: BookingToolName;
}

interface OpenConnection {
  readonly tool: BookingTool;
  /** Addresses of the team, or domains with a leading `@`. */
  readonly ownAddresses: readonly string[];
}

interface UnusableConnection {
  readonly fault: SweepFault;
  readonly reason: string;
}

/** The ports of a reconciliation. */
export interface ReconcilePorts {
  /** All connections of the stage. */
  connections(): Promise<readonly ConnectionName[]>;
  /** Undefined if the connection has no token for the API: it only receives webhooks. Never rejects. */
  open(name: ConnectionName): Promise<OpenConnection | UnusableConnection | undefined>;
  readonly put: PutFacts;
  now(): Date;
  readonly log: { error(event: string, fields: Record<string, unknown>): void };
}

/**
 * - `healthy`: no connection is failing.
 * - `degraded`: some are, or all of them only for single meetings that cannot be read.
 * - `circuit_broken`: all are, so that the fault is probably ours.
 */
type Health = "healthy" | "degraded" | "circuit_broken";

/** Counts of one run. */
export interface ReconcileReport {
  /** Connections that can be swept. */
  connections: number;
  /** Windows that were read completely. */
  swept: number;
  /** Meetings of the windows that were due. */
  seen: number;
  /** Meetings about which a new fact was put on the bus. */
  changed: number;
  /** Meetings and calendars of these windows that cannot be read. The log names them. */
  unread: number;
  /** Windows that could not be read completely. */
  failed: number;
  health: Health;
}

export interface ReconcileSettings extends SweepSettings, TurnLimits {
  readonly callsPerRun: number;
  readonly turnsAtOnce: number;
}

/**
 * A hundred calls a minute are below the limit of every tool's paid plan (Cal.com: 120). If 50 connections hang, ten
 * at a time and each for 10 s, every one gets its turn within two runs.
 */
export const RECONCILE_LIMITS = { callsPerRun: 1_000, callsPerTurn: 100, turnMs: 10_000, turnsAtOnce: 10 } as const;

/** Kept for the end of a turn: its last facts, and that of its sweep. Each may wait 4 s for the bus. */
const MARGIN_MS = 9_000;

/** So many unread meetings of a window are logged by name. */
const MOST_NAMED = 20;

interface Turn extends ConnectionName {
  readonly state: ConnectionState;
}

/** Compares the connections of a stage with their tools, one run after the other. Remembers what it has sent. */
export class Reconciler {
  readonly #states = new Map<string, ConnectionState>();
  readonly #ports: ReconcilePorts;
  readonly #settings: ReconcileSettings;

  constructor(ports: ReconcilePorts, settings: ReconcileSettings) {
    this.#ports = ports;
    this.#settings = settings;
  }

  /**
   * One run over the connections that are due, the one first whose turn is longest ago. Ends before `remainingMs` are
   * over. Rejects if the connections cannot be listed. A fault of one connection only fails that one.
   */
  async run(remainingMs: () => number): Promise<ReconcileReport> {
    const turns = await this.#turns();
    const now = this.#ports.now();
    const due = turns
      .filter(({ state }) => state.due(now).length > 0)
      .sort((one, other) => one.state.lastTurn - other.state.lastTurn);
    const budget = new RunBudget(this.#settings.callsPerRun, remainingMs() - MARGIN_MS);
    const counts = { swept: 0, seen: 0, changed: 0, unread: 0, failed: 0 };
    const report: ReconcileReport = { connections: 0, ...counts, health: "healthy" };
    await pLimit(this.#settings.turnsAtOnce).map(due, async (turn) => {
      if (!budget.isSpent()) await this.#take(turn, budget, report);
    });
    const sweeping = turns.filter(({ state }) => state.sweeps);
    return { ...report, connections: sweeping.length, health: healthOf(sweeping) };
  }

  async #turns(): Promise<readonly Turn[]> {
    const listed = await this.#ports.connections();
    const keyOf = ({ workspaceId, tool }: ConnectionName) => `${workspaceId}/${tool}`;
    const keys = new Set(listed.map(keyOf));
    for (const key of this.#states.keys()) if (!keys.has(key)) this.#states.delete(key);
    return listed.map((name) => {
      const state = this.#states.get(keyOf(name)) ?? new ConnectionState();
      this.#states.set(keyOf(name), state);
      return { ...name, state };
    });
  }

  async #take(turn: Turn, budget: RunBudget, report: ReconcileReport): Promise<void> {
    const { state } = turn;
    const calls = budget.forTurn(this.#settings);
    const opened = await this.#ports.open(turn);
    if (opened === undefined) return state.rest(this.#ports.now(), this.#settings);
    let hotBegun: Date | undefined;
    for (const [place, window] of state.due(this.#ports.now()).entries()) {
      const begun = this.#ports.now();
      const found = await this.#sweep(turn, opened, { window, begun, calls });
      const result = await this.#report(turn, window, found);
      count(report, result);
      // The first window of a turn may leave no calls for the second.
      const isCut = result.hasAdvanced || place > 0 || budget.isSpent();
      const goesOn = result.fault === "out_of_budget" && isCut;
      state.settle({ window, begun, result, goesOn }, this.#settings);
      // A fault of single meetings leaves the other window its sweep.
      if (result.fault !== null && concernsAll(result.fault)) return;
      if (window === "hot") hotBegun = begun;
    }
    if (hotBegun && !("fault" in opened)) await this.#reportFreeTimes(turn, opened, { begun: hotBegun, calls });
  }

  /**
   * With each sweep of the hot window, after the meetings, which matter more. A fault is logged: texts that offer times
   * then wait for a report.
   */
  async #reportFreeTimes(
    { workspaceId, tool }: ConnectionName,
    opened: OpenConnection,
    { begun, calls }: { readonly begun: Date; readonly calls: CallBudget },
  ): Promise<void> {
    const log = (fault: SweepFault, reason: string) =>
      this.#ports.log.error("connection.free_times_failed", { workspaceId, tool, fault, reason });
    try {
      const found = await freeTimesOf(opened.tool, { workspaceId, now: begun }, calls);
      if (!found) return;
      await this.#ports.put([found.fact]);
      const [first] = found.unread;
      if (first) log(first.fault, first.reason);
    } catch (thrown) {
      log(faultOf(thrown), reasonOf(thrown));
    }
  }

  async #sweep(
    { workspaceId, state }: Turn,
    opened: OpenConnection | UnusableConnection,
    { window, begun, calls }: { readonly window: SweepWindow; readonly begun: Date; readonly calls: CallBudget },
  ): Promise<SweepResult> {
    if ("fault" in opened) return { ...NOTHING, unread: [], begun, ...opened };
    const [settings, { put }] = [this.#settings, this.#ports];
    return await sweep({
      ...opened,
      workspaceId,
      memory: state.memory,
      window,
      settings,
      now: begun,
      budget: calls,
      put,
    });
  }

  /** Every sweep is a fact, also one that failed. Without the bus, only the log and the report know of it. */
  async #report({ workspaceId, tool }: ConnectionName, window: SweepWindow, result: SweepResult): Promise<SweepResult> {
    const { begun, seen, changed, fault, reason } = result;
    const occurredAt = begun.toISOString();
    const eventId = `swept:${tool}:${window}:${occurredAt}`;
    const detail = { workspaceId, eventId, occurredAt, tool, window, seen, changed, fault };
    const isReported = await this.#ports.put([{ type: "connection.swept", detail }]);
    const reported = isReported || fault !== null ? result : { ...result, fault: "bus_unavailable" as const };
    if (reported.fault !== null) {
      const unread = result.unread.slice(0, MOST_NAMED).map(({ id, reason: why }) => ({ id, reason: why }));
      const named = unread.length > 0 ? { unread } : {};
      this.#ports.log.error("connection.failed", {
        workspaceId,
        tool,
        window,
        fault: reported.fault,
        reason,
        ...named,
      });
    }
    return reported;
  }
}

function count(report: ReconcileReport, { seen, changed, unread, fault }: SweepResult): void {
  report.seen += seen;
  report.unread += unread.length;
  report.changed += changed;
  if (fault === null) report.swept += 1;
  else report.failed += 1;
}

function healthOf(sweeping: readonly Turn[]): Health {
  if (!sweeping.some(({ state }) => state.isFailing)) return "healthy";
  return sweeping.every(({ state }) => state.isBroken) ? "circuit_broken" : "degraded";
}
