import { type FilteredValueToken, Tokenizer } from "liquidjs";
import { lookalikeIn, type TemplateFaults } from "./template-faults.ts";

/** A part of a template and its start index. */
export interface Piece {
  readonly text: string;
  readonly at: number;
}

/** The state that checks of values share with the check of the whole template. */
export interface ValueContext {
  readonly faults: TemplateFaults;
  /** Whether a template may read that name. `at` is where it does. */
  readonly isKnown: (name: string, at: number) => boolean;
  readonly names: ReadonlySet<string>;
  /** Counts an operand, operator or filter. Throws if there are too many. */
  readonly count: () => void;
  /** Checks a text in quotation marks that may be sent. */
  readonly checkText: (piece: Piece) => void;
}

/** Reads operands and filters. Reports text that LiquidJS cannot read, or reads without using it. */
export function parsed(piece: Piece, context: ValueContext): FilteredValueToken | undefined {
  const { faults } = context;
  if (piece.text === "") faults.add(piece.at, "a value is missing");
  if (piece.text === "" || hasOpenShape(piece, context)) return undefined;
  const tokenizer = new Tokenizer(piece.text);
  try {
    const value = tokenizer.readFilteredValue();
    tokenizer.skipBlank();
    if (!tokenizer.end()) {
      faults.add(piece.at + tokenizer.p, "something after the value", { quoted: tokenizer.remaining() });
    } else if (spelled(value) === withoutBlanks(piece.text)) return value;
    else faults.add(piece.at, "something that Liquid ignores", { quoted: piece.text, hint: SIGNS });
  } catch (thrown) {
    const hint = HANDLEBARS.test(piece.text) ? PLAIN_LIQUID : reasonOf(thrown);
    faults.add(piece.at + tokenizer.p, "a value that cannot be read", { quoted: piece.text, ...(hint && { hint }) });
  }
  return undefined;
}

const SIGNS = "write one | before each filter, one : before its arguments, and one comma between them";

/**
 * The text that LiquidJS has read, without blanks. LiquidJS drops some signs without an error, such as a comma at the
 * end.
 */
function spelled({ initial, filters: chain }: FilteredValueToken): string {
  const read = initial.postfix.toSorted((one, other) => one.begin - other.begin).map((token) => token.getText());
  const calls = chain.map(({ name, args }) => {
    const given = args.map((arg) => (Array.isArray(arg) ? `${arg[0]}:${arg[1]?.getText() ?? ""}` : arg.getText()));
    return `|${name}${given.length > 0 ? ":" : ""}${given.join(",")}`;
  });
  return withoutBlanks([...read, ...calls].join(""));
}

const withoutBlanks = (text: string): string => text.replaceAll(/\s+/g, "");

/** The LiquidJS message without its position, which is relative to the piece. */
const reasonOf = (thrown: unknown): string | undefined =>
  thrown instanceof Error ? thrown.message.replace(/, line:\d+, col:\d+$/, "") : undefined;

/** The signs of https://handlebarsjs.com/guide/: `{{{name}}}`, `{{#if name}}`, `{{/if}}`, `{{^}}`, `{{! note }}`. */
const HANDLEBARS = /^[{#/^!&]/;
const PLAIN_LIQUID = "write {{ name }}, {% if name %} … {% endif %} and {% comment %} … {% endcomment %}";

const TEXT_OR_BRACKET = /"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'|["'()[\]]/gs;

/** Reports brackets, which make LiquidJS recurse, and unclosed quotation marks, which it accepts. */
export function hasOpenShape({ text, at }: Piece, { faults }: ValueContext): boolean {
  const bare = text.replace(TEXT_OR_BRACKET, (match) => (match.length > 1 ? "-".repeat(match.length) : match));
  const lookalike = lookalikeIn(bare);
  if (lookalike) {
    const hint = "write the plain character, or delete it";
    faults.add(at + lookalike.index, "a character that Liquid cannot read", { quoted: text, hint });
    return true;
  }
  for (const { 0: match, index } of text.matchAll(TEXT_OR_BRACKET)) {
    if (match.length > 1) continue;
    if (match === '"' || match === "'") {
      faults.add(at + index, "a quotation mark that is not closed", { quoted: text });
    } else {
      faults.add(at + index, "a bracket or a range", { quoted: text, hint: "write names with dots, and no brackets" });
    }
    return true;
  }
  return false;
}
