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
export type IntakeReport = Record<FactOutcome["outcome"] | "failed", number>;

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
  const report: IntakeReport = { applied: 0, stale: 0, duplicate: 0, refused: 0, failed: 0 };
  const failed = await pLimit(MESSAGES_AT_ONCE).map(messages, async (message) => {
    const became = await takeIn(message, ports);
    report[became]++;
    return became === "failed" ? [message.messageId] : [];
  });
  ports.log.info("intake.finished", { messages: messages.length, ...report });
  return { report, failedMessageIds: failed.flat() };
}

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

async function takeIn(message: ReceivedMessage, ports: IntakePorts): Promise<keyof IntakeReport> {
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
    } else log.info(`event.${became.outcome}`, { messageId, ...origin });
    return became.outcome;
  } catch (thrown) {
    // The message alone: the details of a database fault hold values of the row.
    log.error("event.failed", { messageId, fault: thrown instanceof Error ? thrown.message : String(thrown) });
    return "failed";
  }
}
