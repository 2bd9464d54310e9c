import { CHANNEL_REGISTRY } from "./channels.ts";
import type { Step, WorkspaceFacts } from "./due-item.ts";
import { hasOffer, LATE_VALUES, MARKER_START, withoutMarkers } from "./late-values.ts";
import { isGiven, LEAD_COLUMNS, TEMPLATE_KEYS, type TemplateLead } from "./lead-columns.ts";
import { FIELD_NAME_PATTERN, fieldOf, fieldRead } from "./lead-fields.ts";
import { findPlaceholders, LIQUID } from "./placeholders.ts";
import { checkTemplate } from "./template-check.ts";
import { withoutText } from "./template-faults.ts";
import { isTooMuch, LONGEST_TEXT, liquid, Missing, missingNames } from "./template-language.ts";

/** The parts of a step that make a message. */
export type StepTexts = Pick<Step, "channel" | "subject" | "body" | "allow">;

/** A rendered message, ready to send. */
export interface Message {
  /** One line without control characters, so that it cannot inject an e-mail header. */
  readonly subject: string | null;
  readonly body: string;
}

export type Rendered =
  | { readonly kind: "rendered"; readonly message: Message }
  /** `names` are the values that the template needs and the lead lacks, such as `lead.first_name`. */
  | { readonly kind: "missing"; readonly names: readonly string[] }
  /** `fault` quotes neither the template nor the lead, so it may be logged and stored. */
  | { readonly kind: "invalid"; readonly fault: string };

/** Renders a step for a lead. Null and blank values count as missing, so that no placeholder is sent. */
export function render(step: StepTexts, lead: TemplateLead, workspace: TemplateWorkspace): Rendered {
  const subject = step.subject === null ? null : textTemplate(step.subject, step.allow)(lead, workspace);
  const body = textTemplate(step.body, step.allow)(lead, workspace);
  if ((subject === null || subject.kind === "filled") && body.kind === "filled") {
    return finished(step, { subject: subject && oneLine(subject.text), body: body.text });
  }
  return unfinished(subject, body);
}

function finished({ channel }: StepTexts, message: Message): Rendered {
  if (CHANNEL_REGISTRY[channel].isMail && !message.subject) return { kind: "invalid", fault: "the subject is empty" };
  if (message.subject && hasOffer(message.subject)) return { kind: "invalid", fault: "the subject offers times" };
  if (message.body.trim() === "") return { kind: "invalid", fault: "the body is empty" };
  return { kind: "rendered", message };
}

/** Reports list this many faults and count the rest. */
const MOST_FAULTS = 5;

function unfinished(subject: Filled | null, body: Filled): Rendered {
  const faults = [...faultsOf("subject", subject), ...faultsOf("body", body)];
  if (faults.length > 0) {
    const more = faults.length > MOST_FAULTS ? [`and ${faults.length - MOST_FAULTS} more`] : [];
    return { kind: "invalid", fault: [...faults.slice(0, MOST_FAULTS), ...more].join("; ") };
  }
  const names = [subject, body].flatMap((part) => (part?.kind === "missing" ? part.names : []));
  return { kind: "missing", names: [...new Set(names)] };
}

const faultsOf = (part: string, filled: Filled | null): readonly string[] =>
  filled?.kind === "faulty" ? filled.faults.map((fault) => `${part}: ${fault}`) : [];

const UNTIDY = /[^\S ]|\p{Cc}| {2}/u;
const SPACE = /[\s\p{Cc}]+/gu;

/** Removes line breaks, which would end the e-mail header. */
const oneLine = (text: string): string => (UNTIDY.test(text) ? text.replace(SPACE, " ") : text).trim();

/** The workspace fields that a template may read. */
type TemplateWorkspace = Pick<WorkspaceFacts, "name">;

type Read = (lead: TemplateLead, workspace: TemplateWorkspace) => string | null;

