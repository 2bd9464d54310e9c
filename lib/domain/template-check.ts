import { type TagToken, Tokenizer, type TopLevelToken, TypeGuards, tags } from "liquidjs";
import { LATE_VALUES, MARKER_START } from "./late-values.ts";
import { fieldRead } from "./lead-fields.ts";
import { describePlaceholder, findPlaceholders, isBrace, LIQUID, replacementFor } from "./placeholders.ts";
import { BLOCKS, BRANCHES, OpenTags } from "./template-blocks.ts";
import type { Piece, ValueContext } from "./template-expression.ts";
import { type TemplateFault, TemplateFaults } from "./template-faults.ts";
import { LONGEST_TEXT, liquid, TAGS } from "./template-language.ts";
import { checkCondition, checkLiterals, checkSingleValue } from "./template-value.ts";

/** Maximum number of tags, outputs, values, operators and filters in one text. */
const MOST_PARTS = 1_000;
class TooManyParts extends Error {}

export interface UsedField {
  readonly name: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

interface CheckedTemplate {
  /** In order of position; empty for a valid template. */
  readonly faults: readonly TemplateFault[];
  /** Maps each assigned name to its description for reports. */
  readonly assigned: ReadonlyMap<string, string>;
  /** The custom fields that it reads, each at its first place. */
  readonly fields: readonly UsedField[];
  /** The number of tags, outputs, values, operators and filters. */
  readonly parts: number;
}

/**
 * Reports everything in a text that is outside the template language. Linear time, no recursion. `names` are the values
 * that a template may use, and `allow` the kinds of placeholders that are sent as they are.
 */
export function checkTemplate(text: string, names: readonly string[], allow: readonly string[]): CheckedTemplate {
  if (text.length > LONGEST_TEXT) {
    const what = `the template is longer than ${LONGEST_TEXT} characters`;
    return { faults: [{ what, line: 1, column: 1 }], assigned: new Map(), fields: [], parts: 0 };
  }
  const check = new Check(text, names, allow);
  check.run();
  const fields = [...check.fields].map(([name, at]) => ({ name, ...check.faults.positionOf(at) }));
  return { faults: check.faults.all, assigned: check.assigned, fields, parts: check.parts };
}

/** All LiquidJS tags. A closed list, so reports may name them. */
const TAGS_OF_LIQUID: ReadonlySet<string> = new Set(Object.keys(tags));
const ALLOWED_TAGS = [...TAGS].join(", ");

/** Names that LiquidJS reads as something else, so that it ignores an assignment to them. */
const RESERVED: ReadonlySet<string> = new Set([
  ...LATE_VALUES.keys(),
  ..."lead workspace true false nil null empty blank and or not contains".split(" "),
]);

class Check implements ValueContext {
  readonly faults: TemplateFaults;
  readonly assigned = new Map<string, string>();
  readonly names: ReadonlySet<string>;
  /** The index of the first use of each custom field. */
  readonly fields = new Map<string, number>();
  parts = 0;
  readonly #text: string;
  readonly #open: OpenTags;
  /** The open `comment` or `raw` tag. */
  #skipped: TagToken | undefined;
  readonly #allow: readonly string[];
  /** The text with `LIQUID` in place of everything that is Liquid. */
  #plain = "";
  /** Where the check is. */
  #at = 0;

  constructor(text: string, names: readonly string[], allow: readonly string[]) {
    this.#text = text;
    this.#allow = allow;
    this.faults = new TemplateFaults(text);
    this.#open = new OpenTags(this.faults);
    this.names = new Set(names);
  }

  readonly count = (): void => {
    if (++this.parts > MOST_PARTS) throw new TooManyParts();
  };

  readonly checkText = (piece: Piece): void => this.#placeholders(piece, { braces: false });

  readonly isKnown = (name: string, at: number): boolean => {
    const field = fieldRead(name);
    if (field !== undefined && !this.fields.has(field)) this.fields.set(field, at);
    if (field !== undefined) return true;
    const bare = name.endsWith(".size") ? name.slice(0, -".size".length) : name;
    return this.names.has(bare) || this.assigned.has(bare);
  };

  run(): void {
    try {
      this.#checkTokens();
      const marker = this.#text.indexOf(MARKER_START);
      if (marker >= 0) this.faults.add(marker, "a character that no text has (U+FDD0)");
      this.#placeholders({ text: this.#plain, at: 0 }, { braces: true });
    } catch (thrown) {
      if (!(thrown instanceof TooManyParts)) throw thrown;
      this.faults.add(this.#at, `more than ${MOST_PARTS} tags, outputs, values, filters and placeholders`);
    }
  }

  #checkTokens(): void {
    for (const token of this.#tokens()) {
      this.#at = token.begin;
      const isSkipped = this.#isSkipped(token);
      if (!isSkipped) this.#check(token);
      if (!TypeGuards.isHTMLToken(token)) this.count();
      const text = token.getText();
      this.#plain += TypeGuards.isHTMLToken(token) && !isSkipped ? text : LIQUID.repeat(text.length);
    }
    // The end tags of other blocks may be inside an open `comment` or `raw`.
    if (this.#skipped) this.faults.add(this.#skipped.begin, `the tag ${this.#skipped.name} is not closed`);
    else this.#open.reportUnclosed();
  }

  #check(token: TopLevelToken): void {
    if (TypeGuards.isTagToken(token)) this.#tag(token);
    else {
      this.#open.contain(token);
      if (TypeGuards.isOutputToken(token) && !LATE_VALUES.has(token.content.trim())) {
        checkSingleValue({ text: token.content, at: token.contentRange[0] }, this);
      }
    }
  }

