import type { PlaceholderKind } from "./labels.ts";
import { UNSUBSCRIBE_NAME } from "./late-values.ts";

/** A text that another tool would replace or interpret. */
interface Placeholder {
  readonly kind: PlaceholderKind;
  /** From 0. */
  readonly index: number;
  readonly text: string;
}

/** Stands for one character of Liquid in a text to search. A private-use character: neither a letter nor a space. */
export const LIQUID = "\u{e000}";

/**
 * The forms of each kind. Each takes time linear in the text: it stops at its own delimiters, or after 200 characters.
 *
 * Sources: Mailchimp and Salesforce https://cf-newsletrix.pages.dev/blog/newsletter-personalisation-token-guide.html,
 * Flexmail https://en.support.flexmail.eu/article/383-personalise-with-placeholders,
 * Mautic https://github.com/mautic/user-documentation/blob/5.x/docs/configuration/variables.rst,
 * Mapp https://docs.mapp.com/docs/personalization-tags-for-placeholders,
 * Delivra https://github.com/alpha1/delivra-unofficial-handbook/wiki/Merge-Tags,
 * LeadBI https://gist.github.com/leadbi/bb91461cc63814028a9834cb90713e1b, spintax https://sendful.ai/glossary/spintax.
 */
const FORMS: Readonly<Record<PlaceholderKind, readonly RegExp[]>> = {
  asterisk_bars: [/\*\|[^*\n]{1,200}\|\*/],
  dollar_braces: [/\$!?\{[^{}]*\}/],
  spintax: [/\{[^{}|]*\|[^{}]*\}/],
  braces: [
    // `{{ name }}` with something between the braces.
    /\{[\s\u00ad\u200b-\u200f\u2060\ufeff]{1,20}\{[^{}]*\}(?:[\s\u00ad\u200b-\u200f\u2060\ufeff]{0,20}\})?/,
    /#?\{[^{}]*\}/,
    /[{}\uff5b\uff5d]/,
  ],
  square_brackets: [/\[[^[\]\n]{1,200}\]/],
  angle_brackets: [/<<[^<>\n]{1,200}>>/, /<%[^<>]{1,200}%>/, /«[A-Za-z]\w*»/],
  html: [
    /<\/?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?\/?>/,
    /<\/?(?:o|v|w|m|st1):[A-Za-z]+(?:\s[^<>]*)?\/?>/,
    /<!--|<![Dd][Oo][Cc][Tt][Yy][Pp][Ee]/,
    /&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|(?:nbsp|amp|lt|gt|quot|apos|shy|zwn?j|[nm]dash|hellip|[lr][sd]quo|[lr]aquo|bull|middot|e[nm]sp|thinsp|copy|reg|trade|euro|pound|cent|deg|times|szlig|[A-Za-z]{1,2}(?:acute|grave|circ|uml|tilde|ring|cedil|slash|lig)));/,
  ],
  percent_signs: [/%%=?[A-Za-z[][^%\n]{0,200}%%/, /%[A-Za-z]\w+(?:[.:-]\w+)*%/, /%\([A-Za-z_]\w*\)s/],
  marked_names: [
    /@[A-Z][A-Z0-9_]+@/,
    /\$[A-Z][A-Z0-9_]+\$/,
    /__[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*__/,
    /##?[A-Za-z][\w-]*#(?!\w)/,
  ],
};

const KINDS = Object.keys(FORMS) as readonly PlaceholderKind[];
/** All forms, with a group for each kind. Where several match, the first wins. */
const ANY_FORM = new RegExp(
  KINDS.map((kind) => `(?<${kind}>${FORMS[kind].map(({ source }) => source).join("|")})`).join("|"),
  "g",
);

/**
 * Finds placeholders of kinds that are not in `allow`, in order; also those inside a text of an allowed kind. `text` has
 * `LIQUID` for each character of Liquid.
 */
export function* findPlaceholders(text: string, allow: readonly string[], from = 0): Generator<Placeholder> {
  for (const { 0: found, index, groups } of text.matchAll(ANY_FORM)) {
    const form = KINDS.find((kind) => groups?.[kind] !== undefined);
    const kind = form && kindOf(form, found, index, text);
    if (!kind) continue;
    if (!allow.includes(kind)) yield { kind, index: from + index, text: found };
    else {
      const opening = OPENING.exec(found)?.[0].length ?? 1;
      yield* findPlaceholders(found.slice(opening, -1), allow, from + index + opening);
    }
  }
}

const OPENING = /^(?:[$#]!?\{|\*\|)/;

function kindOf(form: PlaceholderKind, found: string, index: number, text: string): PlaceholderKind | undefined {
  switch (form) {
    case "html":
      return isElement(found) ? form : "angle_brackets";
    case "square_brackets":
      // `[1]` and `[…]` are text.
      return /\p{L}/u.test(found) ? form : undefined;
    case "angle_brackets":
      return isQuotation(found) ? undefined : form;
    case "percent_signs":
      return isUrlEscape(found, index, text) ? undefined : form;
    default:
      return form;
  }
}

/** `«Paris»` is a quotation; a field of a word processor is `«First_Name»` or `«FirstName»`. */
const isQuotation = (found: string): boolean => found.startsWith("«") && !/_|[a-z][A-Z]/.test(found);

const ELEMENTS: ReadonlySet<string> = new Set(
  (
    "a abbr address area article aside b base big blockquote body br button caption center cite code col colgroup dd del " +
    "div dl dt em figcaption figure font footer form h1 h2 h3 h4 h5 h6 head header hr html i iframe img input ins label li " +
    "link main map mark meta nav ol option p picture pre q s script section select small source span strike strong style " +
    "sub sup svg table tbody td textarea tfoot th thead title tr tt u ul video wbr"
  ).split(" "),
);

/** Whether it is HTML; otherwise a name in angle brackets, such as `<First Name>`. */
function isElement(found: string): boolean {
  const name = /^<\/?([A-Za-z][A-Za-z0-9]*)(?![:\w])/.exec(found)?.[1];
  return name === undefined || found.startsWith("</") || ELEMENTS.has(name.toLowerCase());
}

/** Whether it is part of an encoded address, such as `%C3%` in `https://example.com/%C3%BC`. */
function isUrlEscape(found: string, index: number, text: string): boolean {
  if (!/^%[0-9A-Fa-f]{2}/.test(found)) return false;
  const before = text.slice(Math.max(0, index - LONGEST_URL), index).split(/\s/);
  return before.at(-1)?.includes("://") ?? false;
}
const LONGEST_URL = 500;

/** A brace that belongs to no placeholder. */
export const isBrace = ({ text }: Placeholder): boolean => text.length === 1;

/** The name of a placeholder in a report. Names the kind as `allow` does, and never quotes the text. */
export function describePlaceholder(found: Placeholder): string {
  const { kind } = found;
  if (isBrace(found)) return "a single brace (braces)";
  if (kind === "html") return "HTML in a plain text (html)";
  if (kind === "spintax") return "alternatives to choose from (spintax)";
  return `a placeholder of another tool (${kind})`;
}

/** The remedy for its author. `names` are the values that a template may use. */
export function replacementFor({ kind, text }: Placeholder, names: Iterable<string>): string {
  const own = nameFor(text, names);
  return `${own ? `write {{ ${own} }}` : "remove it"}, or allow ${kind} in this step`;
}

/**
 * The value that another tool's name means: `Contact.FirstName` is `lead.first_name`, and `UNSUB`, `unsubscribe_link` and
 * the like are the unsubscribe link.
 */
export function nameFor(text: string, names: Iterable<string>): string | undefined {
  if (/unsub/i.test(text)) return UNSUBSCRIBE_NAME;
  const words = new Set(
    text
      .split(/[^\w ]+/)
      .map(squeezed)
      .map((word) => SHORT_NAMES.get(word) ?? word),
  );
  return [...names].find(
    (name) => name.startsWith("lead.") && words.has(squeezed(name.slice(name.lastIndexOf(".") + 1))),
  );
}

/** `FNAME` and `LNAME` are Mailchimp's. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ["fname", "firstname"],
  ["lname", "lastname"],
]);

const squeezed = (name: string): string => name.toLowerCase().replaceAll(/[_ ]/g, "");
