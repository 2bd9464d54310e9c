import { Liquid, type Template } from "liquidjs";
import type { LeadFacts, Step, WorkspaceFacts } from "./due-item.ts";

/** A text that is ready to go. */
export interface Message {
  readonly subject: string | null;
  readonly body: string;
}

export type Rendered =
  | { readonly kind: "rendered"; readonly message: Message }
  /** Names the values that the template asks for and the lead lacks, such as `lead.first_name`. */
  | { readonly kind: "missing"; readonly names: readonly string[] }
  | { readonly kind: "invalid"; readonly fault: string };

const liquid = new Liquid({
  strictVariables: true,
  strictFilters: true,
  lenientIf: true,
  ownPropertyOnly: true,
  catchAllErrors: true,
});

/** Renders a step for a lead. A value that is absent, or blank, is missing: a placeholder is never sent. */
export function render(step: Step, lead: LeadFacts, workspace: WorkspaceFacts): Rendered {
  const values = { lead: leadValues(lead), workspace: { name: workspace.name } };
  const subject = step.subject === null ? { text: null } : renderText(step.subject, values);
  const body = renderText(step.body, values);
  const fault = ("fault" in subject && subject.fault) || ("fault" in body && body.fault);
  if (fault) return { kind: "invalid", fault };
  if ("text" in subject && "text" in body) {
    return { kind: "rendered", message: { subject: subject.text, body: body.text } };
  }
  const names = [subject, body].flatMap((part) => ("missing" in part ? part.missing : []));
  return { kind: "missing", names: [...new Set(names)] };
}

type RenderedText = { readonly text: string } | { readonly missing: readonly string[] } | { readonly fault: string };

function renderText(text: string, values: object): RenderedText {
  try {
    const rendered: string = liquid.renderSync(parsed(text), values);
    // PostgreSQL takes no such text: the whole batch would fail with it.
    return rendered.includes("\0") ? { fault: "the text holds a NUL character" } : { text: rendered };
  } catch (thrown) {
    const missing = missingNames(thrown);
    return missing.length > 0 ? { missing } : { fault: faultOf(thrown) };
  }
}

const leadValues = (lead: LeadFacts): Record<string, string> =>
  Object.fromEntries(
    Object.entries({
      first_name: lead.firstName,
      last_name: lead.lastName,
      company: lead.company,
      email: lead.email,
      phone: lead.phone,
    }).filter((entry): entry is [string, string] => entry[1] !== null && entry[1].trim() !== ""),
  );

const templates = new Map<string, Template[]>();

function parsed(text: string): Template[] {
  const remembered = templates.get(text);
  if (remembered) return remembered;
  const template = liquid.parse(text);
  if (templates.size >= 1_000) templates.clear();
  templates.set(text, template);
  return template;
}

/** Digs the names of undefined variables out of what LiquidJS threw: one error, or all of a template in one. */
function missingNames(thrown: unknown): string[] {
  if (typeof thrown !== "object" || thrown === null) return [];
  const own = "variableName" in thrown && typeof thrown.variableName === "string" ? [thrown.variableName] : [];
  const several = "errors" in thrown && Array.isArray(thrown.errors) ? thrown.errors.flatMap(missingNames) : [];
  const cause = "originalError" in thrown ? missingNames(thrown.originalError) : [];
  return [...new Set([...own, ...several, ...cause])];
}

function faultOf(thrown: unknown): string {
  if (typeof thrown === "object" && thrown !== null && "errors" in thrown && Array.isArray(thrown.errors)) {
    return thrown.errors.map(faultOf).join("; ");
  }
  return thrown instanceof Error ? thrown.message : String(thrown);
}
