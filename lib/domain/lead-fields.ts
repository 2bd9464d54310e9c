/** The custom fields of a lead: texts by name. */
export type LeadFields = Readonly<Record<string, string>>;

/** The limits are those of `are_lead_fields` in the migration `custom_fields`. */
export const MOST_FIELDS = 50;
export const LONGEST_FIELD = 1_000;
export const FIELD_NAME_PATTERN = "[a-z][a-z0-9_]{0,39}";

export const FIELD_NAME = new RegExp(`^${FIELD_NAME_PATTERN}$`);
export const isFieldName = (name: string): boolean => FIELD_NAME.test(name);

const IN_TEMPLATE = new RegExp(`^lead\\.fields\\.(${FIELD_NAME_PATTERN})(\\.size)?$`);
/** The field that a name in a template reads, such as `title` for `lead.fields.title`; undefined for any other name. */
export const fieldRead = (name: string): string | undefined => IN_TEMPLATE.exec(name)?.[1];

/** The stored text, or null. Ignores what every JavaScript object inherits, such as `constructor`. */
export const fieldOf = (fields: LeadFields, name: string): string | null =>
  Object.hasOwn(fields, name) ? (fields[name] ?? null) : null;

/** A name for a field that is called so elsewhere: `job_title` for `Job Title`. Undefined if no letter is left. */
export function suggestedFieldName(heading: string): string | undefined {
  const plain = heading.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase();
  const words = plain.replaceAll(/[^a-z0-9]+/g, "_").replaceAll(/^[_0-9]+|_+$/g, "");
  const name = words.slice(0, 40).replace(/_+$/, "");
  return isFieldName(name) ? name : undefined;
}

/** Why a text cannot be the value of a field; undefined if it can. Never quotes the text. */
export function fieldFault(text: string): string | undefined {
  if (text.length > LONGEST_FIELD) return `has more than ${LONGEST_FIELD} characters`;
  if (/[^\P{Cc}\t\n\r]/u.test(text)) return "must not contain control characters";
  return text.isWellFormed() ? undefined : "must be well-formed Unicode";
}
