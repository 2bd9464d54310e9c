import {
  applyMessages,
  type DeadLetterQueue,
  type IntakePorts,
  type IntakeReport,
} from "../../lib/run/apply-messages.ts";
import type { Database } from "../../lib/store/connect.ts";
import { intakeStore } from "../../lib/store/facts/apply-fact.ts";
import { addFollowedLead, addSentTouch, addSequence, type Columns, type Sql } from "./factories.ts";

/** The outcome of a batch. */
interface TakenIn {
  readonly report: IntakeReport;
  readonly failedMessageIds: readonly string[];
  /** The reasons of the messages that were refused. */
  readonly refused: readonly string[];
  readonly ignored: Readonly<Record<string, number>>;
  /** Everything that was logged. */
  readonly log: string;
}

/** Lets the intake take a batch of message bodies. */
export async function takeIn(
  database: Database,
  bodies: readonly (string | object)[],
  changes: Partial<IntakePorts> = {},
): Promise<TakenIn> {
  const refused: string[] = [];
  const lines: string[] = [];
  let ignored = {};
  const write = (event: string, fields: object) => {
    lines.push(JSON.stringify({ event, ...fields }));
    if ("ignoredBecause" in fields) ignored = fields.ignoredBecause as object;
  };
  const deadLetters: DeadLetterQueue = { keep: (_message, reason) => Promise.resolve(void refused.push(reason)) };
  const messages = bodies.map((body, index) => ({
    messageId: String(index),
    body: typeof body === "string" ? body : JSON.stringify(body),
  }));
  const ports = { ...intakeStore(database), deadLetters, log: { info: write, error: write }, ...changes };
  return { ...(await applyMessages(messages, ports)), refused, ignored, log: lines.join("\n") };
}

/** A lead to whom a message was sent. */
export interface Reached {
  readonly workspaceId: string;
  readonly leadId: string;
  readonly instanceId: string;
  readonly touchId: string;
}

/** Adds a lead whose sequence waits after a message that was sent to it. */
export async function addReached(
  sql: Sql,
  workspaceId: string,
  { lead, touch = {} }: { readonly lead: Columns; readonly touch?: Columns },
): Promise<Reached> {
  const sequence = await addSequence(sql, workspaceId, { steps: [{}, {}] });
  const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, sequence.id, { lead });
  return {
    workspaceId,
    leadId,
    instanceId,
    touchId: await addSentTouch(sql, instanceId, sequence.steps[0] ?? "", touch),
  };
}
