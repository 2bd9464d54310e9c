import type { Fact } from "./facts.ts";
import type { TranslatedFact } from "./translation.ts";
import type { TouchOfLink } from "./unsubscribe-token.ts";

const PREFIX = "unsubscribe:";

/**
 * The opt-out by the link of a touch. The event id has the time: who opts in again can opt out again by the same link. A
 * second opt-out changes nothing.
 */
export function optOutByLink({ workspaceId, touchId }: TouchOfLink, at: Date): TranslatedFact {
  const occurredAt = at.toISOString();
  const eventId = `${PREFIX}${touchId}:${occurredAt}`;
  return { type: "lead.opted_out", detail: { workspaceId, eventId, occurredAt, lead: { touch: touchId } } };
}

/** Whether a fact is an opt-out by link. Its touch existed: the link was signed. */
export const isByLink = ({ type, eventId }: Fact): boolean => type === "lead.opted_out" && eventId.startsWith(PREFIX);
