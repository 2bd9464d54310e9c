import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { decide } from "../../lib/domain/decide.ts";
import { PLACEHOLDER_KINDS, type PlaceholderKind } from "../../lib/domain/labels.ts";
import { findPlaceholders } from "../../lib/domain/placeholders.ts";
import { render } from "../../lib/domain/templates.ts";
import { lintStep } from "../../lib/domain/written-sequence.ts";
import { aLead, anItem, aStep } from "./items.ts";

const found = (text: string, allow: readonly string[] = []) =>
  [...findPlaceholders(text, allow)].map((each) => `${each.kind} ${each.index} ${each.text}`);
const faultsOf = (body: string, allow: readonly PlaceholderKind[] = []) =>
  lintStep({ channel: "sms", subject: null, body, allow }).map(({ message }) => message);

// Without a `$` before a brace, which the linter takes for a template literal.
const DOLLAR = "$";
const OF_OTHER_TOOLS: readonly (readonly [PlaceholderKind, string])[] = [
  ["asterisk_bars", "*|FNAME|*"],
  ["asterisk_bars", "*|FIRST_NAME|Friend|*"],
  ["asterisk_bars", "*|END:IF|*"],
  ["braces", "{first_name}"],
  ["braces", "{!Contact.FirstName}"],
  ["braces", "{$profile.Voornaam}"],
  ["braces", "#{name}"],
  ["braces", "{contactfield=firstname}"],
  ["braces", "{# note #}"],
  ["braces", "{ { lead.first_name } }"],
  ["braces", "{\u200b{ lead.first_name }}"],
  ["braces", "\uff5b"],
  ["dollar_braces", `${DOLLAR}{first_name}`],
  ["dollar_braces", "$!{name}"],
  ["spintax", "{Hi|Hello}"],
  ["spintax", "{contactfield=firstname|there}"],
  ["square_brackets", "[First Name]"],
  ["square_brackets", "[firstname,fallback=there]"],
  ["square_brackets", "[first_name|Dear Reader]"],
  ["percent_signs", "%FIRST_NAME%"],
  ["percent_signs", "%recipient.first%"],
  ["percent_signs", "%%First Name%%"],
  ["percent_signs", "%%=v(@name)=%%"],
  ["percent_signs", "%(name)s"],
  ["angle_brackets", "<<First Name>>"],
  ["angle_brackets", "<First Name>"],
  ["angle_brackets", "<%= user.name %>"],
  ["angle_brackets", "«First_Name»"],
  ["angle_brackets", "«FirstName»"],
  ["html", "<b>"],
  ["html", "</p>"],
  ["html", '<a href="https://example.com?a=b">'],
  ["html", "<br/>"],
  ["html", "<o:p>"],
  ["html", "<!--"],
  ["html", "&nbsp;"],
  ["html", "&#8217;"],
  ["html", "&uuml;"],
  ["marked_names", "@FIRSTNAME@"],
  ["marked_names", "#firstname#"],
  ["marked_names", "$FIRST_NAME$"],
  ["marked_names", "__NAME__"],
];

