import * as z from "zod";
import type { Fact } from "./facts.ts";
import { instant } from "./instant.ts";
import { faultsOf, jsonOf } from "./json.ts";
import { LARGEST_EVENT_BYTES, parseEvent, parseFact } from "./parse-event.ts";
import { translateSesEvent } from "./ses-events.ts";
import { type InboundText, inboundText } from "./texts.ts";
import { type TranslatedFact, unreadableReason } from "./translation.ts";
import { isByLink } from "./unsubscribe-link.ts";

/** A mail in the bucket of received mails. */
export interface StoredMail {
  readonly bucket: string;
  readonly key: string;
  readonly receivedAt: Date;
}

/** A message of the intake's queue, by its kind. */
export type IntakeMessage =
  | { readonly kind: "facts"; readonly facts: readonly Fact[] }
  /** Reports of a provider about touches, and clicks on their links. The touches may be unknown here. */
  | { readonly kind: "touch_facts"; readonly facts: readonly Fact[] }
  | { readonly kind: "text"; readonly text: InboundText; readonly receivedAt: Date }
  | { readonly kind: "mail"; readonly mail: StoredMail }
  /** Valid, and without any effect here. The reason is a label. */
  | { readonly kind: "ignored"; readonly reason: string }
  /** Invalid. The reason lists the faults, without values. */
  | { readonly kind: "refused"; readonly reason: string };

/** SNS Developer Guide, "Message and JSON formats". */
const notification = z.object({ Type: z.literal("Notification"), Message: z.string(), Timestamp: instant });

/** Amazon S3 User Guide, "EventBridge event message structure". */
const objectCreated = z.object({
  source: z.literal("aws.s3"),
  time: instant,
  detail: z.object({ bucket: z.object({ name: z.string() }), object: z.object({ key: z.string() }) }),
});

/** Recognises a message of the queue by its shape, and parses it. */
export function parseMessage(body: string): IntakeMessage {
  const json = Buffer.byteLength(body) > LARGEST_EVENT_BYTES ? undefined : jsonOf(body);
  const { Type, source } = SHAPE.parse(json);
  if (Type !== undefined) return parseNotification(json);
  if (source === "aws.s3") return parseObject(json);
  if (source === "aws.ses") return parseSesEvent(json);
  const unreadable = unreadableReason(json);
  if (unreadable !== undefined) return refused(unreadable);
  const parsed = parseEvent(body);
  if (!parsed.ok) return refused(parsed.reason);
  return { kind: isByLink(parsed.fact) ? "touch_facts" : "facts", facts: [parsed.fact] };
}

const anything = z.unknown().optional();
const SHAPE = z.object({ Type: anything, source: anything }).catch({});

function parseNotification(json: unknown): IntakeMessage {
  const parsed = notification.safeParse(json);
  if (!parsed.success) return refused(`not a notification of SNS: ${faultsOf(parsed.error).join("; ")}`);
  const text = inboundText.safeParse(jsonOf(parsed.data.Message));
  if (!text.success) return refused(`not a text message: ${faultsOf(text.error).join("; ")}`);
  return { kind: "text", text: text.data, receivedAt: parsed.data.Timestamp };
}

/** SES writes this object into the bucket of a new receipt rule. */
const SETUP_OBJECT = /(^|\/)AMAZON_SES_SETUP_NOTIFICATION$/;

function parseObject(json: unknown): IntakeMessage {
  const parsed = objectCreated.safeParse(json);
  if (!parsed.success) return refused(`not an event of S3: ${faultsOf(parsed.error).join("; ")}`);
  const { bucket, object } = parsed.data.detail;
  if (SETUP_OBJECT.test(object.key)) return { kind: "ignored", reason: "ses_setup_notification" };
  return { kind: "mail", mail: { bucket: bucket.name, key: object.key, receivedAt: parsed.data.time } };
}

function parseSesEvent(json: unknown): IntakeMessage {
  const translated = translateSesEvent(json);
  if (translated.kind === "ignored") return translated;
  if (translated.kind === "fault") return refused(translated.reason);
  return parsedFacts(translated.facts, "touch_facts");
}

/** Parses what a translator made of a payload. An invalid value of the payload refuses all of it. */
export function parsedFacts<Kind extends "facts" | "touch_facts">(translated: readonly TranslatedFact[], kind: Kind) {
  const parsed = translated.map(({ type, detail }) => parseFact(type, detail));
  const faults = parsed.flatMap((one) => (one.ok ? [] : one.faults));
  if (faults.length > 0) return refused(`detail: ${faults.join("; ")}`);
  return { kind, facts: parsed.flatMap((one) => (one.ok ? [one.fact] : [])) };
}

const refused = (reason: string) => ({ kind: "refused", reason }) as const;
