import * as z from "zod";
import { addressKeys, normalisePhone } from "../domain/address.ts";
import { BOOKING_TOOLS, CONTACT_CHANNELS, SWEEP_WINDOWS } from "../domain/labels.ts";
import { LEAD_COLUMNS } from "../domain/lead-columns.ts";
import { bookingUrl, freeTimes } from "./free-times-schema.ts";
import { instant } from "./instant.ts";
import { line } from "./line.ts";

const about = {
  workspaceId: z.guid().describe("The tenant."),
  eventId: line(200).describe("The sender's own id of the event. An id is applied once, however often it arrives."),
  occurredAt: instant.describe("When it happened, by the sender's clock. It decides which fact is later."),
};

const oneKey = <Shape extends Record<string, z.ZodOptional>>(shape: Shape, description: string) =>
  z
    .strictObject(shape)
    .refine((named) => Object.values(named).filter((value) => value !== undefined).length === 1, {
      error: `must have exactly one of ${Object.keys(shape).join(", ")}`,
    })
    .meta({ description, minProperties: 1, maxProperties: 1 });

/** Lenient, so that any address we may have sent to can stop a sequence. */
const namingEmail = z
  .string()
  .max(320)
  .refine((text) => addressKeys(text).length > 0, "must be an e-mail address")
  .describe("In any notation in which a message may have been sent to it.");

/** Keys that identify a lead. */
export const LEAD_REFERENCE = {
  id: z.guid().optional(),
  externalId: line(LEAD_COLUMNS.externalId.longest).describe("The sender's own id of the lead.").optional(),
  email: namingEmail.optional(),
  phone: z
    .string()
    .max(40)
    .refine((text) => normalisePhone(text) !== null, "must be a phone number")
    .describe("In the international form, or a national number of the workspace's country (`holiday_country`).")
    .optional(),
  touch: z
    .guid()
    .describe(
      "A touch names its lead. For an opt-out, a bounce and a complaint also the address that it went to; a touch that is gone then changes nothing.",
    )
    .optional(),
};
const lead = z
  .strictObject(LEAD_REFERENCE)
  .refine((named) => Object.values(named).some((value) => value !== undefined), {
    error: `must have one of ${Object.keys(LEAD_REFERENCE).join(", ")}`,
  })
  .meta({
    description:
      "All leads that match one of these keys. If none matches, a lead is added, unless only `id` or `touch` is given.",
    minProperties: 1,
  });
export type LeadReference = z.infer<typeof lead>;

const noTimes = "Both times are null if the calendar does not give them. The lead is then booked, and nothing starts.";
const aboutConsent = {
  ...about,
  lead,
  channel: z
    .enum(CONTACT_CHANNELS)
    .describe("How the lead said so. An opt-in by `sms` takes back only opt-outs by `sms`.")
    .optional(),
};

const meeting = z
  .strictObject({
    id: line(200).describe("The calendar's id of the meeting."),
    startsAt: instant.nullable(),
    endsAt: instant.nullable().describe(noTimes),
  })
  .refine(({ startsAt, endsAt }) => (startsAt === null ? endsAt === null : endsAt !== null && endsAt > startsAt), {
    path: ["endsAt"],
    error: "must be after startsAt, or null if startsAt is null",
  });

export const MOST_LEADS = 1_000;

/** `permanent`: the address does not exist or refuses all messages. */
const BOUNCE_KINDS = ["permanent", "transient"] as const;

const label = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,59}$/, "must be a label of lower-case letters, digits and underscores");

const aboutTouch = { ...about, touchId: z.guid() };
const aboutDecision = { ...aboutTouch, by: line(200).describe("The person who decided.") };
const aboutMeeting = { ...about, lead, meeting };

