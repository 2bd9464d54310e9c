import type { Step } from "./due-item.ts";
import { type Filled, type TemplateLead, type TemplateWorkspace, textTemplate } from "./text-template.ts";

/** What of a step makes a message. */
export type StepTexts = Pick<Step, "channel" | "subject" | "body">;

/** A text that is ready to go. */
export interface Message {
  /** One line without control characters: nothing in it can begin another header of an e-mail. */
  readonly subject: string | null;
  readonly body: string;
}

export type Rendered =
  | { readonly kind: "rendered"; readonly message: Message }
  /** Names the values that the template needs and the lead lacks, such as `lead.first_name`. */
  | { readonly kind: "missing"; readonly names: readonly string[] }
  /** `fault` quotes neither the template nor the lead, so that it may be logged and stored. */
  | { readonly kind: "invalid"; readonly fault: string };

/** Renders a step for a lead. A value that is absent, or blank, is missing: a placeholder is never sent. */
export function render(step: StepTexts, lead: TemplateLead, workspace: TemplateWorkspace): Rendered {
  const subject = step.subject === null ? null : textTemplate(step.subject)(lead, workspace);
  const body = textTemplate(step.body)(lead, workspace);
  if ((subject === null || subject.kind === "filled") && body.kind === "filled") {
    return finished(step, { subject: subject && oneLine(subject.text), body: body.text });
  }
  return unfinished(subject, body);
}

function finished({ channel }: StepTexts, message: Message): Rendered {
  if (channel === "email" && !message.subject) return { kind: "invalid", fault: "the subject is empty" };
  if (message.body.trim() === "") return { kind: "invalid", fault: "the body is empty" };
  return { kind: "rendered", message };
}

/** Faults that a report names; it counts the others. */
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

/** A name may have come with line breaks, which would end the header that it stands in. */
const oneLine = (text: string): string => (UNTIDY.test(text) ? text.replace(SPACE, " ") : text).trim();
