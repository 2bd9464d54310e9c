import pLimit from "p-limit";
import type { EnrolmentVerdict } from "../domain/enrolment.ts";
import type { Fact } from "../inbound/facts.ts";
import { parseEvent } from "../inbound/parse-event.ts";
import type { ReceivedMessage } from "./deliver-messages.ts";
import { type Log, SchemaOutOfDate } from "./ports.ts";

/** The intake's external dependencies. */
export interface IntakePorts {
  /** Schema parts that this code needs and the database lacks. Throws DatabaseUnreachable. */
  readonly missingSchema: () => Promise<readonly string[]>;
  /** Applies a fact in one transaction. Throws transient errors, such as DatabaseUnreachable. */
  readonly apply: (fact: Fact) => Promise<FactOutcome>;
  readonly deadLetters: DeadLetterQueue;
  readonly log: Log;
}

/** Keeps refused events for manual review. */
export interface DeadLetterQueue {
  keep(message: ReceivedMessage, reason: string): Promise<void>;
}

/** Number of events per outcome. */
type Outcomes = Record<FactOutcome["outcome"] | "failed", number>;

export interface IntakeReport extends Outcomes {
  /** Leads created because a fact named no known lead. */
  created: number;
  /** Facts applied with warnings. */
  warned: number;
}

interface AppliedMessages {
  readonly report: IntakeReport;
  /** Messages that the queue must redeliver. */
  readonly failedMessageIds: readonly string[];
}

/** Each message holds a connection during its transaction. */
const MESSAGES_AT_ONCE = 3;

/**
 * Applies the facts of a batch of messages independently. A refused message goes to the dead-letter queue with the
 * reason; a failed one is redelivered. Redeliveries of applied events are no-ops. Throws SchemaOutOfDate, or
 * DatabaseUnreachable before any message is processed.
 */
export async function applyMessages(
  messages: readonly ReceivedMessage[],
  ports: IntakePorts,
): Promise<AppliedMessages> {
  await requireSchema(ports);
  const report = nothingApplied();
  const failed = await pLimit(MESSAGES_AT_ONCE).map(messages, async (message) => {
    const result = await applyMessage(message, ports);
    count(result, report);
    return result.outcome === "failed" ? [message.messageId] : [];
  });
  ports.log.info("intake.finished", { messages: messages.length, ...report });
  return { report, failedMessageIds: failed.flat() };
}

type Result = FactOutcome | { readonly outcome: "failed" };

/** Adds one outcome to the report. */
function count(result: Result, report: IntakeReport): void {
  report[result.outcome]++;
  if (result.outcome !== "applied" && result.outcome !== "stale") return;
  report.created += result.created ?? 0;
  report.warned += result.warnings ? 1 : 0;
}

const nothingApplied = (): IntakeReport => ({
  applied: 0,
  stale: 0,
  duplicate: 0,
  refused: 0,
  failed: 0,
  created: 0,
  warned: 0,
});

/** Applies one event. Throws transient errors. */
export async function applyEvent(body: string, ports: Omit<IntakePorts, "deadLetters" | "log">): Promise<FactOutcome> {
  await requireSchema(ports);
  const parsed = parseEvent(body);
  return parsed.ok ? await ports.apply(parsed.fact) : { outcome: "refused", reason: parsed.reason };
}

async function requireSchema({ missingSchema }: Pick<IntakePorts, "missingSchema">): Promise<void> {
  const missing = await missingSchema();
  if (missing.length > 0) throw new SchemaOutOfDate(missing);
}

async function applyMessage(message: ReceivedMessage, ports: IntakePorts): Promise<Result> {
  const { deadLetters, log } = ports;
  const { messageId, body } = message;
  try {
    const parsed = parseEvent(body);
    const origin = parsed.ok ? { type: parsed.fact.type, workspaceId: parsed.fact.workspaceId } : {};
    const result = parsed.ok
      ? await ports.apply(parsed.fact)
      : ({ outcome: "refused", reason: parsed.reason } as const);
    if (result.outcome === "refused") {
      await deadLetters.keep(message, result.reason);
      log.error("event.refused", { messageId, ...origin, reason: result.reason });
    } else log.info(`event.${result.outcome}`, { messageId, ...origin, ...remarksOf(result) });
    return result;
  } catch (thrown) {
    // Log only the message: the details of a database error contain row values.
    log.error("event.failed", { messageId, fault: thrown instanceof Error ? thrown.message : String(thrown) });
    return { outcome: "failed" };
  }
}

function remarksOf(result: FactOutcome) {
  if (result.outcome !== "applied" && result.outcome !== "stale") return {};
  const { created, warnings } = result;
  return { ...(created !== undefined && { created }), ...(warnings && { warnings }) };
}

interface Remarks {
  /** Leads created because the fact named no known lead; absent if none. */
  readonly created?: number;
  /** Faults of a fact that was applied nevertheless, because it stops something. */
  readonly warnings?: readonly string[];
}

/** The result of applying a fact. */
export type FactOutcome =
  | (Remarks & {
      readonly outcome: "applied";
      /** Instances ended, touches cancelled and instances started. */
      readonly ended: number;
      readonly cancelledTouches: number;
      readonly started: number;
      /** For an enrolment: one verdict per lead, in the order of the event. */
      readonly verdicts?: readonly EnrolmentVerdict[];
    })
  /** A later event was applied before. The fact still ends what it would have ended at its time. */
  | (Remarks & { readonly outcome: "stale"; readonly ended: number; readonly cancelledTouches: number })
  /** A redelivery of an applied event; a no-op. */
  | { readonly outcome: "duplicate" }
  /** Nothing changed; the event needs attention. */
  | { readonly outcome: "refused"; readonly reason: string };
