import { describe, expect, it } from "@jest/globals";
import { decide } from "../../lib/domain/decide.ts";
import { ALWAYS_OPEN, anItem, aStep, NOON } from "./items.ts";

/** Dates whose iteration throws, independent of their format. */
const unreadable = (fault: Error): readonly string[] =>
  Object.assign([], {
    [Symbol.iterator]() {
      throw fault;
    },
  });

describe("an error that is not a fault of settings", () => {
  const itemWith = (fault: Error) =>
    anItem({ workspace: { holidays: { country: null, region: null, ownDates: unreadable(fault), workingDates: [] } } });

  it("is rethrown unchanged, unlike a setting that does not exist", () => {
    const fault = new Error("the disk is gone");
    expect(() => decide(itemWith(fault), NOON)).toThrow(fault);
    expect(decide(itemWith(new RangeError("no such date")), NOON)).toMatchObject({
      kind: "hold",
      reason: "invalid_send_times",
      detail: expect.stringContaining("no such date"),
    });
  });
});

it("a hold for a window that never opens has a full explanation", () => {
  expect(decide(anItem({ workspace: { sendWindow: { ...ALWAYS_OPEN, days: [] } } }), NOON)).toMatchObject({
    detail: "workspace workspace: the send window does not open within a year",
  });
});

it("a hold for an unknown condition names it", () => {
  expect(decide(anItem({ steps: [aStep({ condition: "moon_is_full" })] }), NOON)).toMatchObject({
    reason: "unknown_condition",
    detail: "condition: moon_is_full",
  });
});
