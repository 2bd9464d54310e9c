import * as z from "zod";
import { instant } from "../inbound/instant.ts";
import { faultsOf } from "../inbound/json.ts";
import type { Unread } from "./port.ts";

/** The items of a list that can be read, and the others. */
interface ItemList<Item> {
  readonly items: readonly Item[];
  readonly unread: readonly UnreadItem[];
}

export interface UnreadItem extends Unread {
  /** Undefined if that cannot be read either. */
  readonly startsAt: Date | undefined;
}

type Sent = Readonly<Record<string, unknown>>;
interface Fields {
  readonly id?: (sent: Sent) => unknown;
  readonly startsAt?: (sent: Sent) => unknown;
}

/** Ids of tools have only these characters. Other text may be personal data. */
const id = z.union([z.string().regex(/^[\w-]{1,100}$/), z.int().transform(String)]);

/**
 * A list whose items are read one by one: an unreadable item does not affect the others. The fields say what it is, as
 * far as they can be read.
 */
export const listOf = <Item>(item: z.ZodType<Item>, fields: Fields = {}) =>
  z.array(z.unknown()).transform((list): ItemList<Item> => {
    const items: Item[] = [];
    const unread: UnreadItem[] = [];
    for (const sent of list) {
      const parsed = item.safeParse(sent);
      if (parsed.success) items.push(parsed.data);
      else unread.push(unreadOf(parsed.error, sent, fields));
    }
    return { items, unread };
  });

const unreadOf = (error: z.ZodError, sent: unknown, fields: Fields): UnreadItem => ({
  id: id.safeParse(fields.id?.(recordOf(sent))).data,
  startsAt: instant.safeParse(fields.startsAt?.(recordOf(sent))).data,
  reason: reasonOf(error, sent),
  fault: "unexpected_answer",
});

const recordOf = (sent: unknown): Readonly<Record<string, unknown>> =>
  typeof sent === "object" && sent !== null ? (sent as Readonly<Record<string, unknown>>) : {};

/** Such as `start_time: must be an instant, as in 2026-11-25T14:00:00Z (is text)`. */
function reasonOf(error: z.ZodError, sent: unknown): string {
  const kinds = error.issues.map(({ path }) =>
    kindOf(path.reduce<unknown>((value, key) => recordOf(value)[String(key)], sent)),
  );
  return faultsOf(error)
    .map((fault, at) => `${fault} (is ${kinds[at]})`)
    .join("; ");
}

function kindOf(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return KINDS[typeof value] ?? "an object";
}
const KINDS: Readonly<Record<string, string>> = { string: "text", number: "a number", boolean: "true or false" };
