import * as z from "zod";
import { readAddress } from "../domain/address.ts";
import { LEAD_COLUMNS, LEAD_KEYS, type LeadKey } from "../domain/lead-columns.ts";
import { bareAddress } from "../domain/sender.ts";
import { isTimeZone } from "../domain/time-zone.ts";
import { withoutEmpty } from "./as-sent.ts";
import { fieldsSchema } from "./fields-schema.ts";
import { line, NOT_ONE_LINE, NOT_WELL_FORMED, ONE_LINE } from "./line.ts";

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
