import { describe, expect, it } from "@jest/globals";
import { render, TEMPLATE_NAMES } from "../../lib/domain/templates.ts";
import { lintStep } from "../../lib/domain/written-sequence.ts";
import { aLead, anItem, aStep } from "./items.ts";

const { workspace } = anItem();
const bodyOf = (body: string) => render(aStep({ body }), aLead(), workspace);

describe("a template", () => {
  it("reads a lead's own values, and no inherited property", () => {
    for (const name of ["lead.constructor", "constructor", "__proto__", "lead.first_name.constructor", "lead"]) {
      expect(bodyOf(`{{ ${name} }}`)).toMatchObject({ fault: "body: unknown variable, line 1, column 4" });
    }
    expect(bodyOf("{{ 'x' | constructor }}")).toMatchObject({ fault: "body: unknown filter, line 1, column 10" });
    expect(bodyOf("{% constructor %}")).toMatchObject({ fault: "body: unknown tag, line 1, column 1" });
    expect(bodyOf("{% assign constructor = 'x' %}{{ constructor }}")).toMatchObject({ message: { body: "x" } });
    expect(bodyOf("{{ lead.company | upcase }}")).toMatchObject({ message: { body: "ANALYTICAL ENGINES" } });
  });

  it("spells months in English under any locale", () => {
    expect(bodyOf("{{ '2026-03-08' | date: '%B' }}")).toMatchObject({ message: { body: "March" } });
  });

  it("is rejected above the maximum length, and accepted below it", () => {
    const long = `${"x".repeat(99_900)}{{ lead.company | upcase }}`;
    expect(bodyOf(long)).toMatchObject({ kind: "rendered" });
    expect(bodyOf(`${"x".repeat(100)}${long}`)).toMatchObject({ kind: "invalid" });
    expect(bodyOf("x".repeat(100_000))).toMatchObject({ kind: "rendered" });
    expect(bodyOf("x".repeat(100_001))).toMatchObject({ kind: "invalid" });
  });
});

describe("a step with subject and body", () => {
  const rendered = (step: Parameters<typeof aStep>[0], lead = aLead()) => render(aStep(step), lead, workspace);
  const nameless = aLead({ firstName: null, lastName: null });

  it("lacks the values that either text lacks", () => {
    const names = ["lead.first_name"];
    expect(rendered({ subject: "{{ lead.first_name }}", body: "Hi" }, nameless)).toEqual({ kind: "missing", names });
    expect(rendered({ subject: "Hi", body: "{{ lead.first_name }}" }, nameless)).toEqual({ kind: "missing", names });
    const text = { channel: "sms", subject: null, body: "{{ lead.first_name }}" } as const;
    expect(rendered(text, nameless)).toEqual({ kind: "missing", names });
    expect(rendered(text)).toMatchObject({ message: { body: "Ada" } });
  });

  it("has the faults of both texts in order, and then lists no missing values", () => {
    expect(rendered({ subject: "{{ x", body: "{{ y" })).toEqual({
      kind: "invalid",
      fault: "subject: an output is not closed, line 1, column 1; body: an output is not closed, line 1, column 1",
    });
    expect(rendered({ subject: "{{ lead.first_name }}", body: "{{ y" }, nameless)).toMatchObject({
      fault: "body: an output is not closed, line 1, column 1",
    });
  });
});

it.each(TEMPLATE_NAMES)("a linted text may use %s, directly and through a filter", (name) => {
  for (const text of [`{{ ${name} }}`, `{{ ${name} | upcase }}`]) {
    expect(lintStep({ channel: "email", subject: text, body: text, allow: [] })).toEqual([]);
  }
});
