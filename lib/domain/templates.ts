import { CHANNEL_REGISTRY } from "./channels.ts";
import type { Step } from "./due-item.ts";
import type { TemplateLead } from "./lead-columns.ts";
import { type Filled, type TemplateWorkspace, textTemplate } from "./text-template.ts";

/** The parts of a step that make a message. */
export type StepTexts = Pick<Step, "channel" | "subject" | "body">;

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
  const subject = step.subject === null ? null : textTemplate(step.subject)(lead, workspace);
  const body = textTemplate(step.body)(lead, workspace);
  if ((subject === null || subject.kind === "filled") && body.kind === "filled") {
    return finished(step, { subject: subject && oneLine(subject.text), body: body.text });
  }
  return unfinished(subject, body);
}

function finished({ channel }: StepTexts, message: Message): Rendered {
  if (CHANNEL_REGISTRY[channel].isMail && !message.subject) return { kind: "invalid", fault: "the subject is empty" };
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
