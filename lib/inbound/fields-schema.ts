import * as z from "zod";
import {
  FIELD_NAME_PATTERN,
  fieldFault,
  isFieldName,
  type LeadFields,
  LONGEST_FIELD,
  MOST_FIELDS,
  suggestedFieldName,
} from "../domain/lead-fields.ts";

/**
 * Custom fields as other systems send them: CRMs and form tools send numbers, booleans and null, too. Null and blank
 * texts count as absent. Each invalid name or value is a fault of its own.
 */
export const fieldsSchema = z
  .unknown()
  .transform((given, context): LeadFields => {
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
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

function readField(name: string, value: unknown): { readonly text?: string; readonly fault?: string } {
  if (!isFieldName(name)) return { fault: `${quoted(name)} is not a name of a custom field; ${adviceOn(name)}` };
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

function adviceOn(name: string): string {
  const suggested = suggestedFieldName(name);
  return suggested === undefined ? "use lower-case letters, digits and underscores" : `use ${suggested}`;
}
