import * as z from "zod";
import type { FACT_SCHEMAS, FactType } from "./facts.ts";

/** A fact as a translator writes it: the detail type of its event, and its detail. */
export type TranslatedFact = {
  readonly [Type in FactType]: { readonly type: Type; readonly detail: z.input<(typeof FACT_SCHEMAS)[Type]> };
}[FactType];

/** An event for the bus: a fact, or something that only the intake can judge. */
export interface BusEvent {
  readonly type: string;
  readonly detail: object;
}

/**
 * The result of translating a payload of another system. Translators are pure. They derive event ids from the payload,
 * so that a redelivery gives the same facts. Reasons hold no personal data.
 */
export type Translation =
  | { readonly kind: "facts"; readonly facts: readonly TranslatedFact[] }
  /** The payload is valid and concerns no lead. */
  | { readonly kind: "ignored"; readonly reason: string }
  /** The payload is not what the system documents. */
  | { readonly kind: "fault"; readonly reason: string };

export const fault = (reason: string): Translation => ({ kind: "fault", reason });
export const ignored = (reason: string): Translation => ({ kind: "ignored", reason });

const UNREADABLE = "webhook.unreadable";
/** As a JSON text it may be twice as long, and must fit into an event. */
const MOST_KEPT_BYTES = 100_000;

interface Unreadable {
  readonly workspaceId: string;
  readonly tool: string;
  /** Without values. */
  readonly reason: string;
}

/**
 * The event of a signed webhook that no translator can read. It is no fact: the intake refuses it, so that it waits for
 * a person with its body. An error as the answer would not help. Cal.com sends a webhook once; Calendly repeats it for a
 * day and then disables the subscription: https://developer.calendly.com/api-docs/overview/webhooks/webhook-errors
 */
export function unreadableWebhook(about: Unreadable, body: Buffer): BusEvent {
  const kept = body.length <= MOST_KEPT_BYTES ? body.toString() : null;
  return { type: UNREADABLE, detail: { ...about, body: kept } };
}

const unreadableEvent = z.object({
  "detail-type": z.literal(UNREADABLE),
  detail: z.object({ tool: z.string(), reason: z.string() }),
});

/** Why the webhook of an event cannot be read. Undefined for any other event. */
export function unreadableReason(json: unknown): string | undefined {
  const { data } = unreadableEvent.safeParse(json);
  return data && `a webhook of ${data.detail.tool}: ${data.detail.reason}`;
}
