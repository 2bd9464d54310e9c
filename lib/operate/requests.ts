import { createHash } from "node:crypto";
import * as z from "zod";
import { SchemaOutOfDate } from "../run/ports.ts";
import { findOrder, recordOrder } from "../store/orders.ts";
import { atomically, databaseNow, onSnapshot, type Pool, rehearsing } from "../store/sql.ts";
import { type Order, type Placed, type Question, Refused } from "./operation.ts";
import { ORDERS } from "./orders.ts";
import { QUESTIONS } from "./questions.ts";

/** The answer to a request, as JSON: that of the operation, or why it was refused. */
export const reply = z.discriminatedUnion("outcome", [
  z.object({ outcome: z.literal("answered"), answer: z.unknown() }),
  z.object({ outcome: z.literal("refused"), code: z.string(), message: z.string() }),
]);
export type Reply = z.infer<typeof reply>;

const text = z.string().trim().min(1).max(500);
/** The event of the function `look`. */
export const questionRequest = z.strictObject({ question: z.string(), input: z.unknown().default({}) });
/** The event of the function `operate`. */
export const orderRequest = z.strictObject({
  order: z.string(),
  input: z.unknown().default({}),
  orderId: z.guid(),
  by: text,
  reason: text,
  /** Whether everything is rolled back, the record of the order included. The answer is the same. */
  dryRun: z.boolean().default(false),
});
export type QuestionRequest = z.input<typeof questionRequest>;
export type OrderRequest = z.input<typeof orderRequest>;

/** Answers `{ question, input }` on one read-only snapshot. Throws only errors of the database. */
export const answerQuestion = (pool: Pool, event: unknown): Promise<Reply> =>
  replying(async () => {
    const request = parsed(questionRequest, event, "the event");
    const asked = named(QUESTIONS, request.question, "question");
    const input = parsed(asked.input, request.input, "the input");
    const answer = await onSnapshot(pool, async (db) => await asked.run(db, input, await databaseNow(db)));
    return z.encode(asked.answer, answer);
  });

/**
 * Carries out `{ order, input, orderId, by, reason }` and records it, in one transaction. An order with the id of an
 * earlier one returns the earlier answer and changes nothing, as does a dry run. Throws only errors of the database.
 */
export const carryOutOrder = (pool: Pool, event: unknown, requestId: string | null): Promise<Reply> =>
  replying(async () => {
    const request = parsed(orderRequest, event, "the event");
    const given = named(ORDERS, request.order, "order");
    const input = parsed(given.input, request.input, "the input");
    const { orderId, by, reason, dryRun } = request;
    const inputHash = createHash("sha256").update(JSON.stringify(request.input)).digest();
    return await (dryRun ? rehearsing : atomically)(pool, async (db) => {
      const placed: Placed = { orderId, by, reason, requestId, at: await databaseNow(db) };
      const earlier = await findOrder(db, { ...placed, name: given.name, inputHash });
      if (earlier === "another") {
        throw new Refused("order_id_used", `the order id ${orderId} belongs to another order: use a new UUID`);
      }
      if (earlier) return earlier.answer;
      const { answer, workspaceId, leadId = null } = await given.run(db, input, placed);
      const stored = z.encode(given.answer, answer);
      await recordOrder(db, { orderId, workspaceId, leadId, answer: stored });
      return stored;
    });
  });

async function replying(work: () => Promise<unknown>): Promise<Reply> {
  try {
    return { outcome: "answered", answer: await work() };
  } catch (thrown) {
    if (!(thrown instanceof Refused || thrown instanceof SchemaOutOfDate)) throw thrown;
    return { outcome: "refused", code: thrown.code, message: thrown.message };
  }
}

function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.map(String).join(".") || what}: ${message}`);
  throw new Refused("invalid_input", `${what} is invalid: ${faults.join("; ")}`);
}

function named<Operation extends Question | Order>(
  operations: readonly Operation[],
  name: string,
  kind: string,
): Operation {
  const found = operations.find((operation) => operation.name === name);
  if (found) return found;
  const known = operations.map((operation) => operation.name).join(", ");
  throw new Refused(`unknown_${kind}`, `there is no ${kind} "${name}"; known: ${known}`);
}
