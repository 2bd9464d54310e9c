import { randomUUID } from "node:crypto";
import { SWEEP_DEFAULTS } from "../../lib/booking/eligibility.ts";
import {
  type ConnectionName,
  RECONCILE_LIMITS,
  type ReconcilePorts,
  Reconciler,
  type ReconcileSettings,
} from "../../lib/booking/reconcile.ts";
import { bookingTool } from "../../lib/booking/tools.ts";
import type { TranslatedFact } from "../../lib/inbound/translation.ts";
import { type StandIn, type StandInMeeting, TOKEN, type ToolUnderTest } from "./stand-ins/stand-in.ts";

export const MINUTE = 60_000;
export const DAY = 1_440 * MINUTE;

/** A meeting that starts so many milliseconds from now. */
export const meetingIn = (id: string, ms: number, changes: Partial<StandInMeeting> = {}): StandInMeeting => ({
  id,
  email: `${id}@example.com`,
  status: "confirmed",
  startsAt: new Date(Date.now() + ms),
  minutes: 30,
  bookedAt: new Date(Date.now() - DAY),
  changedAt: new Date(Date.now() - DAY),
  ...changes,
});

/** A connection whose tool is a server on this machine. */
export interface TestConnection extends ConnectionName {
  readonly standIn: StandIn;
  readonly definition: ToolUnderTest;
  /** Whether its secret names the event type whose free times are reported. */
  offersTimes: boolean;
  apiToken: string | undefined;
}

export const connectionTo = (
  definition: ToolUnderTest,
  standIn: StandIn,
  workspaceId: string = randomUUID(),
): TestConnection => ({
  workspaceId,
  tool: definition.name,
  standIn,
  definition,
  offersTimes: false,
  apiToken: TOKEN,
});

/** Everything that a reconciliation touches, with a clock that tests move. */
export class TestStage {
  readonly facts: TranslatedFact[] = [];
  readonly log: string[] = [];
  busAccepts = true;
  #minutes = 0;
  connections: TestConnection[];
  readonly #settings: Partial<ReconcileSettings>;
  #reconciler: Reconciler;

  constructor(connections: TestConnection[], settings: Partial<ReconcileSettings> = {}) {
    this.connections = connections;
    this.#settings = settings;
    this.#reconciler = this.#cold();
  }

  #cold(): Reconciler {
    const ports: ReconcilePorts = {
      connections: () => Promise.resolve(this.connections.map(({ workspaceId, tool }) => ({ workspaceId, tool }))),
      open: (name) => Promise.resolve(this.#open(name)),
      put: (facts) => {
        if (this.busAccepts) this.facts.push(...facts);
        return Promise.resolve(this.busAccepts);
      },
      now: () => new Date(Date.now() + this.#minutes * MINUTE),
      log: { error: (event, fields) => void this.log.push(JSON.stringify({ event, ...fields })) },
    };
    return new Reconciler(ports, { ...SWEEP_DEFAULTS, ...RECONCILE_LIMITS, ...this.#settings });
  }

  #open({ workspaceId, tool }: ConnectionName) {
    const connection = this.connections.find((one) => one.workspaceId === workspaceId && one.tool === tool);
    if (connection?.apiToken === undefined) return undefined;
    const { apiToken, standIn, definition, offersTimes } = connection;
    const { account, eventType } = definition.settings;
    const settings = { apiToken, apiUrl: standIn.url, account, ...(offersTimes && { eventType }) };
    return {
      tool: bookingTool(tool, settings, { timeoutMs: 300, mostBytes: 1_000_000 }),
      ownAddresses: ["@team.example"],
    };
  }

  /** A new process: it remembers nothing. */
  restart(): void {
    this.#reconciler = this.#cold();
  }

  pass(minutes: number): void {
    this.#minutes += minutes;
  }

  /** One run, and the facts that it put on the bus. */
  async run(remainingMs = 50_000) {
    const before = this.facts.length;
    const end = Date.now() + remainingMs;
    const report = await this.#reconciler.run(() => end - Date.now());
    const facts = this.facts.slice(before);
    const ofSweeps = facts.flatMap((fact) => (fact.type === "connection.swept" ? [fact.detail] : []));
    const freeTimes = facts.flatMap((fact) => (fact.type === "connection.availability" ? [fact.detail] : []));
    return { report, meetings: facts.filter(({ type }) => type.startsWith("meeting.")), sweeps: ofSweeps, freeTimes };
  }
}
