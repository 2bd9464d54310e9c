import { distance } from "fastest-levenshtein";
import { checkTemplate } from "./template-check.ts";
import { forAuthor } from "./template-faults.ts";
import { type StepTexts, TEMPLATE_NAMES } from "./templates.ts";
import type { TextFault } from "./written-sequence.ts";

/**
 * The custom fields that a step's texts read and that are not in `known`, the names of the workspace. Messages quote the
 * template: show them to its author, but never log them.
 */
export function unknownFields({ subject, body, allow }: StepTexts, known: readonly string[]): readonly TextFault[] {
  return (["subject", "body"] as const).flatMap((part) =>
    checkTemplate((part === "subject" ? subject : body) ?? "", TEMPLATE_NAMES, allow)
      .fields.filter(({ name }) => !known.includes(name))
      .map(({ name, ...place }) => {
        const fault = {
          what: "no lead of the workspace has",
          quoted: `lead.fields.${name}`,
          hint: hintFor(name, known),
        };
        return { part, message: forAuthor({ ...fault, ...place }) };
      }),
  );
}

const MOST_NAMED = 10;

function hintFor(name: string, known: readonly string[]): string {
  const near = nearNames(name, known);
  if (near.length > 0) return `similar: ${near.join(", ")}`;
  if (known.length === 0) return "the workspace has no custom fields yet";
  const more = known.length > MOST_NAMED ? `, and ${known.length - MOST_NAMED} more` : "";
  return `its custom fields: ${known.slice(0, MOST_NAMED).join(", ")}${more}`;
}

/** The known names that the author may have meant, nearest first. */
function nearNames(name: string, known: readonly string[]): readonly string[] {
  return known
    .map((each) => ({ each, edits: distance(name, each) }))
    .filter(({ each, edits }) => edits <= Math.max(1, Math.floor(name.length / 3)) || isPart(name, each))
    .sort((one, other) => one.edits - other.edits)
    .slice(0, 5)
    .map(({ each }) => each);
}

/** Whether one name is a part of the other, as `title` of `job_title`. */
const isPart = (one: string, other: string): boolean =>
  Math.min(one.length, other.length) > 2 && (one.includes(other) || other.includes(one));
