import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { type FilterImplOptions, Liquid } from "liquidjs";
import { LEAD_COLUMNS, TEMPLATE_KEYS } from "../../lib/domain/lead-columns.ts";
import { FILTERS, isFilterResult, LONGEST_TEXT, liquid } from "../../lib/domain/template-language.ts";
import { TEMPLATE_NAMES, textTemplate } from "../../lib/domain/templates.ts";
import { lintStep, SAMPLE_LEAD } from "../../lib/domain/written-sequence.ts";
import { ONE_CASE_IN } from "../support/one-case-in.ts";

const WORKSPACE = { name: "Northwind" };
const ALLOW = ["braces"] as const;
const filledBy = (text: string, lead = SAMPLE_LEAD) => textTemplate(text, ALLOW)(lead, WORKSPACE);
const faultsOf = (body: string) => lintStep({ channel: "sms", subject: null, body, allow: ALLOW });
const TOO_LONG = { kind: "faulty", faults: ["the text, or a value in it, becomes longer than 100000 characters"] };

type Filter = Extract<FilterImplOptions, (...given: never[]) => unknown>;

const sizeOf = (value: unknown): number =>
  Array.isArray(value) ? value.reduce<number>((sum, each) => sum + sizeOf(each), 0) : String(value ?? "").length;

/** Characters created by LiquidJS filters, counted independently of the code that limits them. */
let made = 0;
const originals = { ...liquid.filters };

beforeEach(() => {
  made = 0;
  for (const [name, original] of Object.entries(originals)) {
    liquid.registerFilter(name, function (...given) {
      const result: unknown = (original as Filter).apply(this, given);
      made += sizeOf(result);
      return result;
    });
  }
});

afterEach(() => {
  for (const [name, original] of Object.entries(originals)) liquid.registerFilter(name, original);
});

describe("a template that would take long or grow without limit", () => {
  const start = '{% assign x = "0123456789" %}';

  it.each([
    [
      "an expression filter over a range",
      `{% if lead.first_name != "Ada" %}{% assign a = (1..20000) %}{% assign b = a | find_exp: "i", "a | find_exp: 'j', 'j == 0'" %}{% endif %}Hello`,
      ["a bracket or a range, line 1, column 48", "the filter find_exp is not allowed, line 1, column 79"],
    ],
    [
      "capture that doubles its text",
      `${start}${"{% capture x %}{{ x }}{{ x }}{% endcapture %}".repeat(24)}{{ x }}`,
      Array.from({ length: 24 }, (_, index) => `the tag capture is not allowed, line 1, column ${30 + 45 * index}`),
    ],
    [
      "nested loops",
      "{% for i in (1..9) %}{% for j in (1..9) %}x{% endfor %}{% endfor %}",
      ["the tag for is not allowed, line 1, column 1", "the tag for is not allowed, line 1, column 22"],
    ],
  ])("is rejected by the linter and for every lead: %s", (_name, text, faults) => {
    expect(filledBy(text)).toEqual({ kind: "faulty", faults });
    expect(faultsOf(text)).toHaveLength(faults.length);
  });

  it.each([
    ["append", `${start}${"{% assign x = x | append: x %}".repeat(40)}{{ x }}`],
    ["prepend", `${start}${"{% assign x = x | prepend: x %}".repeat(40)}{{ x }}`],
    [
      "append in one chain",
      `${start}{{ x ${"| append: x ".repeat(400)} }}${"{{ x }}".repeat(9)}`.replace("9 %}", `${"9".repeat(900)} %}`),
    ],
    ["replace", `{{ "aaaaaaaaaa" ${'| replace: "a", "aaaaaaaaaa" '.repeat(40)} }}`],
    ["replace of nothing", `{{ "aaaaaaaaaa" ${'| replace: "", "aaaaaaaaaa" '.repeat(40)} }}`],
    ["escape", `${start}${'{% assign x = x | append: "&" | escape | append: x %}'.repeat(40)}{{ x }}`],
    ["url_encode", `${start}${'{% assign x = x | append: "%" | url_encode | append: x %}'.repeat(40)}{{ x }}`],
    [
      "truncate",
      `${start}{% assign y = "${"y".repeat(3_000)}" %}{{ x | truncate: 1, y }}${"{{ y | upcase }}".repeat(99)}`,
    ],
    ["many copies", `{% assign y = "${"y".repeat(3_000)}" %}${"{{ y }}".repeat(99)}`],
    [
      "comparisons",
      `{% assign y = "${"y".repeat(9_000)}" %}${"{% if y == x %}{% endif %}".replace("x", "y").repeat(99)}`,
    ],
    ["a search", `{{ "${"a".repeat(60_000)}" | replace: "b${"a".repeat(30_000)}", "" }}`],
    ["a search in a condition", `{% if "${"a".repeat(60_000)}" contains "b${"a".repeat(30_000)}" %}x{% endif %}`],
    ["the width of a date", "{{ '2026-03-08' | date: '%999999999Y' }}"],
    ["the names in a date", `{{ '2026-03-08' | date: '${"%B".repeat(9_000)}' }}`],
  ])("stops at the limit: %s", (_name, text) => {
    expect(filledBy(text)).toEqual(TOO_LONG);
    expect(made).toBeLessThanOrEqual(LONGEST_TEXT);
  });

  it("is rendered up to the limit and not beyond it", () => {
    const lead = (length: number) => ({ ...SAMPLE_LEAD, company: "x".repeat(length) });
    expect(filledBy("{{ lead.company }}", lead(LONGEST_TEXT))).toMatchObject({ kind: "filled" });
    expect(filledBy("{{ lead.company }}", lead(LONGEST_TEXT + 1))).toEqual(TOO_LONG);
    const text = "{{ lead.company | upcase }}";
    expect(filledBy(text, lead(20_000))).toMatchObject({ kind: "filled" });
    expect(filledBy(text, lead(LONGEST_TEXT))).toEqual(TOO_LONG);
  });
});

