import type { Step } from "./due-item.ts";
import type { StepTexts } from "./templates.ts";
import {
  faultsOf,
  liquid,
  liquidOfAnyFilter,
  TEMPLATE_NAMES,
  type TemplateLead,
  textTemplate,
} from "./text-template.ts";

export interface StepFault {
  readonly part: "subject" | "body";
  /** What is wrong, for the person who wrote it. */
  readonly message: string;
}

/**
 * Every fault of a step's templates at once, none where it can be sent to a lead of whom all is known. It asks the parser
 * that sending renders with.
 */
export function lintStep({ channel, subject, body }: StepTexts): readonly StepFault[] {
  return [
    ...subjectFaults(channel, subject).map((message) => ({ part: "subject" as const, message })),
    ...bodyFaults(body).map((message) => ({ part: "body" as const, message })),
  ];
}

function subjectFaults(channel: Step["channel"], subject: string | null): readonly string[] {
  if (subject === null || subject.trim() === "") return channel === "email" ? ["is empty; an e-mail needs one"] : [];
  const oneLine = /\p{Cc}|\u2028|\u2029/u.test(subject) ? ["holds a line break or another control character"] : [];
  return textFaults(subject, oneLine);
}

function bodyFaults(body: string): readonly string[] {
  if (body.trim() === "") return ["is empty"];
  return textFaults(body, /[^\P{Cc}\t\n\r]/u.test(body) ? ["holds a control character"] : []);
}

function textFaults(text: string, found: readonly string[]): readonly string[] {
  const faults = [...found, ...syntaxFaults(text), ...unknownNames(text)];
  if (faults.length > 0) return faults;
  const filled = textTemplate(text)(SAMPLE_LEAD, SOMEWHERE);
  if (filled.kind === "filled") return [];
  return filled.kind === "faulty" ? filled.faults : filled.names.map(unknownName);
}

function syntaxFaults(text: string): readonly string[] {
  try {
    liquid.parse(text);
    return [];
  } catch (thrown) {
    return faultsOf(thrown);
  }
}

/** What the text asks for and no lead will ever have. None where the text cannot be read at all. */
function unknownNames(text: string): readonly string[] {
  try {
    const names = liquidOfAnyFilter.globalVariableSegmentsSync(text).map(dotted);
    return names.filter((name) => !isKnown(name)).map(unknownName);
  } catch {
    return [];
  }
}

type Segments = ReturnType<typeof liquid.globalVariableSegmentsSync>[number];

/** `["lead", "first_name"]` as it is written in a template. A segment that is itself a name is one in brackets. */
const dotted = (segments: Segments): string =>
  segments.reduce<string>((name, segment, index) => {
    if (Array.isArray(segment)) return `${name}[${dotted(segment)}]`;
    return index === 0 ? String(segment) : `${name}.${segment}`;
  }, "");

const KNOWN: ReadonlySet<string> = new Set(TEMPLATE_NAMES.flatMap((name) => [name, `${name}.size`]));
const isKnown = (name: string): boolean => KNOWN.has(name);
const unknownName = (name: string): string => `unknown variable ${name}; known are ${TEMPLATE_NAMES.join(", ")}`;

/** A made-up lead of whom all is known. */
export const SAMPLE_LEAD: TemplateLead = {
  firstName: "Ada",
  lastName: "Byron",
  company: "Analytical Engines",
  email: "ada@example.com",
  phone: "+4930123456",
};
const SOMEWHERE = { name: "Northwind" };
