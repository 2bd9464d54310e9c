import { getCountries, isSupportedCountry } from "libphonenumber-js/min";
import { LEAD_COLUMNS, LEAD_KEYS, type LeadKey } from "../../lib/domain/lead-columns.ts";
import { fieldFault, type LeadFields } from "../../lib/domain/lead-fields.ts";
import { readNumber } from "../../lib/domain/phone.ts";
import { isTimeZone, zonedDateTime } from "../../lib/domain/time-zone.ts";
import { leadToEnrol } from "../../lib/inbound/lead-to-enrol.ts";
import type { ColumnMapping } from "./column-mapping.ts";
import type { Target } from "./crm-exports.ts";
import { isFieldTarget } from "./field-columns.ts";

/** A row's lead, or the reason why the row has none. */
export type ReadLead =
  | {
      readonly lead: Readonly<Record<string, string | LeadFields>>;
      /** Values that were dropped, by column and without the value. */
      readonly warnings: readonly string[];
    }
  | { readonly fault: string }
  /** The heading of the column that says that the person must not be contacted. */
  | { readonly optedOutBy: string };

export interface LeadColumns extends ColumnMapping {
  readonly headings: readonly string[];
}

/** Cells that identify the lead, or where it can be reached. An invalid one makes the row invalid. */
const KEYS: ReadonlySet<LeadKey> = new Set(["externalId", "email"]);

/** Reads a row's lead. An invalid optional cell is dropped with a warning. `country` is the workspace's. */
export function readLead(cells: readonly string[], columns: LeadColumns, country: string | null): ReadLead {
  const given = (target: Target) =>
    (columns.places.get(target) ?? []).map((place) => meaning(cells[place] ?? "")).filter((text) => text !== "");
  if (given("optedOut").some((text) => OPTED_OUT.test(text))) return { optedOutBy: optOutHeading(cells, columns) };
  const [ownCountry] = given("country");
  const place = ownCountry === undefined ? country : countryCode(ownCountry);
  const read = LEAD_KEYS.map((key) => ({
    key,
    column: LEAD_COLUMNS[key].column,
    ...firstUsable(given(key), (text) => readCell(key, text, place)),
  }));
  const invalid = read.find(({ key, faults }) => KEYS.has(key) && faults.length > 0);
  if (invalid) return { fault: `${invalid.column}: ${invalid.faults[0]}` };
  const readFields = [...columns.places.keys()].filter(isFieldTarget).map((target) => ({
    key: target.slice("fields.".length),
    column: target,
    ...firstUsable(given(target), readField),
  }));
  const fields = valuesOf(readFields);
  return {
    lead: { ...valuesOf(read), ...(Object.keys(fields).length > 0 && { fields }) },
    warnings: [...read, ...readFields].flatMap(({ column, faults }) =>
      faults.map((fault) => `${column} is dropped: ${fault}`),
    ),
  };
}

const valuesOf = (read: readonly { readonly key: string; readonly value: string | undefined }[]): LeadFields =>
  Object.fromEntries(read.flatMap(({ key, value }) => (value === undefined ? [] : [[key, value]])));

function readField(text: string): ReadCell {
  const fault = text.includes("\u{fffd}") ? LOST_CHARACTER : fieldFault(text);
  return fault === undefined ? { value: text } : { fault };
}

function optOutHeading(cells: readonly string[], { places, headings }: LeadColumns): string {
  const place = places.get("optedOut")?.find((each) => OPTED_OUT.test(meaning(cells[each] ?? "")));
  return headings[place ?? -1] ?? "";
}

/** The first valid value, and the faults of those before it. */
function firstUsable(texts: readonly string[], readText: (text: string) => ReadCell) {
  const faults: string[] = [];
  for (const text of texts) {
    const read = readText(text);
    if ("value" in read) return { value: read.value, faults };
    faults.push(read.fault);
  }
  return { value: undefined, faults };
}

type ReadCell = { readonly value: string } | { readonly fault: string };

function readCell(key: LeadKey, text: string, country: string | null): ReadCell {
  if (text.includes("\u{fffd}")) return { fault: LOST_CHARACTER };
  if (key === "phone") {
    const read = readNumber(text, country);
    return "fault" in read ? read : { value: read.number };
  }
  if (key === "externalId" && ROUNDED.test(text))
    return { fault: "a spreadsheet has rounded the number; format the column as text" };
  const value = REPAIRS[key]?.(text) ?? text;
  const parsed = leadToEnrol.shape[key].safeParse(value);
  return parsed.success ? { value } : { fault: parsed.error.issues[0]?.message ?? "is invalid" };
}

const LOST_CHARACTER = "it has a character that an earlier program has lost";
const ROUNDED = /^\d[.,]\d+E\+\d+$/i;

const REPAIRS: Readonly<Partial<Record<LeadKey, (text: string) => string>>> = {
  linkedinUrl: (text) => (/^(\/\/)?([\w-]+\.)+[a-z]+\//i.test(text) ? `https://${text.replace(/^\/\//, "")}` : text),
  timeZone: zoneName,
};

/** The zone in HubSpot's `us_slash_eastern`, and in Salesforce's `(GMT-05:00) Eastern Time (America/New_York)`. */
function zoneName(text: string): string {
  const inner = /\(([A-Za-z_+-]+(\/[\w+-]+)+)\)$/.exec(text)?.[1] ?? text;
  const zone = inner.replaceAll("_slash_", "/").replaceAll("_hyphen_", "-");
  return isTimeZone(zone) ? zonedDateTime(0, zone).timeZoneId : text;
}

/** The cell without blanks and invisible characters around it and without a spreadsheet's escapes; empty if it says so. */
function meaning(cell: string): string {
  const text = trimmed(cell.replace(/^'(?=[=+\-@])/, "").replace(/^="(.*)"$/s, "$1"));
  return NOTHING.test(text) || SPREADSHEET_ERROR.test(text) ? "" : text;
}

const trimmed = (text: string): string => text.replaceAll(/^[\s\p{Z}\p{Cf}]+|[\s\p{Z}\p{Cf}]+$/gu, "");

/** Texts that programs write for a missing value. Salesforce writes `[not provided]` for required columns. */
const NOTHING = /^([\p{P}\p{Z}]*|null|undefined|n\/a|nan|none|\\n|\(blank\)|\[not provided\])$/iu;
/** The errors of Excel and Google Sheets. */
const SPREADSHEET_ERROR = /^#(N\/A|NAME\?|REF!|VALUE!|DIV\/0!|NULL!|NUM!|ERROR!|SPILL!|CALC!|FIELD!|GETTING_DATA|#+)$/i;

/** Yes in the ways in which CRMs write it, and the states of people who must not be contacted. */
const OPTED_OUT = /^(true|yes|y|1|x|unsubscribed|opted[ _-]?out|do[ _-]?not[ _-]?contact|bounced)$/i;

/** The ISO 3166-1 code of a country's code or English name; null if it is not known. */
function countryCode(text: string): string | null {
  const code = text.toUpperCase();
  return isSupportedCountry(code) ? code : (COUNTRIES.get(code) ?? null);
}

const ENGLISH = new Intl.DisplayNames(["en"], { type: "region" });
const COUNTRIES: ReadonlyMap<string, string> = new Map([
  ...getCountries().map((code) => [(ENGLISH.of(code) ?? code).toUpperCase(), code] as const),
  ["USA", "US"],
  ["UNITED STATES OF AMERICA", "US"],
  ["UK", "GB"],
  ["GREAT BRITAIN", "GB"],
  ["ENGLAND", "GB"],
]);