describe("a template that attacks the parser", () => {
  it.each([
    ["deep tags", "{% if true %}".repeat(7_000), "more than 20 nested tags"],
    ["deep brackets", `{{ lead${"[lead".repeat(15_000)} }}`, "a bracket or a range"],
    ["deep parentheses", `{{ ${"(".repeat(90_000)} }}`, "a bracket or a range"],
    [
      "ten thousand filters",
      `{{ 'x' ${"| upcase".repeat(10_000)} }}`,
      "more than 1000 tags, outputs, values, filters and placeholders",
    ],
    [
      "many operands",
      `{% if 1${" and 1".repeat(15_000)} %}{% endif %}`,
      "more than 1000 tags, outputs, values, filters and placeholders",
    ],
    ["many outputs", "{{ 'x' }}".repeat(9_000), "more than 1000 tags, outputs, values, filters and placeholders"],
    ["a huge number", `{{ ${"9".repeat(90_000)} }}`, "a number of more than 15 digits"],
    ["an inline comment of blank lines", `{% # ${"\n".repeat(90_000)} # %}`, "the tag # is not allowed"],
    ["an open quotation", `{% if ${'"'.repeat(89_999)} %}`, "a quotation mark that is not closed"],
    ["an open output", `{{${" ".repeat(90_000)}`, "an output is not closed"],
    ["an open raw", `{% raw %}${"{% endraw ".repeat(9_000)}`, "the tag raw is not closed"],
    ["a long text", `{{ 'x' }}${"x".repeat(1_000_000)}`, "the template is longer than 100000 characters"],
  ])("is rejected: %s", (_name, text, fault) => {
    const filled = filledBy(text);
    expect(filled).toMatchObject({ kind: "faulty" });
    expect(filled).toMatchObject({ faults: expect.arrayContaining([expect.stringContaining(fault)]) });
  });
});

describe("a template that the linter accepts", () => {
  it("renders at most the limit, and renders like LiquidJS", () => {
    const reference = new Liquid({ locale: "en-US" });
    const values = { lead: SAMPLE_COLUMNS, workspace: WORKSPACE };
    let accepted = 0;
    const bounded = fc.property(programs(), (text) => {
      if (faultsOf(text).length > 0) return;
      accepted++;
      made = 0;
      const filled = filledBy(text);
      expect(made).toBeLessThanOrEqual(LONGEST_TEXT);
      if (filled.kind === "missing" && filled.names.every(isFilterResult)) return;
      expect(filled).toEqual({ kind: "filled", text: reference.parseAndRenderSync(text, values) });
      expect(sizeOf(filled.kind === "filled" ? filled.text : "")).toBeLessThanOrEqual(LONGEST_TEXT);
    });
    const numRuns = Math.ceil(800 / ONE_CASE_IN);
    fc.assert(bounded, { numRuns });
    expect(accepted).toBeGreaterThan(numRuns / 4);
  });

  it("stays within the limit for any other lead", () => {
    const value = fc.oneof(
      fc.constant(null),
      fc.nat(200_000).map((length) => "<a b>".repeat(length / 5)),
    );
    const bounded = fc.property(programs(), value, value, (text, firstName, company) => {
      if (faultsOf(text).length > 0) return;
      made = 0;
      const filled = filledBy(text, { ...SAMPLE_LEAD, firstName, company });
      expect(made).toBeLessThanOrEqual(LONGEST_TEXT);
      if (filled.kind === "filled") expect(filled.text.length).toBeLessThanOrEqual(LONGEST_TEXT);
    });
    fc.assert(bounded, { numRuns: Math.ceil(300 / ONE_CASE_IN) });
  });
});