describe("a placeholder of another tool", () => {
  it.each(OF_OTHER_TOOLS)("is found as %s: %s", (kind, text) => {
    expect(found(`Hi ${text}, you`)).toEqual([`${kind} 3 ${text}`]);
    expect(found(`Hi ${text}, you`, [kind])).toEqual([]);
  });

  it("of each kind has an example here", () => {
    expect([...new Set(OF_OTHER_TOOLS.map(([kind]) => kind))].sort()).toEqual([...PLACEHOLDER_KINDS].sort());
  });

  it.each([
    "50% of leads and 20% of deals, 100% guaranteed, 5 %",
    "https://example.com/%C3%BC%C3%A9s%20x?a=1&b=2#part",
    "See [1], […] and [ ]; 3 < 4 > 2, a <- b, I <3 it",
    "Mail <ada@example.com> or see <https://example.com/a>",
    "« Paris », «Paris», AT&T; R&D; Q&A",
    "#sales #marketing, #sales#marketing, me@example.com, @ada@example.social",
    "$5 or US$7, a_b__c, ____, *bold*, a|b, C#/F#",
    "Grüße: it’s “fine” – yes… \u{1f469}\u200d\u{1f4bb}",
  ])("is not seen in ordinary text: %s", (text) => {
    expect(found(text)).toEqual([]);
  });

  it("inside a text of an allowed kind is still found", () => {
    expect(found("[Hi {first_name}]", ["square_brackets"])).toEqual(["braces 4 {first_name}"]);
    expect(found("{Hi [Name]|Hello} $!{x}", ["spintax", "dollar_braces"])).toEqual(["square_brackets 4 [Name]"]);
  });

  it("is an error on save, with its kind, its place and the value to write", () => {
    expect(faultsOf("Hi,\n[First Name] and {first_name")).toEqual([
      "a placeholder of another tool (square_brackets) " +
        '"[First Name]"; write {{ lead.first_name }}, or allow square_brackets in this step (line 2, column 1)',
      'a single brace (braces) "{"; remove it, or allow braces in this step (line 2, column 18)',
    ]);
    expect(faultsOf("*|FNAME|*")).toEqual([
      expect.stringContaining('"*|FNAME|*"; write {{ lead.first_name }}, or allow'),
    ]);
    expect(faultsOf("a&nbsp;b {Hi|Hello}", ["html"])).toEqual([
      'alternatives to choose from (spintax) "{Hi|Hello}"; remove it, or allow spintax in this step (line 1, column 10)',
    ]);
  });

  it("may span an output of ours, and may stand in a text that an output sends", () => {
    expect(faultsOf("{Hi {{ lead.first_name }}|Hello}")).toEqual([
      expect.stringContaining('(spintax) "{Hi {{ lead.first_name }}|Hello}"'),
    ]);
    expect(faultsOf("{{ lead.first_name | default: '[First Name]' }}")).toEqual([
      expect.stringMatching(/square_brackets.*\(line 1, column 32\)$/),
    ]);
    expect(faultsOf("{{ lead.first_name | replace: '[x]', '' | append: '}' }} [{{ lead.company }}]")).toEqual([]);
  });

  it("is text inside raw, and is ignored inside comment", () => {
    expect(faultsOf("{% raw %}{ [x] {{ y }}{% endraw %}{% comment %}[x]{% endcomment %}")).toEqual([]);
  });

  it("of an invisible character is named", () => {
    expect(faultsOf("{\u200b{ lead.first_name }}")).toEqual([
      expect.stringContaining("it contains an invisible character (U+200B)"),
    ]);
  });

  it("in a stored template holds the step by name, and neither sends nor quotes it", () => {
    const now = new Date("2026-03-10T10:00:00Z");
    const held = (body: string, allow: readonly string[] = []) =>
      decide(anItem({ steps: [aStep({ body, allow })] }), now);
    expect(held("Hi [Secret Name]")).toMatchObject({
      kind: "hold",
      reason: "invalid_template",
      detail: "body: a placeholder of another tool (square_brackets), line 1, column 4",
    });
    expect(held("Hi [Secret Name]", ["square_brackets"])).toMatchObject({ kind: "send" });
    expect(held("Hi [Secret Name]", ["a_kind_of_a_newer_version"])).toMatchObject({ kind: "hold" });
  });

  it("is sent as it is if the step allows it, with the same result on both paths", () => {
    for (const body of ["[Webinar] {{ lead.first_name }}", "[Webinar] {{ lead.first_name | upcase }}"]) {
      const step = aStep({ body, allow: ["square_brackets"] });
      expect(render(step, aLead({ firstName: "ADA" }), { name: "N" })).toMatchObject({
        message: { body: "[Webinar] ADA" },
      });
    }
  });
});

it("finding placeholders takes time linear in the text", () => {
  const pieces = [
    "[a",
    "{",
    "}",
    "<a ",
    "<a",
    "<%",
    "<<a",
    "*|a",
    "%a",
    "%%a",
    "%%%",
    "&a",
    "#a",
    "@A",
    "$A",
    "__A",
    "«a",
    "{a|",
  ];
  for (const piece of pieces) {
    const text = `https://${piece.repeat(100_000 / piece.length)}`.slice(0, 100_000);
    const before = process.cpuUsage();
    expect([...findPlaceholders(text, PLACEHOLDER_KINDS)]).toEqual([]);
    // Microseconds of this process, because a busy machine makes it wait.
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  }
});

it("any text is saved and sent unchanged if all kinds are allowed and it has no Liquid", () => {
  const unit = fc.constantFrom(..."ab1 {}[]<>%*|#@$_&;«»=/:\n");
  fc.assert(
    fc.property(fc.string({ unit }), (text) => {
      const body = `x${text.replaceAll(/\{(?=[{%])/g, "")}`;
      const step = aStep({ channel: "sms", subject: null, body, allow: PLACEHOLDER_KINDS });
      expect(faultsOf(body, PLACEHOLDER_KINDS)).toEqual([]);
      expect(render(step, aLead(), { name: "N" })).toMatchObject({ message: { body } });
    }),
  );
});
