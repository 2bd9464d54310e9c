import { randomUUID } from "node:crypto";
import type * as z from "zod";
import type { Order, Question } from "../../lib/operate/operation.ts";
import { answerQuestion, carryOutOrder, type Reply } from "../../lib/operate/requests.ts";
import type { Pool } from "../../lib/store/sql.ts";

/** Asks questions and gives orders on a database, as a client does. A refusal throws `<code>: <message>`. */
export const operatorOn = (pool: Pool) => ({
  async ask<Input extends z.ZodType, Answer extends z.ZodType>(
    { name }: Question<Input, Answer>,
    input: z.input<Input>,
  ): Promise<z.input<Answer>> {
    return answered(await answerQuestion(pool, { question: name, input })) as z.input<Answer>;
  },
  async give<Input extends z.ZodType, Answer extends z.ZodType>(
    { name }: Order<Input, Answer>,
    input: z.input<Input>,
    reason = "the lead asked for it",
  ): Promise<z.input<Answer>> {
    const signed = { orderId: randomUUID(), by: "Hana", reason };
    return answered(await carryOutOrder(pool, { order: name, input, ...signed }, null)) as z.input<Answer>;
  },
});

function answered(replied: Reply): unknown {
  if (replied.outcome === "refused") throw new Error(`${replied.code}: ${replied.message}`);
  return JSON.parse(JSON.stringify(replied.answer));
}
