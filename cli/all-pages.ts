import type * as z from "zod";
import type { Question } from "../lib/operate/operation.ts";
import type { Operator } from "./operator.ts";

type Paged<Rows extends string> = { readonly next: string | null } & Readonly<Record<Rows, readonly unknown[]>>;
type AfterPage = { readonly after?: string | null | undefined };

/** The answer of all pages as one: that to the first, with the `rows` of the others. */
export async function allPages<
  Rows extends string,
  Input extends z.ZodType<unknown, AfterPage>,
  Answer extends z.ZodType<Paged<Rows>>,
>(operator: Operator, asked: Question<Input, Answer>, input: z.input<Input>, rows: Rows): Promise<z.output<Answer>> {
  const first = await operator.ask(asked, input);
  const all = [...first[rows]];
  for (let { next } = first; next !== null; ) {
    const page = await operator.ask(asked, { ...input, after: next });
    all.push(...page[rows]);
    next = page.next;
  }
  return { ...first, [rows]: all, next: null };
}
