import { Liquid, type Template } from "liquidjs";
import type { LeadFacts, WorkspaceFacts } from "./due-item.ts";

/** What a template may read of a lead. */
export type TemplateLead = Pick<LeadFacts, "firstName" | "lastName" | "company" | "email" | "phone">;
/** What a template may read of its workspace. */
export type TemplateWorkspace = Pick<WorkspaceFacts, "name">;

const VALUES = {
  "lead.first_name": (lead) => lead.firstName,
  "lead.last_name": (lead) => lead.lastName,
  "lead.company": (lead) => lead.company,
  "lead.email": (lead) => lead.email,
  "lead.phone": (lead) => lead.phone,
  "workspace.name": (_lead, workspace) => workspace.name,
} as const satisfies Record<string, (lead: TemplateLead, workspace: TemplateWorkspace) => string | null>;

type TemplateName = keyof typeof VALUES;

/** The names that a template may use. */
export const TEMPLATE_NAMES = Object.keys(VALUES) as readonly TemplateName[];

export type Filled =
  | { readonly kind: "filled"; readonly text: string }
  /** Names the values that the text asks for and the lead lacks. */
  | { readonly kind: "missing"; readonly names: readonly string[] }
  /** The text itself is wrong, in one way or in several; whatever the lead, it cannot be sent. */
  | { readonly kind: "faulty"; readonly faults: readonly string[] };

/** A text with names in it, parsed once and filled for as many leads as there are. */
export type TextTemplate = (lead: TemplateLead, workspace: TemplateWorkspace) => Filled;

const RENDER_LIMIT_MS = 1_000;

/** What LiquidJS makes of a text when it parses it: strict, without files, and within limits that no message needs. */
const OPTIONS = {
  strictVariables: true,
  strictFilters: true,
  lenientIf: true,
  ownPropertyOnly: true,
  catchAllErrors: true,
  // Not that of the machine: what goes out would depend on where it is sent from.
  locale: "en-US",
  // No template may read a file of the machine; a partial is looked for here, and there is none.
  templates: {},
  parseLimit: 100_000,
  memoryLimit: 1_000_000,
  renderLimit: RENDER_LIMIT_MS,
};

/** The one parser: what is linted with it is what is rendered. */
export const liquid = new Liquid(OPTIONS);
/** The same, but it passes over unknown filters, so that what else is wrong can be told beside them. */
export const liquidOfAnyFilter = new Liquid({ ...OPTIONS, strictFilters: false });

const remembered = new Map<string, TextTemplate>();
const REMEMBERED_AT_MOST = 1_000;

/** Parses a text, or remembers that it was parsed. Never throws: a text with faults is one that fills to them. */
export function textTemplate(text: string): TextTemplate {
  const known = remembered.get(text);
  if (known) return known;
  const template = plainTemplate(text) ?? liquidTemplate(text);
  if (remembered.size >= REMEMBERED_AT_MOST) remembered.clear();
  remembered.set(text, template);
  return template;
}

/** A plain output of a known name, or the beginning of anything else that LiquidJS would not leave as it stands. */
const OUTPUT = new RegExp(`\\{\\{ *(${TEMPLATE_NAMES.join("|").replaceAll(".", "\\.")}) *\\}\\}|\\{\\{|\\{%`, "g");

/**
 * Most texts are nothing but words and plain outputs of known names. Those need none of the machinery of LiquidJS, which
 * takes fifty times as long. Undefined for any other; a test holds that both fill alike.
 */
function plainTemplate(text: string): TextTemplate | undefined {
  const parts: { readonly before: string; readonly name: TemplateName }[] = [];
  let end = 0;
  for (const match of text.matchAll(OUTPUT)) {
    const name = match[1] as TemplateName | undefined;
    if (name === undefined) return undefined;
    parts.push({ before: text.slice(end, match.index), name });
    end = match.index + match[0].length;
  }
  const rest = text.slice(end);
  return (lead, workspace) => {
    let filled = "";
    const missing: TemplateName[] = [];
    for (const { before, name } of parts) {
      const value = VALUES[name](lead, workspace);
      if (isGiven(value)) filled += before + value;
      else missing.push(name);
    }
    return missing.length > 0 ? { kind: "missing", names: [...new Set(missing)] } : checked(filled + rest);
  };
}

const TOO_SLOW: Filled = { kind: "faulty", faults: [`takes longer than ${RENDER_LIMIT_MS} ms to render`] };

/**
 * A text in which LiquidJS has something to do. One that is too slow twice in a row is not rendered again by this process: each
 * lead of it would hold up all others. Once, it may have been the machine that stalled.
 */
export function liquidTemplate(text: string): TextTemplate {
  const template = parsed(text);
  if ("faults" in template) return () => ({ kind: "faulty", faults: template.faults });
  let tooSlow = false;
  return (lead, workspace) => {
    for (let tries = 0; !tooSlow && tries < 2; tries++) {
      const startedMs = performance.now();
      const filled = fill(template, lead, workspace);
      if (performance.now() - startedMs < RENDER_LIMIT_MS) return filled;
    }
    tooSlow = true;
    return TOO_SLOW;
  };
}

function fill(template: Template[], lead: TemplateLead, workspace: TemplateWorkspace): Filled {
  try {
    return checked(liquid.renderSync(template, valuesOf(lead, workspace)));
  } catch (thrown) {
    const names = missingNames(thrown);
    return names.length > 0 ? { kind: "missing", names } : { kind: "faulty", faults: faultsOf(thrown) };
  }
}

function parsed(text: string): Template[] | { readonly faults: readonly string[] } {
  try {
    return liquid.parse(text);
  } catch (thrown) {
    return { faults: faultsOf(thrown) };
  }
}

/** PostgreSQL takes no text with a NUL character: the whole batch would fail with it. */
const checked = (text: string): Filled =>
  text.includes("\0") ? { kind: "faulty", faults: ["the text holds a NUL character"] } : { kind: "filled", text };

/** A value that is absent, or blank, is missing: a placeholder is never sent. */
const isGiven = (value: string | null): value is string => value !== null && value.trim() !== "";

/** What LiquidJS may read: `lead` and `workspace`, with the values that are given. */
function valuesOf(lead: TemplateLead, workspace: TemplateWorkspace): Record<string, Record<string, string>> {
  const values: Record<string, Record<string, string>> = {};
  for (const name of TEMPLATE_NAMES) {
    const value = VALUES[name](lead, workspace);
    const [owner = "", key = ""] = name.split(".");
    values[owner] ??= {};
    if (isGiven(value)) values[owner][key] = value;
  }
  return values;
}

/** Digs the names of undefined variables out of what LiquidJS threw: one error, or all of a template in one. */
function missingNames(thrown: unknown): string[] {
  if (typeof thrown !== "object" || thrown === null) return [];
  const own = "variableName" in thrown && typeof thrown.variableName === "string" ? [thrown.variableName] : [];
  const several = "errors" in thrown && Array.isArray(thrown.errors) ? thrown.errors.flatMap(missingNames) : [];
  const cause = "originalError" in thrown ? missingNames(thrown.originalError) : [];
  return [...new Set([...own, ...several, ...cause])];
}

/** Each fault that LiquidJS found, in its own words, with line and column. */
export function faultsOf(thrown: unknown): string[] {
  if (typeof thrown === "object" && thrown !== null && "errors" in thrown && Array.isArray(thrown.errors)) {
    return thrown.errors.flatMap(faultsOf);
  }
  return [thrown instanceof Error ? thrown.message : String(thrown)];
}
