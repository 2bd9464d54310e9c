import { type FilteredValueToken, filters, type Token, Tokenizer, TypeGuards, type ValueToken } from "liquidjs";
import { LATE_VALUES, SLOTS_NAME } from "./late-values.ts";
import { nameFor } from "./placeholders.ts";
import { hasOpenShape, type Piece, parsed, type ValueContext } from "./template-expression.ts";
import type { TemplateFaults } from "./template-faults.ts";
import { dateIn, FILTERS } from "./template-language.ts";

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
  checkSentTexts(value, piece, context);
}

/** Filters whose arguments are not sent. */
const TAKES_TEXT_AWAY: ReadonlySet<string> = new Set(["date", "remove", "replace", "split"]);

/** Checks the literals that may become part of the text. */
function checkSentTexts({ initial, filters: chain }: FilteredValueToken, piece: Piece, context: ValueContext): void {
  const args = chain.flatMap((filter) => (TAKES_TEXT_AWAY.has(filter.name) ? [] : filter.args));
  for (const token of [...initial.postfix, ...args]) {
    if (Array.isArray(token)) continue;
    const at = piece.at + token.begin;
    if (TypeGuards.isQuotedToken(token)) context.checkText({ text: token.getText().slice(1, -1), at: at + 1 });
    else if (TypeGuards.isLiteralToken(token)) {
      const hint = 'write a text in quotation marks, such as "you"';
      context.faults.add(at, "a word that is not a text", { quoted: token.getText(), hint });
    }
  }
}

/** Checks operands with operators, as in an `if`. */
export function checkCondition(piece: Piece, context: ValueContext): void {
  const value = parsed(piece, context);
  if (!value) return;
  if (!isComplete(value.initial.postfix)) {
    const hint = "write values with ==, !=, <, >, <=, >=, contains, and, or between them";
    context.faults.add(piece.at, "an incomplete condition", { quoted: piece.text, hint });
  }
  checkParts(value, piece, withSlots(context));
  for (const token of constantsIn(value.initial.postfix)) {
    const hint = 'compare it with a value, as in {% if lead.company == "A" or lead.company == "B" %}';
    context.faults.add(piece.at + token.begin, "a condition that is always true", { quoted: token.getText(), hint });
  }
}

/** A condition may ask for the times that a text offers: they are true, because without them the text waits. */
const withSlots = ({ faults, isKnown, names, count, checkText }: ValueContext): ValueContext => ({
  faults,
  isKnown: (name, at) => name === SLOTS_NAME || isKnown(name, at),
  names,
  count,
  checkText,
});

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

/** Whether each operator has its operands and nothing is left over. LiquidJS ignores leftovers. */
function isComplete(postfix: readonly Token[]): boolean {
  let depth = 0;
  for (const token of postfix) {
    if (!TypeGuards.isOperatorToken(token)) depth++;
    else if (token.operator === "not" ? depth < 1 : --depth < 1) return false;
  }
  return depth === 1;
}

/** Texts and numbers that stand alone in a condition, as the second text in `lead.company == "A" or "B"`. */
function constantsIn(postfix: readonly Token[]): readonly Token[] {
  const stack: (Token | undefined)[] = [];
  const constants: (Token | undefined)[] = [];
  for (const token of postfix) {
    if (!TypeGuards.isOperatorToken(token)) stack.push(token);
    else {
      const operands = token.operator === "not" ? [stack.pop()] : [stack.pop(), stack.pop()];
      if (LOGICAL.has(token.operator)) constants.push(...operands);
      stack.push(undefined);
    }
  }
  return [...constants, ...stack].filter(
    (token) => token !== undefined && (TypeGuards.isQuotedToken(token) || TypeGuards.isNumberToken(token)),
  ) as readonly Token[];
}

const LOGICAL: ReadonlySet<string> = new Set(["and", "or", "not"]);

function checkParts({ initial, filters: chain }: FilteredValueToken, piece: Piece, context: ValueContext): void {
  for (const token of initial.postfix) {
    context.count();
    if (!TypeGuards.isOperatorToken(token)) checkOperand(token, piece, context);
  }
  for (const [index, filter] of chain.entries()) {
    context.count();
    checkFilter(filter, piece, context);
    if (filter.name === "date") checkDate(index === 0 ? initial.postfix[0] : undefined, piece, context);
    checkPair(chain[index - 1]?.name, filter, chain[index + 1]?.name, piece, context);
  }
}

function checkOperand(token: Token, piece: Piece, { faults, isKnown, names }: ValueContext): void {
  const at = piece.at + token.begin;
  if (TypeGuards.isNumberToken(token) && token.size() > LONGEST_NUMBER) {
    faults.add(at, `a number of more than ${LONGEST_NUMBER} digits`);
  }
  if (!TypeGuards.isPropertyAccessToken(token)) return;
  const name = token.getText();
  if (!token.variable && isKnown(name, at)) return;
  const late = LATE_VALUES.get(name);
  if (late) {
    faults.add(at, `${late.what} inside something else`, { hint: `write {{ ${name} }}, alone and without filters` });
    return;
  }
  const meant = nameFor(name, names);
  const known = `known are ${[...names, ...LATE_VALUES.keys()].join(", ")}, and lead.fields.<name> for custom fields`;
  faults.add(at, "unknown variable", { quoted: name, hint: meant ? `write ${meant}; ${known}` : known });
}

/** `now` and `today` are no dates: a text must not change between its approval and its sending. */
function checkDate(token: Token | undefined, piece: Piece, { faults }: ValueContext): void {
  if (!token || TypeGuards.isPropertyAccessToken(token)) return;
  const text = token.getText();
  if (TypeGuards.isQuotedToken(token) && dateIn(text.slice(1, -1)) !== undefined) return;
  const hint = 'write a date such as "2026-03-08"; there is no current date, because an approved text must not change';
  faults.add(piece.at + token.begin, "a date filter without a date", { quoted: text, hint });
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
