import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { unknownFields } from "../../lib/domain/field-lint.ts";
import { isFieldName, suggestedFieldName } from "../../lib/domain/lead-fields.ts";
import { render } from "../../lib/domain/templates.ts";
import { lintStep, sampleLeadFor } from "../../lib/domain/written-sequence.ts";
import { aLead, aStep } from "./items.ts";

const workspace = { name: "Harbour Homes" };
const bodyFor = (body: string, fields: Readonly<Record<string, string>>) =>
  render(aStep({ body }), aLead({ fields }), workspace);

describe("a custom field in a template", () => {
  it.each([
    ["{{ lead.fields.title }}", "CTO"],
    ["{{ lead.fields.title | downcase }}", "cto"],
    ["{{ lead.fields.title.size }}", "3"],
    ["{{ lead.fields.size }}{% if true %}!{% endif %}", "50!"],
    ["{{ lead.fields.first }}-{{ lead.fields.constructor | upcase }}", "1st-BOB"],
    ['{{ lead.fields.city | default: "your city" }}', "your city"],
    ["{% if lead.fields.city %}city{% else %}none{% endif %}", "none"],
    ['{% case lead.fields.title %}{% when "CTO" %}chief{% endcase %}', "chief"],
    ["{% assign t = lead.fields.title %}{{ t }}", "CTO"],
  ])("renders %s", (body, text) => {
    const fields = { title: "CTO", size: "50", first: "1st", constructor: "Bob" };
    expect(lintStep(aStep({ body }))).toEqual([]);
    expect(bodyFor(body, fields)).toMatchObject({ message: { body: text } });
  });

  it.each(["size", "first", "last", "constructor", "title"])(
    "is missing as lead.fields.%s if the lead has none",
    (name) => {
      for (const output of [`{{ lead.fields.${name} }}`, `{{ lead.fields.${name} | upcase }}`]) {
        expect(bodyFor(output, {})).toEqual({ kind: "missing", names: [`lead.fields.${name}`] });
      }
    },
  );

  it.each(["lead.fields", "lead.fields.Title", "lead.fields.a.b", "lead.fields.1st", "lead.title", "lead.fields.a-b"])(
    "is not %s",
    (name) => {
      expect(lintStep(aStep({ body: `{{ ${name} }}` }))).toEqual([
        { part: "body", message: expect.stringContaining("and lead.fields.<name> for custom fields") },
      ]);
    },
  );
});

describe("the lint of a step against the names of the workspace", () => {
  const known = ["city", "job_title", "plan"];
  const messages = (body: string, names = known) =>
    unknownFields(aStep({ subject: "Hi {{ lead.fields.plan }}", body }), names).map(({ message }) => message);

  it.each([
    ["{{ lead.fields.job_titel }}", "similar: job_title"],
    ["{{ lead.fields.title }}", "similar: job_title"],
    ["{{ lead.fields.industry }}", "its custom fields: city, job_title, plan"],
    ["{% if lead.fields.ciity == 'x' %}{% endif %}", "similar: city"],
    ["{{ lead.company | default: lead.fields.cty }}", "similar: city"],
  ])("reports %s with the names that may be meant", (body, hint) => {
    expect(messages(body)).toEqual([expect.stringContaining(hint)]);
  });

  it("accepts known names, and names each unknown one once and at its first place", () => {
    expect(messages("{{ lead.fields.city }} {% raw %}{{ lead.fields.x }}{% endraw %}")).toEqual([]);
    expect(messages("{{ lead.fields.x }} {{ lead.fields.x }}")).toEqual([
      "no lead of the workspace has lead.fields.x; its custom fields: city, job_title, plan (line 1, column 4)",
    ]);
    expect(messages("x", [])).toEqual([expect.stringContaining("the workspace has no custom fields yet")]);
  });

  it("gives the sample lead each field that the texts read", () => {
    const step = aStep({ subject: "{{ lead.fields.plan }}", body: "{{ lead.fields.city }}" });
    expect(render(step, sampleLeadFor(step), workspace)).toMatchObject({
      message: { subject: "(plan)", body: "(city)" },
    });
  });
});

describe("the suggested name of a field", () => {
  it.each([
    ["Job Title", "job_title"],
    ["# Employees", "employees"],
    ["Größe (m²)", "gro_e_m2"],
    ["2nd Phone", "nd_phone"],
    ["Société", "societe"],
    ["名前", undefined],
  ])("for %s is %s", (heading, name) => {
    expect(suggestedFieldName(heading)).toBe(name);
  });

  it("is always a valid name, and a valid name is its own suggestion", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 80 }), (heading) => {
        const name = suggestedFieldName(heading);
        return (
          name === undefined || (isFieldName(name) && suggestedFieldName(name)?.startsWith(name.replace(/_+$/, "")))
        );
      }),
    );
  });
});
