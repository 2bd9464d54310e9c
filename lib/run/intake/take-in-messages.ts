import pLimit from "p-limit";
import type { ReceivedMessage } from "../deliver-messages.ts";
import { type Log, SchemaOutOfDate } from "../ports.ts";
import type { Fact } from "./facts.ts";
import type { FactOutcome } from "./outcome.ts";
import { parseEvent } from "./parse-event.ts";

/** All that the intake reaches the world through. */
export interface IntakePorts {
  /** What the database lacks of the schema that this code was built with. Throws DatabaseUnreachable. */
  readonly missingSchema: () => Promise<readonly string[]>;
  /** One transaction. Throws what may pass, DatabaseUnreachable for one. */
  readonly apply: (fact: Fact) => Promise<FactOutcome>;
  readonly deadLetters: DeadLetterQueue;
  readonly log: Log;
}

/** Keeps what was refused for a person. */
export interface DeadLetterQueue {
  keep(message: ReceivedMessage, reason: string): Promise<void>;
}

/** How many events ended so. */
type Outcomes = Record<FactOutcome["outcome"] | "failed", number>;

export interface IntakeReport extends Outcomes {
  /** Leads that were made because a fact named nobody who was known. */
  created: number;
  /** Facts that were applied with warnings. */
  warned: number;
}

export interface TakenIn {
  readonly report: IntakeReport;
  /** Those that the queue has to hand out again. */
  readonly failedMessageIds: readonly string[];
}

/** Each has a connection for as long as its transaction lasts. */
const MESSAGES_AT_ONCE = 3;

/**
 * Applies the facts of some messages, each by itself: one that is refused is kept with the reason, one that fails is
 * handed out again, and neither touches the others. One that comes twice is applied once. Throws SchemaOutOfDate, and
 * DatabaseUnreachable where nothing could be begun.
 */
export async function takeInMessages(messages: readonly ReceivedMessage[], ports: IntakePorts): Promise<TakenIn> {
  await requireSchema(ports);
  const report = nothingTakenIn();
  const failed = await pLimit(MESSAGES_AT_ONCE).map(messages, async (message) => {
    const became = await takeIn(message, ports);
    count(became, report);
    return became.outcome === "failed" ? [message.messageId] : [];
  });
  ports.log.info("intake.finished", { messages: messages.length, ...report });
  return { report, failedMessageIds: failed.flat() };
}

type Became = FactOutcome | { readonly outcome: "failed" };

/** Every figure of what one event became. */
export function count(became: Became, report: IntakeReport): void {
  report[became.outcome]++;
  if (became.outcome !== "applied" && became.outcome !== "stale") return;
  report.created += became.created ?? 0;
  report.warned += became.warnings ? 1 : 0;
}

export const nothingTakenIn = (): IntakeReport => ({
  applied: 0,
  stale: 0,
  duplicate: 0,
  refused: 0,
  failed: 0,
  created: 0,
  warned: 0,
});

/** Applies one event by itself. Throws what may pass. */
export async function takeInEvent(body: string, ports: Omit<IntakePorts, "deadLetters" | "log">): Promise<FactOutcome> {
  await requireSchema(ports);
  const parsed = parseEvent(body);
  return parsed.ok ? await ports.apply(parsed.fact) : { outcome: "refused", reason: parsed.reason };
}

async function requireSchema({ missingSchema }: Pick<IntakePorts, "missingSchema">): Promise<void> {
  const missing = await missingSchema();
  if (missing.length > 0) throw new SchemaOutOfDate(missing);
}

async function takeIn(message: ReceivedMessage, ports: IntakePorts): Promise<Became> {
  const { deadLetters, log } = ports;
  const { messageId, body } = message;
  try {
    const parsed = parseEvent(body);
    const origin = parsed.ok ? { type: parsed.fact.type, workspaceId: parsed.fact.workspaceId } : {};
    const became = parsed.ok
      ? await ports.apply(parsed.fact)
      : ({ outcome: "refused", reason: parsed.reason } as const);
    if (became.outcome === "refused") {
      await deadLetters.keep(message, became.reason);
      log.error("event.refused", { messageId, ...origin, reason: became.reason });
    } else log.info(`event.${became.outcome}`, { messageId, ...origin, ...remarksOf(became) });
    return became;
  } catch (thrown) {
    // The message alone: the details of a database fault hold values of the row.
    log.error("event.failed", { messageId, fault: thrown instanceof Error ? thrown.message : String(thrown) });
    return { outcome: "failed" };
  }
}

function remarksOf(became: FactOutcome) {
  if (became.outcome !== "applied" && became.outcome !== "stale") return {};
  const { created, warnings } = became;
  return { ...(created !== undefined && { created }), ...(warnings && { warnings }) };
}
