import { describe, expect, it } from "@jest/globals";
import { render } from "../../lib/domain/templates.ts";
import { faultsOf } from "../../lib/domain/text-template.ts";
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
