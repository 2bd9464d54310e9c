import { describe, expect, it } from "@jest/globals";
import { lintStep } from "../../lib/domain/lint-step.ts";
import { render } from "../../lib/domain/templates.ts";
import { faultsOf, TEMPLATE_NAMES } from "../../lib/domain/text-template.ts";
import { aLead, anItem, aStep } from "./items.ts";

const { workspace } = anItem();
const bodyOf = (body: string) => render(aStep({ body }), aLead(), workspace);

describe("a template", () => {
  it("reads what a lead has, and nothing that every object inherits", () => {
    expect(bodyOf("{{ lead.constructor }}")).toMatchObject({ kind: "missing", names: ["lead.constructor"] });
    expect(bodyOf("{{ lead.company | upcase }}")).toMatchObject({ message: { body: "ANALYTICAL ENGINES" } });
  });

  it("spells months in English, whatever the machine speaks", () => {
    expect(bodyOf("{{ '2026-03-08' | date: '%B' }}")).toMatchObject({ message: { body: "March" } });
  });

  it("is refused beyond a length that no message has, and taken below it", () => {
    const long = `${"x".repeat(99_900)}{{ lead.company | upcase }}`;
    expect(bodyOf(long)).toMatchObject({ kind: "rendered" });
    expect(bodyOf(`${"x".repeat(100)}${long}`)).toMatchObject({ kind: "invalid" });
  });
});

describe("a step of two texts", () => {
  const rendered = (step: Parameters<typeof aStep>[0], lead = aLead()) => render(aStep(step), lead, workspace);
  const nameless = aLead({ firstName: null, lastName: null });

  it("lacks what either lacks", () => {
    const names = ["lead.first_name"];
    expect(rendered({ subject: "{{ lead.first_name }}", body: "Hi" }, nameless)).toEqual({ kind: "missing", names });
    expect(rendered({ subject: "Hi", body: "{{ lead.first_name }}" }, nameless)).toEqual({ kind: "missing", names });
    const text = { channel: "sms", subject: null, body: "{{ lead.first_name }}" } as const;
    expect(rendered(text, nameless)).toEqual({ kind: "missing", names });
    expect(rendered(text)).toMatchObject({ message: { body: "Ada" } });
  });

  it("has the faults of both, one after the other, and then says nothing of what is missing", () => {
    expect(rendered({ subject: "{{ x", body: "{{ y" })).toEqual({
      kind: "invalid",
      fault: 'output "{{ x" not closed, line:1, col:1; output "{{ y" not closed, line:1, col:1',
    });
    expect(rendered({ subject: "{{ lead.first_name }}", body: "{{ y" }, nameless)).toMatchObject({
      fault: 'output "{{ y" not closed, line:1, col:1',
    });
  });
});

it.each(TEMPLATE_NAMES)("a linted text may use %s, as it stands and through a filter", (name) => {
  for (const text of [`{{ ${name} }}`, `{{ ${name} | upcase }}`]) {
    expect(lintStep({ channel: "email", subject: text, body: text })).toEqual([]);
  }
});

describe("the faults of what a parser threw", () => {
  it("are those of each error in it, however deep", () => {
    const several = { errors: [new Error("one"), { errors: [new Error("two"), new Error("three")] }] };
    expect(faultsOf(several)).toEqual(["one", "two", "three"]);
    expect(faultsOf(new Error("alone"))).toEqual(["alone"]);
  });

  it.each([
    ["text", "text"],
    [null, "null"],
    [undefined, "undefined"],
    [{ errors: "none" }, "[object Object]"],
  ])("are its own words where it is no error: %j", (thrown, fault) => {
    expect(faultsOf(thrown)).toEqual([fault]);
  });
});
