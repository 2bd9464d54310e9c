import { type FilteredValueToken, filters, type Token, Tokenizer, TypeGuards, type ValueToken } from "liquidjs";
import type { TemplateFaults } from "./template-language.ts";
import { FILTERS } from "./template-language.ts";

/** A part of a template and its start index. */
export interface Piece {
  readonly text: string;
  readonly at: number;
}

/** The state that checks of values share with the check of the whole template. */
export interface ValueContext {
  readonly faults: TemplateFaults;
  readonly isKnown: (name: string) => boolean;
  readonly knownNames: string;
  /** Counts an operand, operator or filter. Throws if there are too many. */
  readonly count: () => void;
}

type FilterToken = FilteredValueToken["filters"][number];

/** Longer numbers lose precision. */
const LONGEST_NUMBER = 15;

/** Checks one operand with its filters, as in an output, an `assign` or a `case`. */
export function checkSingleValue(piece: Piece, context: ValueContext): void {
  const value = parsed(piece, context);
  if (!value) return;
  if (value.initial.postfix.length > 1) {
    context.faults.add(piece.at, "more than one value", {
      quoted: piece.text,
      hint: "write one value and its filters",
    });
  }
  checkParts(value, piece, context);
}

/** Checks operands with operators, as in an `if`. */
export function checkCondition(piece: Piece, context: ValueContext): void {
  const value = parsed(piece, context);
  if (!value) return;
  if (!isComplete(value.initial.postfix)) {
    const hint = "write values with ==, !=, <, >, <=, >=, contains, and, or between them";
    context.faults.add(piece.at, "an incomplete condition", { quoted: piece.text, hint });
  }
  checkParts(value, piece, context);
}

/** Checks the values of a `when`. They must be literals, so that comparisons read no more than the template. */
export function checkLiterals(piece: Piece, context: ValueContext): void {
  if (hasOpenShape(piece, context)) return;
  const tokenizer = new Tokenizer(piece.text);
  const hint = 'write texts or numbers, as in {% when "a", "b" %}';
  for (;;) {
    context.count();
    tokenizer.skipBlank();
    const at = piece.at + tokenizer.p;
    const token = tokenizer.readValue();
    if (!token || TypeGuards.isPropertyAccessToken(token)) {
      context.faults.add(at, "a when without a literal", { quoted: piece.text, hint });
      return;
    }
    checkOperand(token, piece, context);
    tokenizer.skipBlank();
    if (tokenizer.end()) return;
    if (tokenizer.peek() === ",") tokenizer.advance();
    else if (tokenizer.readIdentifier().getText() !== "or") {
      context.faults.add(at, "a when with something else between its literals", { quoted: piece.text, hint });
      return;
    }
  }
}

function parsed(piece: Piece, context: ValueContext): FilteredValueToken | undefined {
  const { faults } = context;
  if (piece.text === "") faults.add(piece.at, "a value is missing");
  if (piece.text === "" || hasOpenShape(piece, context)) return undefined;
  const tokenizer = new Tokenizer(piece.text);
  try {
    const value = tokenizer.readFilteredValue();
    tokenizer.skipBlank();
    if (tokenizer.end()) return value;
    faults.add(piece.at + tokenizer.p, "something after the value", { quoted: tokenizer.remaining() });
  } catch (thrown) {
    faults.add(piece.at + tokenizer.p, "a value that cannot be read", { quoted: piece.text, ...reasonOf(thrown) });
  }
  return undefined;
}

/** The LiquidJS message without its position, which is relative to the piece. */
const reasonOf = (thrown: unknown): { readonly hint?: string } =>
  thrown instanceof Error ? { hint: thrown.message.replace(/, line:\d+, col:\d+$/, "") } : {};

const TEXT_OR_BRACKET = /"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*'|["'()[\]]/gs;

/** Reports brackets, which make LiquidJS recurse, and unclosed quotation marks, which it accepts. */
function hasOpenShape({ text, at }: Piece, { faults }: ValueContext): boolean {
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

/** Whether each operator has its operands and nothing is left over. LiquidJS ignores leftovers. */
function isComplete(postfix: readonly Token[]): boolean {
  let depth = 0;
  for (const token of postfix) {
    if (!TypeGuards.isOperatorToken(token)) depth++;
    else if (token.operator === "not" ? depth < 1 : --depth < 1) return false;
  }
  return depth === 1;
}

function checkParts({ initial, filters: chain }: FilteredValueToken, piece: Piece, context: ValueContext): void {
  for (const token of initial.postfix) {
    context.count();
    if (!TypeGuards.isOperatorToken(token)) checkOperand(token, piece, context);
  }
  for (const [index, filter] of chain.entries()) {
    context.count();
    checkFilter(filter, piece, context);
    checkPair(chain[index - 1]?.name, filter, chain[index + 1]?.name, piece, context);
  }
}

function checkOperand(token: Token, piece: Piece, { faults, isKnown, knownNames }: ValueContext): void {
  const at = piece.at + token.begin;
  if (TypeGuards.isNumberToken(token) && token.size() > LONGEST_NUMBER) {
    faults.add(at, `a number of more than ${LONGEST_NUMBER} digits`);
  }
  if (!TypeGuards.isPropertyAccessToken(token)) return;
  const name = token.getText();
  if (token.variable || !isKnown(name))
    faults.add(at, "unknown variable", { quoted: name, hint: `known are ${knownNames}` });
}

const ALLOWED = [...FILTERS.keys()].join(", ");

function checkFilter(filter: FilterToken, piece: Piece, context: ValueContext): void {
  const at = piece.at + filter.begin;
  checkCall(filter, at, context.faults);
  for (const argument of filter.args) {
    context.count();
    if (Array.isArray(argument)) context.faults.add(at, "a filter argument with a name");
    else checkOperand(argument satisfies ValueToken, piece, context);
  }
}

function checkCall({ name, args }: FilterToken, at: number, faults: TemplateFaults): void {
  const rule = FILTERS.get(name);
  const hint = `allowed are ${ALLOWED}`;
  if (!rule) {
    // LiquidJS filters are a closed list, so reports may name them.
    if (Object.hasOwn(filters, name)) faults.add(at, `the filter ${name} is not allowed`, { hint });
    else faults.add(at, "unknown filter", { quoted: name, hint });
    return;
  }
  const { least, most } = rule;
  if (args.length >= least && args.length <= most) return;
  const takes = least === most ? `${least}` : `${least} to ${most}`;
  faults.add(at, `the filter ${name} takes ${takes} ${takes === "1" ? "argument" : "arguments"}`);
}

/** Only `first` and `last` may follow `split`, so that lists go nowhere else. */
function checkPair(
  before: string | undefined,
  { name, begin }: FilterToken,
  after: string | undefined,
  piece: Piece,
  { faults }: ValueContext,
): void {
  const picks = (filter: string | undefined) => filter === "first" || filter === "last";
  if (name === "split" && !picks(after))
    faults.add(piece.at + begin, "the filter split without first or last after it");
  if (picks(name) && before !== "split") faults.add(piece.at + begin, `the filter ${name} without split before it`);
}
