import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import * as z from "zod";
import type { Order, Question } from "../lib/operate/operation.ts";
import {
  answerQuestion,
  carryOutOrder,
  type OrderRequest,
  type QuestionRequest,
  reply,
} from "../lib/operate/requests.ts";
import { namesOf, STAGE_PATTERN } from "../lib/platform/names.ts";
import type { Pool } from "../lib/store/sql.ts";
import { invokeFunction } from "./aws.ts";
import { withExistingDatabase } from "./existing-database.ts";
import { print } from "./print.ts";
import { Problem, RefusedRequest, UsageProblem } from "./problem.ts";
import { confirm, folderOption, nonBlank, Spinner } from "./terminal.ts";

/** Where a command works: a deployed stage, or the database of DATABASE_URL or of the folder. */
export interface Place {
  readonly stage?: string;
  readonly folder: string;
}

/** The options of a command that asks a question. */
export interface AskOptions extends Place {
  /** Id or name. */
  readonly workspace?: string;
  readonly json?: boolean;
}

/** The name of the person who orders, and the reason. */
export interface Signature {
  readonly by: string;
  readonly reason: string;
}

/** How an order is given. A dry run changes nothing. */
interface Placing extends Signature {
  readonly orderId?: string;
  readonly dryRun?: boolean;
}

/** Asks questions and gives orders; a refusal is a RefusedRequest. The answers are the same in every place. */
export interface Operator {
  ask<Input extends z.ZodType, Answer extends z.ZodType>(
    asked: Question<Input, Answer>,
    input: z.input<Input>,
  ): Promise<z.output<Answer>>;
  /** A repeated request of the same `orderId` is carried out once. */
  order<Input extends z.ZodType, Answer extends z.ZodType>(
    given: Order<Input, Answer>,
    input: z.input<Input>,
    placing: Placing,
  ): Promise<z.output<Answer>>;
}

/** Adds --stage and --folder. */
export const withPlace = (command: Command): Command =>
  command
    .option("--stage <name>", "the deployed stage; without it, the database of DATABASE_URL or of the folder")
    .addOption(folderOption("folder of the local database"));

/** Adds --by and --reason, which an order requires. */
export const withSignature = (command: Command): Command =>
  command
    .requiredOption("--by <name>", "who orders it; stored", nonBlank)
    .requiredOption("--reason <text>", "why; stored, so leave out names and addresses", nonBlank);

/** Whether and how a person reviews the changes of an order before it is given. */
export type Review = Partial<Signature> & { readonly dryRun?: boolean; readonly yes?: boolean };

/** Adds --dry-run and --yes, and --by and --reason, which are required without --dry-run. */
export const withReview = (command: Command): Command =>
  command
    .option("--dry-run", "only show the changes")
    .option("--yes", "apply without a question")
    .option("--by <name>", "who orders it; stored", nonBlank)
    .option("--reason <text>", "why; stored, so leave out names and addresses", nonBlank);

/** The signature of an order; undefined for a dry run. Throws a UsageProblem without them. */
export function signatureOf({ dryRun, by, reason }: Review): Signature | undefined {
  if (dryRun) return undefined;
  if (by !== undefined && reason !== undefined) return { by, reason };
  throw new UsageProblem(
    "who applies it, and why? Add --by <name> and --reason <text>, or --dry-run to show the changes only",
  );
}

/** Asks the question, unless --yes answers it. Throws a Problem if the answer is no. */
export async function requireYes(question: string, { yes }: Review, signal: AbortSignal): Promise<void> {
  if (!yes && !(await confirm({ question, signal }))) throw new Problem("nothing was applied");
}

/**
 * Runs `work` with an operator of that place, and a signal that aborts on Ctrl-C. `quiet`: shows no progress, because
 * the work does. Throws known errors as Problem.
 */
export async function withOperator<Result>(
  place: Place,
  work: (operator: Operator, signal: AbortSignal) => Promise<Result>,
  { quiet = false }: { readonly quiet?: boolean } = {},
): Promise<Result> {
  // With a stage there is nothing to clean up: Ctrl-C ends the process.
  if (place.stage !== undefined)
    return await work(operatorOf(functionsOf(place.stage, quiet)), new AbortController().signal);
  return await withExistingDatabase(place.folder, ({ pool }, signal) => work(operatorOn(pool), signal));
}

/** An operator on a database. */
export const operatorOn = (pool: Pool): Operator =>
  operatorOf({
    look: (request) => answerQuestion(pool, request),
    operate: (request) => carryOutOrder(pool, request, null),
  });

/** Prints the answer: as text, or with --json as it is. */
export function printAnswer<Answer extends z.ZodType>(
  { answer: schema }: { readonly answer: Answer },
  answer: z.output<Answer>,
  { json, text }: { readonly json: boolean | undefined; readonly text: string },
): void {
  print(json ? `${JSON.stringify(z.encode(schema, answer), null, 2)}\n` : text);
}

/** Answers requests with a `Reply`. */
interface Transport {
  look(request: QuestionRequest): Promise<unknown>;
  operate(request: OrderRequest): Promise<unknown>;
}

/** A question and an order may be repeated, so that a lost answer is no failure. */
const MAX_ATTEMPTS = 3;
const ANSWER_MS = 65_000;
const WHEN_LIMITED = "ask for less, such as one --workspace or fewer --days";

function functionsOf(stage: string, quiet: boolean): Transport {
  if (!STAGE_PATTERN.test(stage)) throw new UsageProblem(`"${stage}" is not a valid stage name; a valid name is dev`);
  const { lookFunction, operateFunction } = namesOf(stage);
  const limits = { answerMs: ANSWER_MS, maxAttempts: MAX_ATTEMPTS };
  // One for all requests: elsewhere than on a terminal, it writes a repeated line once.
  const spinner = new Spinner();
  const invoke = async (name: string, event: unknown, whenLimited?: string): Promise<unknown> => {
    const invocation = { ...limits, ...(whenLimited && { whenLimited }) };
    if (quiet) return await invokeFunction(name, event, invocation);
    return await spinner
      .during(`Asking ${name}`, () => invokeFunction(name, event, invocation))
      .finally(() => spinner.stop());
  };
  return {
    look: (request) => invoke(lookFunction, request, WHEN_LIMITED),
    operate: (request) => invoke(operateFunction, request),
  };
}

const operatorOf = ({ look, operate }: Transport): Operator => ({
  async ask(asked, input) {
    return z.decode(asked.answer, answerOf(await look({ question: asked.name, input })));
  },
  // A command may pass all its options: only these are of the order.
  async order(given, input, { by, reason, orderId = randomUUID(), dryRun = false }) {
    const request = { order: given.name, input, orderId, by, reason, ...(dryRun && { dryRun }) };
    return z.decode(given.answer, answerOf(await operate(request)));
  },
});

/** Passes every answer through JSON, so that no place gives more than another. */
function answerOf(replied: unknown): z.input<z.ZodAny> {
  const parsed = reply.parse(JSON.parse(JSON.stringify(replied)));
  if (parsed.outcome === "refused") throw new RefusedRequest(parsed.code, parsed.message);
  return parsed.answer;
}
