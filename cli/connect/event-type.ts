import { Problem } from "../problem.ts";
import type { ConnectableTool, EventType, SubscriptionApi } from "./booking-tool.ts";

interface Wanted {
  readonly account: string;
  /** The id, the booking page or the name of an event type, as a person wrote it. */
  readonly name: string;
}

/** The id of the event type that a person named. Throws a Problem with the candidates if it is not exactly one. */
export async function eventTypeNamed(
  tool: ConnectableTool,
  api: SubscriptionApi,
  { account, name }: Wanted,
): Promise<string> {
  const all = await api.eventTypes(account);
  const found = all.filter((one) => namesOf(one).includes(comparable(name)));
  const [only] = found;
  if (only && found.length === 1) return only.id;
  const fault = found.length === 0 ? "is no active event type" : "may be one of several event types";
  const candidates = listOf(found.length === 0 ? all : found);
  throw new Problem(
    [`"${name}" ${fault} of ${account} at ${tool.name}. Use --event-type with one of:`, candidates].join("\n"),
  );
}

/** How to offer free times. Without the right to list event types, says so instead of throwing. */
export async function eventTypeAdvice(tool: ConnectableTool, api: SubscriptionApi, account: string): Promise<string> {
  const purpose = "Texts offer no free times yet.";
  try {
    const all = await api.eventTypes(account);
    if (all.length === 0) return `${purpose} The account has no active event type.`;
    return [`${purpose} To offer some, repeat the command with --event-type and one of:`, listOf(all)].join("\n");
  } catch (thrown) {
    if (!(thrown instanceof Problem)) throw thrown;
    return `${purpose} To offer some, the token must be able to list event types (docs/connect.md): ${tool.name} refused.`;
  }
}

/** An id is also known by its last part, as in the URLs of the tool's own pages. */
const namesOf = ({ id, name, url }: EventType): readonly string[] =>
  [id, id.slice(id.lastIndexOf("/") + 1), name, url ?? id].map(comparable);

const comparable = (text: string): string => text.trim().toLowerCase().replace(/\/+$/, "");

/** More would not fit on a screen. */
const MOST_LISTED = 30;

function listOf(all: readonly EventType[]): string {
  const lines = all.slice(0, MOST_LISTED).map(({ id, name, url }) => `  ${id}  ${name}${url ? `  ${url}` : ""}`);
  const more = all.length - lines.length;
  return (more > 0 ? [...lines, `  and ${more} more`] : lines).join("\n");
}
