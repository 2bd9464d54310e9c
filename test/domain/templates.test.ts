import { afterEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { TEMPLATE_KEYS, type TemplateKey } from "../../lib/domain/lead-columns.ts";
import { render, TEMPLATE_NAMES, textTemplate } from "../../lib/domain/templates.ts";
import { ONE_CASE_IN } from "../support/one-case-in.ts";
import { aLead, anItem, aStep } from "./items.ts";

const { workspace } = anItem();
const rendered = (step: Parameters<typeof aStep>[0], lead = aLead()) => render(aStep(step), lead, workspace);

describe("rendering a step", () => {
  it("inserts the names of lead and workspace", () => {
    expect(
      rendered({
        subject: "{{ lead.first_name }} {{lead.last_name}} of {{ lead.company }}",
        body: "{{ lead.email }}, {{ lead.phone }}: {{ workspace.name }} {{ lead.company | upcase }}",
      }),
    ).toEqual({
      kind: "rendered",
      message: {
        subject: "Ada Byron of Analytical Engines",
        body: "ada@example.com, +1-555-0100: Northwind ANALYTICAL ENGINES",
      },
    });
  });

  it("reports each absent or blank value once, and sends no placeholder", () => {
    const lead = aLead({ firstName: null, company: " \n" });
    const body = "{{ lead.company }} {{ lead.first_name | upcase }} {{ lead.last_name }}";
    expect(rendered({ body }, lead)).toEqual({ kind: "missing", names: ["lead.first_name", "lead.company"] });
    expect(rendered({ body })).toMatchObject({ kind: "rendered" });
  });

  it("uses the default of the template for a missing value", () => {
    const step = { subject: "Hi", body: "{{ lead.company | default: 'your team' }}{% if lead.phone %}!{% endif %}" };
    expect(rendered(step, aLead({ company: null, phone: null }))).toMatchObject({ message: { body: "your team" } });
    expect(rendered(step)).toMatchObject({ message: { body: "Analytical Engines!" } });
  });

  it("keeps its subject on one line for any name of a lead", () => {
    const lead = aLead({ firstName: "\tA\r\nBcc: x\u2028y \u0001\u007f  z\u0085" });
    expect(rendered({ body: "x" }, lead)).toMatchObject({ message: { subject: "Hello A Bcc: x y z" } });
    expect(rendered({ subject: "Hi {{ lead.first_name | append: '\n' }}", body: "x" }, lead)).toMatchObject({
      message: { subject: "Hi A Bcc: x y z" },
    });
  });

  it("keeps the lines of the body", () => {
    expect(rendered({ body: "Hi\n\n  there\t{{ lead.first_name }}\r\n" })).toMatchObject({
      message: { body: "Hi\n\n  there\tAda\r\n" },
    });
  });

  it.each([
    [{ body: "{% if lead.company == 'x' %}Hi{% endif %} " }, "the body is empty"],
    [{ subject: "{% if lead.company == 'x' %}Hi{% endif %} " }, "the subject is empty"],
    [{ body: "Hi {{ lead.first_name" }, "body: an output is not closed, line 1, column 4"],
    [{ body: "Hi\n{{ lead.first_name | shout }}" }, "body: unknown filter, line 2, column 22"],
    [{ subject: "{{ lead.nickname }}" }, "subject: unknown variable, line 1, column 4"],
    [{ body: "a\0b" }, "body: the text contains a NUL character"],
    [{ body: '{{ "\\u0000" }}' }, "body: the text contains a NUL character"],
    [{ body: "{% include 'package.json' %}" }, "body: the tag include is not allowed, line 1, column 1"],
    [{ body: "{% for i in (1..99999999) %}x{% endfor %}" }, "body: the tag for is not allowed, line 1, column 1"],
  ])("is invalid for every lead with this text: %j", (step, fault: unknown) => {
    expect(rendered(step)).toEqual({ kind: "invalid", fault });
  });

  it("reports the faults of both parts, and faults before missing values", () => {
    const step = { subject: "{{ lead.first_name", body: "{{ lead.last_name | shout }}" };
    expect(rendered(step, aLead({ lastName: null }))).toMatchObject({
      fault: "subject: an output is not closed, line 1, column 1; body: unknown filter, line 1, column 21",
    });
  });

  it("lists five faults and counts the rest", () => {
    const { fault } = rendered({ body: "{{ x }}".repeat(7) }) as { readonly fault: string };
    expect(fault.split("; ")).toHaveLength(6);
    expect(fault).toMatch(/and 2 more$/);
  });

  it("may have no subject if it is not an e-mail", () => {
    const step = { channel: "sms", subject: null, body: "Hi" } as const;
    expect(rendered(step)).toEqual({ kind: "rendered", message: { subject: null, body: "Hi" } });
  });

  it("inserts names as text, never as a template", () => {
    expect(rendered({ body: "{{ lead.first_name }}" }, aLead({ firstName: "{{ lead.company }}" }))).toMatchObject({
      message: { body: "{{ lead.company }}" },
    });
  });
});

describe("a value that the lead lacks", () => {
  const lead = aLead({ company: null });
  const missing = { kind: "missing", names: ["lead.company"] };

  it.each([
    "{{ lead.company }}",
    "{{ lead.company | upcase }}",
    "{{ lead.company.size }}",
    "{{ 'Hi ' | append: lead.company }}",
    "{{ lead.first_name | replace: 'Ada', lead.company }}",
    "{% assign team = lead.company %}{{ team }}",
    "{% assign team = lead.company | upcase %}{{ team | append: '!' }}",
    "{{ lead.company | default: lead.company }}",
    "{% if lead.first_name %}{{ lead.company }}{% endif %}",
    "{% assign team = lead.company | default: lead.company %}Hi {{ team | upcase }},",
    "{% if lead.company != 'x' %}{{ lead.company }}{% endif %}",
  ])("pauses the step and is reported by name in %s", (body) => {
    expect(rendered({ body }, lead)).toEqual(missing);
    expect(rendered({ body })).toMatchObject({ kind: "rendered" });
  });

  it.each([
    ["{{ lead.company | default: 'you' }}", "you"],
    ["{{ lead.company | upcase | default: 'you' }}", "you"],
    ["{{ lead.company | default: lead.first_name }}", "Ada"],
    ["{{ lead.company | default: lead.company | default: 'you' }}", "you"],
    ["{% assign team = lead.company %}{{ team | default: 'you' }}", "you"],
    ["{% if lead.company %}{{ lead.company }}{% else %}you{% endif %}", "you"],
    ["{% unless lead.company %}you{% endunless %}", "you"],
    ["{% if lead.company == blank and lead.company == nil and lead.company == '' %}you{% endif %}", "you"],
    ["{% if empty == lead.company and '' == lead.company and lead.company != 'x' %}you{% endif %}", "you"],
    ["{% if lead.company.size < 9 or lead.company <= 'x' or 'x' > lead.company %}x{% else %}you{% endif %}", "you"],
    [
      "{% if lead.company.size > 0 or lead.company contains 'a' or 'null' contains lead.company %}x{% else %}you{% endif %}",
      "you",
    ],
    ["{% case lead.company %}{% when 'x' %}x{% else %}you{% endcase %}", "you"],
  ])("is no obstacle in %s", (body, text) => {
    expect(rendered({ body }, lead)).toMatchObject({ message: { body: text } });
  });

  it("is reported by position if the template assigns its name only in another branch", () => {
    const body = "{% if lead.company %}{% assign team = 'you' %}{% endif %}{{ team }}";
    expect(rendered({ body }, lead)).toEqual({ kind: "missing", names: ["the name assigned in line 1, column 32"] });
    expect(rendered({ body })).toMatchObject({ message: { body: "you" } });
  });
});

describe("a value of which a filter leaves nothing", () => {
  const lead = aLead({ firstName: "Dr.", company: "next week" });

  it.each([
    ["Hi {{ lead.first_name | remove: 'Dr.' }},", "remove"],
    ["Hi {{ lead.first_name | replace: 'Dr.', ' ' }},", "replace"],
    ["Hi {{ lead.first_name | split: 'Dr' | first | append: ',' }}", "first"],
    ["{% assign on = lead.company | date: '%A' %}See you on {{ on }}", "date"],
  ])("pauses the step like a missing value: %s", (body, filter) => {
    expect(rendered({ body }, lead)).toEqual({ kind: "missing", names: [`a result of the filter ${filter}`] });
    expect(rendered({ body: body.replace(" }}", " | default: 'you' }}") }, lead)).toMatchObject({ kind: "rendered" });
  });
});

describe("a date in a text", () => {
  const zone = process.env["TZ"];
  afterEach(() => {
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  });

  it.each(["America/Los_Angeles", "Pacific/Auckland"])(
    "does not depend on the clock or the zone of the machine: %s",
    (tz) => {
      process.env["TZ"] = tz;
      const on = (company: string) =>
        rendered({ body: "{{ lead.company | date: '%d %B %H:%M' }}" }, aLead({ company }));
      expect(on("2026-03-08")).toMatchObject({ message: { body: "08 March 00:00" } });
      expect(on("2026-03-08 23:30")).toMatchObject({ message: { body: "08 March 23:30" } });
      expect(on("2026-03-08T10:00:00Z")).toMatchObject({ message: { body: "08 March 10:00" } });
      expect(on("2026-03-08T10:00:00+02:00")).toMatchObject({ message: { body: "08 March 10:00" } });
      for (const none of ["now", "today", "2026-02-30", "soon", "5"])
        expect(on(none)).toMatchObject({ kind: "missing" });
    },
  );
});

describe("the fast path for plain texts", () => {
  it("renders like LiquidJS", () => {
    const both = fc.property(templates(), leads(), fc.string(), (template, values, workspaceName) => {
      const here = { name: workspaceName };
      const [short, long] = [`${template}\n`, `${template}\n${A_TAG}`].map((text) =>
        textTemplate(text, [])(values, here),
      );
      expect(comparable(short)).toEqual(comparable(long));
    });
    fc.assert(both, { numRuns: Math.ceil(2_000 / ONE_CASE_IN) });
  });

  /** Renders nothing. A template with a tag is never on the fast path. */
  const A_TAG = "{% raw %}{% endraw %}";

  /** Without the order of missing names, and without the faults, whose text depends on what follows. */
  const comparable = (filled: ReturnType<ReturnType<typeof textTemplate>> | undefined) => {
    if (filled?.kind === "missing") return { ...filled, names: [...filled.names].sort() };
    return filled?.kind === "faulty" ? "faulty" : filled;
  };
});

/** Names that JavaScript or LiquidJS could take for properties of the object. */
const FIELDS = ["title", "size", "first", "last", "constructor"];

function templates(): fc.Arbitrary<string> {
  const name = fc.constantFrom(...TEMPLATE_NAMES, ...FIELDS.map((field) => `lead.fields.${field}`));
  const piece = fc.oneof(
    name.map((one) => `{{ ${one} }}`),
    name.map((one) => `{{${one}}}`),
    name.map((one) => `{{   ${one}}}`),
    fc.constantFrom(
      "{",
      "}",
      "{{",
      "}}",
      "{%",
      "%}",
      "{{-",
      "-}}",
      "{#",
      "Hi",
      "\n",
      " ",
      "{{ lead.size }}",
      "{{ unsubscribe_url }}",
      "\0",
      "ß",
    ),
    fc.string(),
  );
  return fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
}

function leads() {
  // Faster than fast-check's own full-Unicode unit, which takes a second to prepare.
  const unit = fc.nat(0x10ffff).map((code) => String.fromCodePoint(code));
  const value = fc.oneof(fc.string({ unit }), fc.constant(null), fc.constant(" "), fc.constant("{{ x }}"));
  const values = TEMPLATE_KEYS.map((key) => [key, value] as const);
  const fields = fc.dictionary(fc.constantFrom(...FIELDS), fc.string({ unit }));
  return fc.record({ ...(Object.fromEntries(values) as Record<TemplateKey, typeof value>), fields });
}
