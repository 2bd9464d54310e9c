import * as z from "zod";
import { addressKeys, normalisePhone, readAddress } from "../../domain/address.ts";
import { LEAD_COLUMNS, LEAD_KEYS, type LeadKey } from "../../domain/lead-columns.ts";
import { isTimeZone } from "../../domain/time-zone.ts";

const ONE_LINE = /^\P{Cc}*$/u;
const NOT_ONE_LINE = "must hold no control characters";
const NOT_WELL_FORMED = "must be well-formed Unicode";

/** Single-line text that is safe in the database and in mail headers. */
const line = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(ONE_LINE, NOT_ONE_LINE)
    .refine((text) => text.isWellFormed(), NOT_WELL_FORMED);

const EARLIEST = Date.parse("2000-01-01T00:00:00Z");
const LATEST = Date.parse("2200-01-01T00:00:00Z");

const instant = z.iso
  .datetime({ offset: true, error: "must be an instant, as in 2026-11-25T14:00:00Z" })
  .refine((text) => Date.parse(text) >= EARLIEST && Date.parse(text) < LATEST, {
    error: "must lie between the years 2000 and 2200",
    abort: true,
  })
  .transform((text) => new Date(text));

const about = {
  workspaceId: z.guid().describe("The tenant."),
  eventId: line(200).describe("The sender's own id of the event: the same id is applied once, however often it comes."),
  occurredAt: instant.describe("When it happened, after the sender's clock: events are put in order by it."),
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
  .describe("In any form in which it may have been written to.");

/** Keys that identify a lead. */
export const LEAD_REFERENCE = {
  id: z.guid().optional(),
  externalId: line(LEAD_COLUMNS.externalId.longest).describe("The sender's own id of the lead.").optional(),
  email: namingEmail.optional(),
  phone: z
    .string()
    .max(40)
    .refine((text) => normalisePhone(text) !== null, "must be a phone number")
    .describe("Compared by its digits, with the international prefix.")
    .optional(),
};
const lead = z
  .strictObject(LEAD_REFERENCE)
  .refine((named) => Object.values(named).some((value) => value !== undefined), {
    error: `must have one of ${Object.keys(LEAD_REFERENCE).join(", ")}`,
  })
  .meta({
    description: "Every lead that one of these names. If none is known, a lead is added, unless `id` alone is given.",
    minProperties: 1,
  });
export type LeadReference = z.infer<typeof lead>;

const noTimes = "Null for both where the calendar does not say: the lead is booked, and nothing starts.";
const meeting = z
  .strictObject({
    id: line(200).describe("The calendar's id of the meeting."),
    startsAt: instant.nullable(),
    endsAt: instant.nullable().describe(noTimes),
  })
  .refine(({ startsAt, endsAt }) => (startsAt === null ? endsAt === null : endsAt !== null && endsAt > startsAt), {
    path: ["endsAt"],
    error: "must be after startsAt, or null as that is",
  });

/** Columns with a stricter schema than one line of text. */
const STRICTER: Readonly<Partial<Record<LeadKey, z.ZodType<string>>>> = {
  email: z
    .string()
    .max(LEAD_COLUMNS.email.longest)
    .transform((text, context) => {
      const read = readAddress(text);
      if ("address" in read) return read.address;
      context.addIssue(read.fault);
      return z.NEVER;
    })
    .meta({ format: "email" }),
  linkedinUrl: z
    .url({ protocol: /^https?$/ })
    .max(LEAD_COLUMNS.linkedinUrl.longest)
    // Not a `pattern`: the published schema would lose its URL format.
    .refine((text) => ONE_LINE.test(text), NOT_ONE_LINE)
    .refine((text) => text.isWellFormed(), NOT_WELL_FORMED),
  timeZone: line(LEAD_COLUMNS.timeZone.longest).refine(
    isTimeZone,
    "is not a time zone; expected a name such as Europe/Berlin",
  ),
};

function schemaOf(key: LeadKey): z.ZodOptional<z.ZodType<string>> {
  const { column, longest, description, inTemplates } = LEAD_COLUMNS[key];
  const meanings = [description, inTemplates && `Templates read it as \`lead.${column}\`.`].filter(Boolean);
  return (STRICTER[key] ?? line(longest)).describe(meanings.join(" ")).optional();
}

/** A lead in an enrolment. Absent fields keep their values. */
export const leadToEnrol = z
  .strictObject(
    Object.fromEntries(LEAD_KEYS.map((key) => [key, schemaOf(key)])) as Record<LeadKey, ReturnType<typeof schemaOf>>,
  )
  .refine((lead) => lead.externalId !== undefined || lead.email !== undefined, "must have an externalId or an email");
export type LeadToEnrol = z.infer<typeof leadToEnrol>;

export const MOST_LEADS = 1_000;

const aboutTouch = { ...about, touchId: z.guid(), by: line(200).describe("Who decided.") };
const aboutMeeting = { ...about, lead, meeting };

/** Schemas of all supported events by detail type. */
export const FACT_SCHEMAS = {
  "lead.enrolled": z
    .strictObject({
      ...about,
      sequence: oneKey({ id: z.guid().optional(), name: line(200).optional() }, "The sequence that they enter."),
      // An invalid lead gets its own verdict and does not block the others.
      leads: z.array(z.unknown()).min(1).max(MOST_LEADS).describe("As the last table says."),
      restart: z
        .boolean()
        .default(false)
        .describe(
          "Whether leads that are or were in the sequence begin anew; not those that began since `occurredAt`.",
        ),
    })
    .describe(
      "Leads enter a sequence, and what is told of them is written down unless something newer was told. The outcome holds a " +
        "verdict on each: `enrolled`, `already_enrolled`, `booked`, `opted_out`, `complained`, or `invalid: …` with the reason.",
    ),
  "lead.replied": z.strictObject({ ...about, lead }).describe("A lead wrote or called: sequences wait."),
  "lead.snoozed": z
    .strictObject({ ...about, lead, until: instant.nullable().describe("Null ends the snooze.") })
    .describe("Sequences of a lead wait until then."),
  "lead.opted_out": z
    .strictObject({ ...about, lead })
    .describe(
      "A lead wants to hear no more: everything ends, of all leads that share its address or number, also of those that come later.",
    ),
  "meeting.booked": z
    .strictObject(aboutMeeting)
    .describe("A lead has booked: what chased the meeting ends, post-booking sequences start."),
  "meeting.rescheduled": z
    .strictObject({
      ...aboutMeeting,
      replaces: line(200)
        .describe("The id that the meeting had before, where the calendar gave it a new one.")
        .optional(),
    })
    .describe("A meeting has another time. Never a cancellation."),
  "meeting.cancelled": z
    .strictObject(aboutMeeting)
    .describe("A meeting will not take place. Nothing starts again by itself."),
  "meeting.missed": z
    .strictObject(aboutMeeting)
    .describe("The lead did not come: sequences with the trigger meeting_missed start."),
  "touch.approved": z
    .strictObject({
      ...aboutTouch,
      fingerprint: z
        .string()
        .regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits")
        .describe("Of the text that was shown."),
    })
    .describe("A person approves a touch that waits. Refused where its text is no longer the one that was shown."),
  "touch.rejected": z
    .strictObject({ ...aboutTouch, reason: line(500) })
    .describe("A person rejects a touch that waits: it is never sent, and the sequence goes on."),
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
  "meeting.booked",
  "meeting.rescheduled",
  "meeting.cancelled",
  "meeting.missed",
]);
export const stops = (type: FactType): boolean => STOPPING.has(type);

export const isFactType = (type: string): type is FactType => Object.hasOwn(FACT_SCHEMAS, type);
