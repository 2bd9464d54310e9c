import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { CHANNELS, STEP_CONDITIONS } from "../../lib/domain/labels.ts";
import { changeOf, type WrittenSequence, type WrittenStep } from "../../lib/domain/written-sequence.ts";

const step: fc.Arbitrary<WrittenStep> = fc.record({
  key: fc.constantFrom("a", "b", "c", "d", "e"),
  delayMinutes: fc.constantFrom(0, 60),
  channel: fc.constantFrom(...CHANNELS),
  subject: fc.constantFrom(null, "Hi"),
  body: fc.constantFrom("one", "two"),
  allow: fc.subarray(["html", "spintax"] as const),
  condition: fc.constantFrom(...STEP_CONDITIONS),
  needsApproval: fc.boolean(),
  timeToLiveMinutes: fc.constantFrom(null, 60),
});
const steps = fc.uniqueArray(step, { selector: ({ key }) => key, minLength: 1 });
const sequence: fc.Arbitrary<WrittenSequence> = fc.record({
  name: fc.constant("Chase"),
  triggerOn: fc.constantFrom("manual", "no_response"),
  active: fc.boolean(),
  steps,
});
const wayOf = ({ steps: of }: WrittenSequence) => of.map(({ key, delayMinutes }) => [key, delayMinutes]);

describe("a change of a sequence", () => {
  it("is empty exactly if both are the same", () => {
    fc.assert(
      fc.property(sequence, sequence, (before, after) => {
        expect(changeOf(before, after).isNone).toBe(JSON.stringify(before) === JSON.stringify(after));
        expect(changeOf(before, structuredClone(before)).isNone).toBe(true);
      }),
    );
  });

  it("needs a new version exactly if the steps, their order or their delays differ", () => {
    fc.assert(
      fc.property(sequence, sequence, (before, after) => {
        const differs = JSON.stringify(wayOf(before)) !== JSON.stringify(wayOf(after));
        expect(changeOf(before, after).needsNewVersion).toBe(differs);
      }),
    );
  });

  it("lists each step of both once", () => {
    fc.assert(
      fc.property(sequence, sequence, (before, after) => {
        const told = changeOf(before, after).steps;
        const now = told.flatMap((change) => ("step" in change ? change.step.key : []));
        const old = told.flatMap((change) =>
          "before" in change ? change.before.key : change.kind === "kept" ? change.step.key : [],
        );
        expect(now).toEqual(after.steps.map(({ key }) => key));
        expect(old.sort()).toEqual(before.steps.map(({ key }) => key).sort());
      }),
    );
  });

  it("lists all steps of a new sequence", () => {
    fc.assert(
      fc.property(sequence, (after) => {
        const change = changeOf(undefined, after);
        expect([change.isNone, change.needsNewVersion, change.steps.every(({ kind }) => kind === "added")]).toEqual([
          false,
          true,
          true,
        ]);
      }),
    );
  });
});
