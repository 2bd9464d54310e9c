import { CHANNEL_REGISTRY } from "./channels.ts";
import type { Step } from "./due-item.ts";
import { LEAD_COLUMNS, TEMPLATE_KEYS, type TemplateLead } from "./lead-columns.ts";
import { checkTemplate } from "./template-check.ts";
import { forAuthor } from "./template-language.ts";
import type { StepTexts } from "./templates.ts";
import { TEMPLATE_NAMES, textTemplate } from "./templates.ts";

export interface StepFault {
  readonly part: "subject" | "body";
  /** The error message for the author. */
  readonly message: string;
}

/**
 * All faults in a step's templates; empty if the step can be sent to a lead with every value. Checks with the rendering
 * code. Messages quote the template: show them to its author, but never log them.
 */
export function lintStep({ channel, subject, body }: StepTexts): readonly StepFault[] {
  return [
    ...subjectFaults(channel, subject).map((message) => ({ part: "subject" as const, message })),
    ...bodyFaults(body).map((message) => ({ part: "body" as const, message })),
  ];
}

function subjectFaults(channel: Step["channel"], subject: string | null): readonly string[] {
  if (subject === null || subject.trim() === "")
    return CHANNEL_REGISTRY[channel].isMail ? ["is empty; an e-mail needs one"] : [];
  const oneLine = /\p{Cc}|\u2028|\u2029/u.test(subject) ? ["contains a line break or another control character"] : [];
  return textFaults(subject, oneLine);
}

function bodyFaults(body: string): readonly string[] {
  if (body.trim() === "") return ["is empty"];
  return textFaults(body, /[^\P{Cc}\t\n\r]/u.test(body) ? ["contains a control character"] : []);
}

function textFaults(text: string, found: readonly string[]): readonly string[] {
  const faults = [...found, ...checkTemplate(text, TEMPLATE_NAMES).faults.map(forAuthor)];
  if (faults.length > 0) return faults;
  const filled = textTemplate(text)(SAMPLE_LEAD, SOMEWHERE);
  if (filled.kind === "filled") return [];
  return filled.kind === "faulty" ? filled.faults : filled.names.map((name) => `${name} has no value here`);
}

/** A sample lead with every value. */
export const SAMPLE_LEAD = Object.fromEntries(
  TEMPLATE_KEYS.map((key) => [key, LEAD_COLUMNS[key].example]),
) as TemplateLead;
const SOMEWHERE = { name: "Northwind" };
