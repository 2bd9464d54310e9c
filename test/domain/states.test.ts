import { describe, expect, it } from "@jest/globals";
import { decide } from "../../lib/domain/decide.ts";
import { nextState } from "../../lib/domain/next-state.ts";
import { anItem, aStep, type ItemParts, minutesAfter, NOON } from "./items.ts";

const stateAfter = (parts: ItemParts, now = NOON) => {
  const item = anItem(parts);
  return nextState(item, decide(item, now), now);
};

describe("an instance", () => {
  it("skips an expired step, and completes if it was the last", () => {
    const old = aStep({ timeToLiveMinutes: 60 });
    const now = minutesAfter(NOON, 60);
    const next = aStep({ position: 2, delayMinutes: 30 });
    const goesOn = { status: "active", position: 2, nextStepDue: minutesAfter(now, 30), hold: null };
    expect(stateAfter({ steps: [old, next] }, now)).toEqual(goesOn);
    expect(stateAfter({ steps: [old] }, now)).toMatchObject({ status: "completed", reason: "out_of_steps" });
  });

  it("that is held stays active at its step", () => {
    expect(stateAfter({ sequence: { active: false } })).toEqual({
      status: "active",
      position: 1,
      nextStepDue: minutesAfter(NOON, 15),
      hold: { reason: "sequence_inactive", since: NOON },
    });
  });

  it("of a booked lead completes at its step, at the instant of the decision", () => {
    expect(stateAfter({ lead: { isBooked: true } })).toEqual({
      status: "completed",
      position: 1,
      completedAt: NOON,
      reason: "meeting_booked",
    });
  });
});