const READS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ...TEMPLATE_KEYS.map((key): [string, Read] => [
    `lead.${LEAD_COLUMNS[key].column}`,
    (lead) => withoutMarkers(lead[key]),
  ]),
  ["workspace.name", (_lead, workspace) => withoutMarkers(workspace.name)],
]);

const readerOf = (name: string): Read | undefined => {
  const field = fieldRead(name);
  if (field !== undefined) return (lead) => fieldValue(lead, field);
  const late = LATE_VALUES.get(name);
  return late ? () => late.marker : READS.get(name);
};

const MARKERS = Object.fromEntries([...LATE_VALUES].map(([name, { marker }]) => [name, marker]));

const fieldValue = (lead: TemplateLead, name: string): string | null => withoutMarkers(fieldOf(lead.fields, name));

/** The names that a template may use, besides those of custom fields. */
export const TEMPLATE_NAMES: readonly string[] = [...READS.keys()];

type Filled =
  | { readonly kind: "filled"; readonly text: string }
  /** `names` are the values that the text needs and the lead lacks. */
  | { readonly kind: "missing"; readonly names: readonly string[] }
  /** The text cannot be sent. Each fault gives the error and position, and quotes neither the text nor a value. */
  | { readonly kind: "faulty"; readonly faults: readonly string[] };

/** A template, parsed once and filled per lead. */
type TextTemplate = (lead: TemplateLead, workspace: TemplateWorkspace) => Filled;

interface Prepared {
  readonly fill: TextTemplate;
  /** Approximate size in bytes. */
  readonly weight: number;
}

/** Keyed by the allowed kinds of placeholders, then by text. */
const remembered = new Map<string, Map<string, TextTemplate>>();
let countOfRemembered = 0;
const MOST_REMEMBERED = 1_000;
const MOST_WEIGHT = 30_000_000;
let weightOfRemembered = 0;

/**
 * Parses a text; cached. Never throws: filling a faulty text returns its faults. `allow` lists the kinds of placeholders
 * that are sent as they are.
 */
export function textTemplate(text: string, allow: readonly string[]): TextTemplate {
  const kinds = allow.join();
  const known = remembered.get(kinds)?.get(text);
  if (known) return known;
  const { fill, weight } = plainTemplate(text, allow) ?? parsedTemplate(text, allow);
  if (countOfRemembered >= MOST_REMEMBERED || weightOfRemembered + weight > MOST_WEIGHT) {
    remembered.clear();
    weightOfRemembered = 0;
    countOfRemembered = 0;
  }
  const sameKinds = remembered.get(kinds) ?? new Map<string, TextTemplate>();
  remembered.set(kinds, sameKinds.set(text, fill));
  weightOfRemembered += weight;
  countOfRemembered += 1;
  return fill;
}

const NAMES_PATTERN = [...TEMPLATE_NAMES, ...LATE_VALUES.keys(), `lead.fields.${FIELD_NAME_PATTERN}`]
  .join("|")
  .replaceAll(".", "\\.");
/** Matches a plain output of a known name, or the start of any other Liquid syntax. */
const OUTPUT = new RegExp(`\\{\\{ *(${NAMES_PATTERN}) *\\}\\}|\\{\\{|\\{%`, "g");

/**
 * Fast path for templates that contain only text and plain outputs of known names. Gives the same result as LiquidJS,
 * about fifty times faster. Undefined for any other template.
 */
function plainTemplate(text: string, allow: readonly string[]): Prepared | undefined {
  if (text.length > LONGEST_TEXT || text.includes(MARKER_START)) return undefined;
  const parts: { readonly before: string; readonly name: string; readonly read: Read }[] = [];
  let end = 0;
  for (const match of text.matchAll(OUTPUT)) {
    const name = match[1] ?? "";
    const read = readerOf(name);
    if (!read) return undefined;
    parts.push({ before: text.slice(end, match.index), name, read });
    end = match.index + match[0].length;
  }
  const rest = text.slice(end);
  const plain = [...parts.map(({ before }) => before), rest].join(LIQUID);
  if (!findPlaceholders(plain, allow).next().done) return undefined;
  const fill: TextTemplate = (lead, workspace) => {
    let filled = "";
    const missing: string[] = [];
    for (const { before, name, read } of parts) {
      const value = read(lead, workspace);
      if (isGiven(value)) filled += before + value;
      else missing.push(name);
    }
    return missing.length > 0 ? { kind: "missing", names: [...new Set(missing)] } : checked(filled + rest);
  };
  return { fill, weight: 2 * text.length + BYTES_PER_PART * parts.length };
}