describe("any text", () => {
  it("is rendered, lacks a value or is faulty; its faults quote neither the text nor the lead", () => {
    const lead = { ...SAMPLE_LEAD, lastName: "Qzlead", company: null };
    const any = fc.property(soups(), (text) => {
      made = 0;
      const filled = filledBy(text, lead);
      expect(made).toBeLessThanOrEqual(LONGEST_TEXT);
      if (filled.kind === "filled") expect(filled.text.length).toBeLessThanOrEqual(LONGEST_TEXT);
      else expect(JSON.stringify(filled)).not.toMatch(/Qz/i);
      expect(Array.isArray(faultsOf(text))).toBe(true);
    });
    fc.assert(any, { numRuns: Math.ceil(3_000 / ONE_CASE_IN) });
  });
});

const SAMPLE_COLUMNS = Object.fromEntries(TEMPLATE_KEYS.map((key) => [LEAD_COLUMNS[key].column, SAMPLE_LEAD[key]]));

const literal = fc.oneof(
  fc.constantFrom("'a'", '"Ada"', "' '", "'&'", "''", "3", "true", "nil", "blank", "1.5"),
  fc.nat(3_000).map((length) => `'${"ab".repeat(length)}'`),
);
const name = fc.constantFrom(...TEMPLATE_NAMES, "x", "y", "lead.first_name.size");

function chains(): fc.Arbitrary<string> {
  const operand = fc.oneof({ weight: 3, arbitrary: name }, { weight: 1, arbitrary: literal });
  const call = fc
    .constantFrom(...[...FILTERS.entries()].filter(([filter]) => !["date", "first", "last"].includes(filter)))
    .chain(([filter, { least, most }]) => {
      const argument = filter.startsWith("truncate") ? fc.nat(50).map(String) : operand;
      return fc.array(argument, { minLength: least, maxLength: Math.min(most, Math.max(least, 1)) }).map((args) => {
        const picked = filter === "split" ? " | first" : "";
        return ` | ${filter}${args.length > 0 ? `: ${args.join(", ")}` : ""}${picked}`;
      });
    });
  return fc.tuple(operand, fc.array(call, { maxLength: 5 })).map(([first, calls]) => first + calls.join(""));
}

/** Valid templates. */
function programs(): fc.Arbitrary<string> {
  const comparison = fc.tuple(name, fc.constantFrom("==", "!=", "contains"), literal).map((parts) => parts.join(" "));
  const condition = fc.oneof(
    name,
    comparison,
    fc.tuple(comparison, name).map((parts) => parts.join(" or ")),
  );
  const { program } = fc.letrec<{ readonly program: string; readonly statement: string }>((tie) => ({
    statement: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.string({ unit: fc.constantFrom("a", " ", "\n", "}", "%") }),
      chains().map((chain) => `{{ ${chain} }}`),
      fc.tuple(fc.constantFrom("x", "y"), chains()).map(([to, chain]) => `{% assign ${to} = ${chain} %}`),
      fc
        .tuple(condition, tie("program"), tie("program"))
        .map(([test, yes, no]) => `{% if ${test} %}${yes}{% else %}${no}{% endif %}`),
      fc.tuple(condition, tie("program")).map(([test, then]) => `{%- unless ${test} -%}${then}{%- endunless -%}`),
      fc
        .tuple(name, literal, tie("program"))
        .map(([of, is, then]) => `{% case ${of} %}{% when ${is}, 'Ada' %}${then}{% endcase %}`),
    ),
    program: fc.array(tie("statement"), { maxLength: 6 }).map((statements) => statements.join("")),
  }));
  return program.map((text) => `{% assign x = 'x' %}{% assign y = 'y' %}${text}`);
}

/** Random sequences of Liquid fragments. */
function soups(): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    ...["{{", "}}", "{%", "%}", "{{-", "-%}", " if ", " elsif ", " else ", " endif ", " case ", " when ", " endcase "],
    ...[
      " assign ",
      " capture ",
      " for ",
      " render ",
      " raw ",
      " endraw ",
      " comment ",
      " endcomment ",
      " # ",
      " liquid ",
    ],
    ...[
      " qz ",
      "'qz",
      '"qz"',
      " lead.qz ",
      " lead.last_name ",
      " lead.company ",
      " | ",
      " | qz ",
      " | upcase ",
      " | split: ",
    ],
    ...[
      "(",
      ")",
      "[",
      "]",
      "..",
      "=",
      " == ",
      " contains ",
      ",",
      ":",
      ".",
      "\\",
      "\n",
      "\0",
      "9",
      " and ",
      " nil ",
      "😀",
      "\ud83d",
    ],
  );
  const whole = fc.constantFrom(
    "{% if lead.company %}",
    "{% endif %}",
    "{{ lead.last_name | append: 'qz' }}",
    "{% assign qz = 'qz' %}",
    "{{ qz }}",
    "{% render lead.last_name %}",
    "{% raw %}",
    "{% endraw %}",
  );
  return fc
    .array(fc.oneof(piece, whole, fc.string({ maxLength: 3 })), { maxLength: 30 })
    .map((pieces) => pieces.join(""));
}
