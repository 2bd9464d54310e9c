import pLimit from "p-limit";
import type { EnrolmentVerdict } from "../domain/enrolment.ts";
import type { Fact } from "../inbound/facts.ts";
import type { ReceivedMessage } from "./deliver-messages.ts";
import { factsOfMessage, type InboundOwners, type ReceivedMails } from "./facts-of-message.ts";
import { type Log, SchemaOutOfDate } from "./ports.ts";

/** The intake's external dependencies. */
export interface IntakePorts {
  /** Schema parts that this code needs and the database lacks. Throws DatabaseUnreachable. */
  readonly missingSchema: () => Promise<readonly string[]>;
  /** Applies a fact in one transaction. Throws transient errors, such as DatabaseUnreachable. */
  readonly apply: (fact: Fact) => Promise<FactOutcome>;
  readonly owners: InboundOwners;
  /** Absent where no mails are received. */
  readonly mails?: ReceivedMails;
  readonly deadLetters: DeadLetterQueue;
  readonly log: Log;
}

/** Keeps refused events for manual review. */
export interface DeadLetterQueue {
  keep(message: ReceivedMessage, reason: string): Promise<void>;
}

/** Number of facts per outcome, and of messages that were ignored or failed. */
type Outcomes = Record<Result["outcome"], number>;

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
  const ignoredBecause: Record<string, number> = {};
  const failed = await pLimit(MESSAGES_AT_ONCE).map(messages, async (message) => {
    const results = await applyMessage(message, ports);
    for (const result of results) {
      count(result, report);
      if (result.outcome === "ignored") ignoredBecause[result.reason] = (ignoredBecause[result.reason] ?? 0) + 1;
    }
    return results.some(({ outcome }) => outcome === "failed") ? [message.messageId] : [];
  });
  const ignored = report.ignored > 0 ? { ignoredBecause } : {};
  ports.log.info("intake.finished", { messages: messages.length, ...report, ...ignored });
  return { report, failedMessageIds: failed.flat() };
}

/** A message that concerns no lead. The reason is a label. */
interface Ignored {
  readonly outcome: "ignored";
  readonly reason: string;
}

/** The outcome of one fact, or of a message without a fact. */
export type EventOutcome = FactOutcome | Ignored;

type Result = EventOutcome | { readonly outcome: "failed" };

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
  ignored: 0,
  created: 0,
  warned: 0,
});

/** Applies the facts of one event and returns their outcomes. Throws transient errors. */
export async function applyEvent(
  body: string,
  ports: Omit<IntakePorts, "deadLetters" | "log">,
): Promise<readonly EventOutcome[]> {
  await requireSchema(ports);
  const found = await factsOfMessage(body, ports);
  if (found.kind !== "facts") return [{ outcome: found.kind, reason: found.reason }];
  return await inTurn(found.facts, ports.apply);
}

async function inTurn<Item, Outcome>(items: readonly Item[], work: (item: Item) => Promise<Outcome>) {
  const outcomes: Outcome[] = [];
  for (const item of items) outcomes.push(await work(item));
  return outcomes;
}

async function requireSchema({ missingSchema }: Pick<IntakePorts, "missingSchema">): Promise<void> {
  const missing = await missingSchema();
  if (missing.length > 0) throw new SchemaOutOfDate(missing);
}

/**
 * Each fact has its own transaction, and none waits for another: they may belong to different workspaces. If one fails,
 * the redelivered message finds the others applied.
 */
async function applyMessage(message: ReceivedMessage, ports: IntakePorts): Promise<readonly Result[]> {
  const found = await orFailed(message, ports, () => factsOfMessage(message.body, ports));
  if ("outcome" in found) return [found];
  if (found.kind === "ignored") return [{ outcome: "ignored", reason: found.reason }];
  if (found.kind === "facts") {
    const applied = async (fact: Fact) => await settled(await ports.apply(fact), message, ports, fact);
    return await inTurn(found.facts, (fact) => orFailed(message, ports, () => applied(fact)));
  }
  const refusal = { outcome: "refused", reason: found.reason } as const;
  return [await orFailed(message, ports, () => settled(refusal, message, ports))];
}

/** Logs only the message of an error: the details of a database error contain row values. */
async function orFailed<Work>({ messageId }: ReceivedMessage, { log }: IntakePorts, work: () => Promise<Work>) {
  try {
    return await work();
  } catch (thrown) {
    log.error("event.failed", { messageId, fault: thrown instanceof Error ? thrown.message : String(thrown) });
    return { outcome: "failed" } as const;
  }
}

/** Logs an outcome, and keeps a refused message for review. */
async function settled(
  result: FactOutcome,
  message: ReceivedMessage,
  { deadLetters, log }: IntakePorts,
  fact?: Fact,
): Promise<FactOutcome> {
  const about = { messageId: message.messageId, ...(fact && { type: fact.type, workspaceId: fact.workspaceId }) };
  if (result.outcome === "refused") {
    await deadLetters.keep(message, result.reason);
    log.error("event.refused", { ...about, reason: result.reason });
  } else log.info(`event.${result.outcome}`, { ...about, ...remarksOf(result) });
  return result;
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