/** Schemas of all supported events by detail type. */
export const FACT_SCHEMAS = {
  "lead.enrolled": z
    .strictObject({
      ...about,
      sequence: oneKey({ id: z.guid().optional(), name: line(200).optional() }, "The sequence that the leads enter."),
      // An invalid lead gets its own verdict and does not block the others.
      leads: z
        .array(z.unknown())
        .min(1)
        .max(MOST_LEADS)
        .describe("Each as in the last table. Empty texts and null count as absent."),
      restart: z
        .boolean()
        .default(false)
        .describe("Whether leads that are or were in the sequence restart it, unless they started after `occurredAt`."),
    })
    .describe(
      "Leads enter a sequence. Their details are stored unless newer ones are known. The outcome contains one verdict " +
        "per lead: `enrolled`, `already_enrolled`, `booked`, `opted_out`, `complained`, or `invalid: …` with the reason.",
    ),
  "lead.replied": z.strictObject({ ...about, lead }).describe("A lead wrote or called. Its sequences pause."),
  "lead.contacted": z
    .strictObject({
      ...about,
      lead,
      channel: z
        .enum(CONTACT_CHANNELS)
        .describe("How. `email` and `sms` also count as the day's message on that channel."),
    })
    .describe(
      "Someone on our side wrote or called, outside Backstop; do not report Backstop's own touches. A reply is then " +
        "answered, and paused sequences wait for `ghosted_after_days` of silence. Starts sequences with the trigger " +
        "`setter_reply` if the lead had written, and otherwise those with `no_response` if the lead is in no sequence. " +
        "A contact more than 30 days old starts nothing.",
    ),
  "lead.snoozed": z
    .strictObject({ ...about, lead, until: instant.nullable().describe("Null ends the snooze.") })
    .describe("The sequences of a lead pause until that time."),
  "lead.opted_out": z
    .strictObject(aboutConsent)
    .describe(
      "A lead opted out. All sequences end for every lead with its address or number, including leads that are added later.",
    ),
  "lead.opted_in": z
    .strictObject(aboutConsent)
    .describe(
      "A lead wants messages again. Takes back earlier opt-outs and bounces of its address and number, and starts " +
        "nothing. An opt-in by `sms` takes back only opt-outs by `sms` and bounces of the number: a text says nothing " +
        "about e-mails. A complaint stays: only a person takes it back (`leads opt-in`).",
    ),
  "lead.bounced": z
    .strictObject({
      ...about,
      lead,
      kind: z
        .enum(BOUNCE_KINDS)
        .describe(
          "`permanent`: suppressed at once. `transient`: suppressed at the third touch or event within 30 days.",
        ),
    })
    .describe(
      "A message could not be delivered. Concerns the address or number that the fact gives, else the one that the " +
        "touch went to, else the lead's e-mail address. Steps to a suppressed address are skipped; other channels " +
        "continue. Adds no lead.",
    ),
  "lead.complained": z
    .strictObject({ ...about, lead })
    .describe("A lead reported a message as spam. As an opt-out, and a later opt-in does not take it back."),
  "meeting.booked": z
    .strictObject(aboutMeeting)
    .describe("A lead booked a meeting. Its other sequences end, and its post-booking sequences start."),
  "meeting.rescheduled": z
    .strictObject({
      ...aboutMeeting,
      replaces: line(200).describe("The previous id of the meeting, if the calendar gave it a new one.").optional(),
    })
    .describe("A meeting moved to another time. It is never treated as a cancellation."),
  "meeting.cancelled": z
    .strictObject(aboutMeeting)
    .describe("A meeting was cancelled. No sequence restarts automatically."),
  "meeting.missed": z
    .strictObject(aboutMeeting)
    .describe("The lead missed the meeting. Sequences with the trigger `meeting_missed` start."),
  "touch.approved": z
    .strictObject({
      ...aboutDecision,
      fingerprint: z
        .string()
        .regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits")
        .describe("The fingerprint of the text that the person saw."),
    })
    .describe("A person approves a waiting touch. Rejected if its text has changed since the person saw it."),
  "touch.rejected": z
    .strictObject({ ...aboutDecision, reason: line(500) })
    .describe("A person rejects a waiting touch. It is never sent, and its sequence continues."),
  "touch.delivered": z
    .strictObject(aboutTouch)
    .describe(
      "The recipient's server accepted the message of a touch. A touch of unknown outcome then counts as sent. " +
        "Ignored for an unknown touch.",
    ),
  "touch.failed": z
    .strictObject({
      ...aboutTouch,
      reason: label.describe("A label, such as `rejected_by_provider`. No text, because it may hold personal data."),
    })
    .describe(
      "The provider did not send a message that it had accepted. The touch fails, unless it arrived. Ignored for an " +
        "unknown touch.",
    ),
  "connection.swept": z
    .strictObject({
      ...about,
      tool: z.enum(BOOKING_TOOLS),
      window: z.enum(SWEEP_WINDOWS).describe("Which meetings were read: those that start soon, or all others."),
      seen: z.int().min(0).max(1_000_000).describe("The meetings that were read."),
      changed: z.int().min(0).max(1_000_000).describe("Those that were new or had changed."),
      fault: label
        .nullable()
        .describe("Null if the sweep read everything; else why it did not, such as `unauthorised`."),
    })
    .describe(
      "The meetings of a booking tool were compared. `occurredAt` is the begin of the sweep: bookings before it are " +
        "known. Only the latest counts, so that its event id is not kept.",
    ),
  "connection.availability": z
    .strictObject({
      ...about,
      tool: z.enum(BOOKING_TOOLS),
      slots: freeTimes.describe("The times at which a person can book a meeting, in any order."),
      bookingUrl: bookingUrl.nullable().describe("The page on which a person books one of them."),
    })
    .describe(
      "The free times of a booking tool at `occurredAt`, which texts with `{{ slots }}` offer. Only the latest counts, so " +
        "that its event id is not kept.",
    ),
} as const;

type Schemas = typeof FACT_SCHEMAS;
export type FactType = keyof Schemas;

/** A fact of one type, parsed. */
export type FactOf<Type extends FactType> = z.output<Schemas[Type]> & {
  readonly type: Type;
  /** Repairs, without values. A repaired fact stops what it can and starts nothing. */
  readonly warnings: readonly string[];
};
export type Fact = { [Type in FactType]: FactOf<Type> }[FactType];

/** Facts that stop something. They need only a valid lead; invalid other fields are repaired. */
const STOPPING: ReadonlySet<FactType> = new Set([
  "lead.replied",
  "lead.opted_out",
  "lead.bounced",
  "lead.complained",
  "meeting.booked",
  "meeting.rescheduled",
  "meeting.cancelled",
  "meeting.missed",
]);
export const stops = (type: FactType): boolean => STOPPING.has(type);

export const isFactType = (type: string): type is FactType => Object.hasOwn(FACT_SCHEMAS, type);
