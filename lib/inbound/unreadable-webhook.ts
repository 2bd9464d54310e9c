import * as z from "zod";
import type { BusEvent } from "./translation.ts";

const TYPE = "webhook.unreadable";
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
  return { type: TYPE, detail: { ...about, body: kept } };
}

const event = z.object({ "detail-type": z.literal(TYPE), detail: z.object({ tool: z.string(), reason: z.string() }) });

/** Why the webhook of an event cannot be read. Undefined for any other event. */
export function unreadableReason(json: unknown): string | undefined {
  const { data } = event.safeParse(json);
  return data && `a webhook of ${data.detail.tool}: ${data.detail.reason}`;
}
