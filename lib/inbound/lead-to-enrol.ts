import * as z from "zod";
import { readAddress } from "../domain/address.ts";
import { LEAD_COLUMNS, LEAD_KEYS, type LeadKey } from "../domain/lead-columns.ts";
import {
  FIELD_NAME_PATTERN,
  fieldFault,
  isFieldName,
  type LeadFields,
  LONGEST_FIELD,
  MOST_FIELDS,
  suggestedFieldName,
} from "../domain/lead-fields.ts";
import { isRecord } from "../domain/record.ts";
import { bareAddress } from "../domain/sender.ts";
import { isTimeZone } from "../domain/time-zone.ts";
import { withoutEmpty } from "./as-sent.ts";
import { line, NOT_ONE_LINE, NOT_WELL_FORMED, ONE_LINE } from "./line.ts";

/**
 * Custom fields as other systems send them: CRMs and form tools send numbers, booleans and null, too. Null and blank
 * texts count as absent. Each invalid name or value is a fault of its own.
 */
const fieldsSchema = z
  .unknown()
  .transform((given, context): LeadFields => {
    if (!isRecord(given)) {
      context.addIssue("must be an object of texts");
      return z.NEVER;
    }
    const read = Object.entries(given).map(([name, value]) => ({ name, ...readField(name, value) }));
    for (const { fault } of read) if (fault !== undefined) context.addIssue(fault);
    const texts = read.flatMap(({ name, text }) => (text === undefined ? [] : [[name, text] as const]));
    if (texts.length > MOST_FIELDS) context.addIssue(`has more than ${MOST_FIELDS} custom fields`);
    return Object.fromEntries(texts);
  })
  .meta({
    type: "object",
    maxProperties: MOST_FIELDS,
    propertyNames: { pattern: `^${FIELD_NAME_PATTERN}$` },
    additionalProperties: { type: ["string", "number", "boolean", "null"], maxLength: LONGEST_FIELD },
    description:
      `Custom fields: at most ${MOST_FIELDS}, with texts of at most ${LONGEST_FIELD} characters. Names have lower-case ` +
      "letters, digits and underscores. Templates read `title` as `lead.fields.title`. Numbers and booleans become " +
      "texts. Absent, empty and null fields keep their values.",
  })
  .optional();

/** An address of the person who follows up the lead. A name beside it would be lost. */
const ownAddress = (key: LeadKey) =>
  z
    .string()
    .max(LEAD_COLUMNS[key].longest)
    .transform((text, context) => {
      const address = bareAddress(text);
      if (address !== undefined) return address;
      context.addIssue("must be exactly one e-mail address, without a name");
      return z.NEVER;
    })
    .meta({ format: "email" });

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
  senderEmail: ownAddress("senderEmail"),
  replyTo: ownAddress("replyTo"),
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
  .strictObject({
    ...(Object.fromEntries(LEAD_KEYS.map((key) => [key, schemaOf(key)])) as Record<
      LeadKey,
      ReturnType<typeof schemaOf>
    >),
    fields: fieldsSchema,
  })
  .refine((lead) => lead.externalId !== undefined || lead.email !== undefined, "must have an externalId or an email");

/** Parses a lead as other systems send it: null and blank texts count as absent. */
export const parseLeadToEnrol = (lead: unknown) => leadToEnrol.safeParse(withoutEmpty(lead));

export type LeadToEnrol = z.infer<typeof leadToEnrol>;

function readField(name: string, value: unknown): { readonly text?: string; readonly fault?: string } {
  if (!isFieldName(name)) return { fault: `${quoted(name)} is not a name of a custom field; ${remedyOf(name)}` };
  if (value === null) return {};
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
    return { fault: `${name} must be a text, a number or a boolean` };
  }
  const text = String(value);
  if (text.trim() === "") return {};
  const fault = fieldFault(text);
  return fault === undefined ? { text } : { fault: `${name} ${fault}` };
}

const quoted = (name: string): string => JSON.stringify(name.slice(0, 40));

function remedyOf(name: string): string {
  const suggested = suggestedFieldName(name);
  return suggested === undefined ? "use lower-case letters, digits and underscores" : `use ${suggested}`;
}