/** Memory that LiquidJS keeps per tag, value or filter, as measured. */
const BYTES_PER_PART = 800;

function parsedTemplate(text: string, allow: readonly string[]): Prepared {
  const { faults, assigned, fields, parts } = checkTemplate(text, TEMPLATE_NAMES, allow);
  const weight = 2 * text.length + BYTES_PER_PART * parts;
  if (faults.length > 0) return { fill: faulty(faults.map(withoutText)), weight };
  try {
    const template = liquid.parse(text);
    const used = { assigned, fields: fields.map(({ name }) => name) };
    return { fill: (lead, workspace) => fill(template, used, lead, workspace), weight };
  } catch {
    return { fill: faulty(["the template cannot be read"]), weight };
  }
}

const faulty =
  (faults: readonly string[]): TextTemplate =>
  () => ({ kind: "faulty", faults });

const TOO_LONG: Filled = {
  kind: "faulty",
  faults: [`the text, or a value in it, becomes longer than ${LONGEST_TEXT} characters`],
};

interface UsedNames {
  /** Maps each assigned name to its description for reports. */
  readonly assigned: ReadonlyMap<string, string>;
  /** The custom fields that the template reads. */
  readonly fields: readonly string[];
}

function fill(
  template: ReturnType<typeof liquid.parse>,
  used: UsedNames,
  lead: TemplateLead,
  workspace: TemplateWorkspace,
): Filled {
  const missing = new Set<string>();
  const values = valuesOf(lead, workspace, used);
  missingNames.set(values, missing);
  try {
    const text: unknown = liquid.renderSync(template, values);
    return missing.size > 0 ? { kind: "missing", names: [...missing] } : checked(String(text));
  } catch (thrown) {
    // The LiquidJS message may contain a value of the lead.
    return isTooMuch(thrown) ? TOO_LONG : { kind: "faulty", faults: ["the template cannot be rendered"] };
  }
}

/** PostgreSQL rejects NUL characters, which would fail the whole batch. */
function checked(text: string): Filled {
  if (text.length > LONGEST_TEXT) return TOO_LONG;
  if (text.includes("\0")) return { kind: "faulty", faults: ["the text contains a NUL character"] };
  return { kind: "filled", text };
}

const ENTRIES = [...READS].map(([name, read]) => {
  const [owner, key = ""] = name.split(".");
  return { name, owner: owner === "lead" ? ("lead" as const) : ("workspace" as const), key, read };
});

/** The values for LiquidJS: `lead`, `workspace`, the markers, and each assigned name, which is `Missing` until assigned. */
function valuesOf(lead: TemplateLead, workspace: TemplateWorkspace, { assigned, fields }: UsedNames): object {
  const values: Record<string, Record<string, string | Missing> | Missing | string> = { ...MARKERS };
  for (const [name, calledInReports] of assigned) values[name] = new Missing(calledInReports);
  const owners: Record<"lead" | "workspace", Record<string, string | Missing>> = { lead: {}, workspace: {} };
  for (const { name, owner, key, read } of ENTRIES) {
    const value = read(lead, workspace);
    owners[owner][key] = isGiven(value) ? value : new Missing(name);
  }
  const given = fields.map((name) => [name, fieldValue(lead, name)] as const);
  const ownFields = Object.fromEntries(
    given.map(([name, value]) => [name, isGiven(value) ? value : new Missing(`lead.fields.${name}`)]),
  );
  return Object.assign(values, { ...owners, lead: { ...owners.lead, fields: ownFields } });
}
