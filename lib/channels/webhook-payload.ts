import * as z from "zod";
import { LEAD_KEYS, type LeadKey } from "../domain/lead-columns.ts";
import type { OutgoingTouch } from "../run/channel-ports.ts";

const leadMeanings: Readonly<Partial<Record<LeadKey, string>>> = {
  externalId: "The id under which your system enrolled the lead, such as its CRM record.",
  email: "As it was enrolled, so normally exactly one address.",
  phone: "As it was enrolled.",
  timeZone: "An IANA time zone.",
};

const leadText = (key: LeadKey) => {
  const text = z.string().nullable();
  const meaning = leadMeanings[key];
  return meaning === undefined ? text : text.describe(meaning);
};

/**
 * The body of a webhook, in the form of the Standard Webhooks specification ("Payload structure"). Generates the docs and
 * the published JSON Schema. Objects are open: later versions may add keys.
 */
export const webhookPayload = z.looseObject({
  type: z.literal("touch.due").describe("Ignore other types: later versions may add some."),
  timestamp: z.iso.datetime().describe("When this attempt was sent."),
  data: z.looseObject({
    touchId: z.guid().describe("The same on every attempt, as in the header `webhook-id`."),
    attempt: z
      .int()
      .min(1)
      .describe("The number of this attempt. One that a fault of the whole channel ended does not count."),
    workspaceId: z.guid(),
    workspaceName: z.string(),
    leadId: z.guid().describe("The id of the lead in Backstop. Facts about the lead may name it."),
    lead: z
      .looseObject({
        ...(Object.fromEntries(LEAD_KEYS.map((key) => [key, leadText(key)])) as Record<
          LeadKey,
          ReturnType<typeof leadText>
        >),
        fields: z.record(z.string(), z.string()).describe("The custom fields by name."),
      })
      .describe("The lead at the time of this attempt. A key is null if the value is unknown."),
    sequence: z.looseObject({ id: z.guid(), name: z.string() }),
    step: z.looseObject({
      key: z.string().describe("The name of the step in its sequence. It does not change when steps move."),
      position: z.int().min(1).describe("Counts from 1."),
    }),
    subject: z.string().nullable().describe("The rendered subject; null if the step has none."),
    body: z.string().describe("The rendered text."),
  }),
});

export type WebhookPayload = z.infer<typeof webhookPayload>;

/** Throws if the touch has no details, which is a bug. */
export function payloadOf(touch: OutgoingTouch, now: Date): WebhookPayload {
  const { id: touchId, workspaceId, leadId, message, details } = touch;
  if (!details) throw new Error("a webhook touch has no details");
  const { attempt, workspaceName, lead, sequence, step } = details;
  const { subject, body } = message;
  const about = { touchId, attempt, workspaceId, workspaceName, leadId, lead, sequence, step };
  return { type: "touch.due", timestamp: now.toISOString(), data: { ...about, subject, body } };
}
