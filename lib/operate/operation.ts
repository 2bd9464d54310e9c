import * as z from "zod";
import type { Transactional } from "../store/sql.ts";

/** A year of more than four digits, which a row that was written by SQL may hold. */
const farInstant = z.string().regex(/^[+-]\d{6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, "must be an instant in UTC");

/** An instant: ISO 8601 UTC in JSON, a Date in code. */
export const isoInstant = z.codec(z.iso.datetime().or(farInstant), z.date(), {
  decode: (text) => new Date(text),
  encode: (date) => date.toISOString(),
});

/** The common part of a question and an order: a name and two schemas, whose input sides are JSON. */
interface Operation<Input extends z.ZodType, Answer extends z.ZodType> {
  /** The words of the command that asks it, such as `workspaces list`. */
  readonly name: string;
  /** One sentence for the help. */
  readonly summary: string;
  readonly input: Input;
  readonly answer: Answer;
}

/** A question of a person. It writes nothing: it runs in a read-only transaction. */
export interface Question<Input extends z.ZodType = z.ZodType, Answer extends z.ZodType = z.ZodType>
  extends Operation<Input, Answer> {
  /** Throws Refused. `now` is the database's time. */
  run(db: Transactional, input: z.output<Input>, now: Date): Promise<z.output<Answer>>;
}

/** The signature of an order, and its time. */
export interface Placed {
  /** Chosen by the client. The same id is carried out once. */
  readonly orderId: string;
  readonly by: string;
  readonly reason: string;
  /** The id of the AWS request; null outside AWS. */
  readonly requestId: string | null;
  /** The database's time. */
  readonly at: Date;
}

/** The result of an order. */
interface Done<Answer> {
  readonly answer: Answer;
  /** The workspace that it concerns, which its record names. */
  readonly workspaceId: string | null;
  /** The lead that it concerns, whose story shows the order. */
  readonly leadId?: string;
}

/**
 * An order of a person to a stage. Its writes and its record commit in one transaction. The answer is stored with the
 * record, so it holds no personal data.
 */
export interface Order<Input extends z.ZodType = z.ZodType, Answer extends z.ZodType = z.ZodType>
  extends Operation<Input, Answer> {
  /** Throws Refused; then nothing was changed. */
  run(db: Transactional, input: z.output<Input>, placed: Placed): Promise<Done<z.output<Answer>>>;
}

/** Infers the types of a question from its schemas. */
export const question = <Input extends z.ZodType, Answer extends z.ZodType>(
  asked: Question<Input, Answer>,
): Question<Input, Answer> => asked;

/** Infers the types of an order from its schemas. */
export const order = <Input extends z.ZodType, Answer extends z.ZodType>(
  given: Order<Input, Answer>,
): Order<Input, Answer> => given;

/** The answer to a request that cannot be carried out: what is wrong, which one, and what to do. Nothing was changed. */
export class Refused extends Error {
  override readonly name = "Refused";
  /** Stable, for programs: `not_found`, `ambiguous`, `invalid_input` or a reason of the operation. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