  #placeholders({ text, at }: Piece, { braces }: { readonly braces: boolean }): void {
    for (const found of findPlaceholders(text, this.#allow)) {
      if (!braces && isBrace(found)) continue;
      this.#at = at + found.index;
      this.count();
      this.faults.add(this.#at, describePlaceholder(found), {
        quoted: this.#text.slice(this.#at, this.#at + found.text.length),
        hint: replacementFor(found, this.names),
      });
    }
  }

  /** Content of `comment` and `raw` is not checked. */
  #isSkipped(token: TopLevelToken): boolean {
    const tag = TypeGuards.isTagToken(token) ? token : undefined;
    if (this.#skipped) {
      if (tag?.name === `end${this.#skipped.name}`) {
        this.#noArguments(tag.name, tag.begin, argumentsOf(tag));
        this.#skipped = undefined;
      }
      return true;
    }
    if (tag?.name === "comment" || tag?.name === "raw") this.#skipped = tag;
    if (tag?.name === "raw") this.#noArguments("raw", tag.begin, argumentsOf(tag));
    return this.#skipped !== undefined;
  }

  *#tokens(): Generator<TopLevelToken> {
    const tokenizer = new Tokenizer(this.#text);
    while (!tokenizer.end()) {
      const at = tokenizer.p;
      let token: TopLevelToken;
      try {
        token = tokenizer.readTopLevelToken(liquid.options);
      } catch {
        // An open `raw` is reported at its start.
        if (this.#skipped?.name !== "raw") this.#unreadable(at);
        return;
      }
      yield token;
    }
  }

  /** LiquidJS cannot read past this point. The end tags of open blocks may follow, so do not report them as open. */
  #unreadable(at: number): void {
    this.#open.forget();
    const start = this.#text.slice(at, at + 40);
    if (start.startsWith("{{")) this.faults.add(at, "an output is not closed", { quoted: start });
    else if (/^\{%-?\s*(-?%\}|[^\w\s-])/.test(start)) this.faults.add(at, "a tag without a name", { quoted: start });
    else if (start.startsWith("{%")) this.faults.add(at, "a tag is not closed", { quoted: start });
  }

  #tag(tag: TagToken): void {
    const { name, begin } = tag;
    const piece = argumentsOf(tag);
    if (TAGS.has(name)) {
      this.#open.contain(tag);
      this.#allowed(name, begin, piece);
    } else if (BRANCHES.has(name)) this.#branch(name, begin, piece);
    else if (name.startsWith("end")) this.#end(name, begin, piece);
    else if (TAGS_OF_LIQUID.has(name)) {
      this.faults.add(begin, `the tag ${name} is not allowed`, { hint: `allowed are ${ALLOWED_TAGS}` });
      this.#open.add(name, begin);
      this.#assign(/^[A-Za-z][\w-]*/.exec(piece.text)?.[0], begin);
    } else this.faults.add(begin, "unknown tag", { quoted: name, hint: `allowed are ${ALLOWED_TAGS}` });
  }

  #allowed(name: string, at: number, piece: Piece): void {
    if (name === "assign") this.#assignment(piece);
    else if (name === "case") checkSingleValue(piece, this);
    else checkCondition(piece, this);
    this.#open.add(name, at);
  }

  #assignment({ text, at }: Piece): void {
    const [start, name] = /^([A-Za-z][\w-]*)\s*=/.exec(text) ?? [];
    if (start === undefined || name === undefined || RESERVED.has(name)) {
      const hint = "write {% assign name = value %}, with a name of your own";
      this.faults.add(at, "an assign without a valid name", { quoted: text, hint });
      return;
    }
    const value = text.slice(start.length);
    const blanks = value.length - value.trimStart().length;
    checkSingleValue({ text: value.trimStart(), at: at + start.length + blanks }, this);
    this.#assign(name, at);
  }

  #assign(name: string | undefined, at: number): void {
    if (name === undefined || this.assigned.has(name)) return;
    const { line, column } = this.faults.positionOf(at);
    this.assigned.set(name, `the name assigned in line ${line}, column ${column}`);
  }

  #branch(name: string, at: number, piece: Piece): void {
    const isInPlace = this.#open.branch(name, at);
    if (name === "else" && isInPlace) this.#noArguments(name, at, piece);
    if (name === "elsif") checkCondition(piece, this);
    if (name === "when") checkLiterals(piece, this);
  }

  #end(name: string, at: number, piece: Piece): void {
    const opener = name.slice("end".length);
    if (this.#open.close(opener)) this.#noArguments(name, at, piece);
    else if (BLOCKS.has(opener) || TAGS.has(opener)) this.faults.add(at, `${name} without ${opener} before it`);
    else this.faults.add(at, "unknown tag", { quoted: name, hint: `allowed are ${ALLOWED_TAGS}` });
  }

  #noArguments(name: string, at: number, { text }: Piece): void {
    if (text === "") return;
    const hint = name === "else" ? "write {% elsif … %} for another condition" : `write {% ${name} %}`;
    this.faults.add(at, `something after ${name}`, { quoted: text, hint });
  }
}

const argumentsOf = ({ args, contentRange }: TagToken): Piece => ({ text: args, at: contentRange[1] - args.length });
