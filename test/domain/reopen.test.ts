import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { type EndedInstance, goingOn, type PastTouch } from "../../lib/domain/next-state.ts";
import { aStep, NOON } from "./items.ts";

const STARTED = new Date(NOON.getTime() - 30 * 24 * 3_600_000);
const LENGTH = 5;

const touch = (position: number, stopped: boolean, doneAt = STARTED): PastTouch => ({ position, stopped, doneAt });
const sequence = {
  id: "chase",
  triggerOn: "no_response" as const,
  active: true,
  steps: Array.from({ length: LENGTH }, (_, index) => aStep({ position: index + 1, delayMinutes: 24 * 60 })),
};
const ended = (changes: Partial<EndedInstance>): EndedInstance => ({
  sequence,
  position: 1,
  startedAt: STARTED,
  touches: [],
  zone: "UTC",
  ...changes,
});

describe("reopening a sequence", () => {
  it.each<[string, Partial<EndedInstance>, number]>([
    ["at its position", { position: 3, touches: [touch(1, false), touch(2, false)] }, 3],
    ["at its position, after skipped steps", { position: 4, touches: [touch(1, false)] }, 4],
    ["at the step that the stop prevented", { position: 3, touches: [touch(1, false), touch(2, true)] }, 2],
    ["at the first of several such steps", { position: 3, touches: [touch(1, true), touch(2, true)] }, 1],
    ["after a later step that was sent", { position: 3, touches: [touch(1, true), touch(2, false)] }, 3],
    ["at the last step if it was stopped", { position: 5, touches: [touch(4, false), touch(5, true)] }, 5],
  ])("continues %s", (_, changes, position) => {
    expect(goingOn(ended(changes), NOON)).toMatchObject({ position });
  });

  it("has no next step if its last step was done", () => {
    expect(goingOn(ended({ position: LENGTH, touches: [touch(LENGTH, false)] }), NOON)).toBeNull();
  });

  it("waits its delay after the last finished step, and is due now if that has passed", () => {
    const at = (doneAt: Date) => goingOn(ended({ position: 2, touches: [touch(1, false, doneAt)] }), NOON)?.nextStepDue;
    expect(at(new Date(NOON.getTime() - 3_600_000))).toEqual(new Date(NOON.getTime() + 23 * 3_600_000));
    expect(at(STARTED)).toEqual(NOON);
  });

  it("is not blocked by an unknown time zone", () => {
    expect(goingOn(ended({ zone: "Mars/Olympus" }), NOON)).toEqual({ position: 1, nextStepDue: NOON });
  });

  const past = fc.record({
    position: fc.integer({ min: 1, max: LENGTH }),
    stopped: fc.boolean(),
    doneAt: fc.date({ noInvalidDate: true, min: STARTED, max: NOON }),
  });
  it("never repeats a finished step, is never due in the past, and skips no pending step", () => {
    fc.assert(
      fc.property(fc.array(past), fc.integer({ min: 1, max: LENGTH }), (touches, position) => {
        const onward = goingOn(ended({ touches, position }), NOON);
        const done = touches.flatMap((one) => (one.stopped ? [] : [one.position]));
        if (!onward) return done.includes(LENGTH);
        const mayBegin = Math.max(position, ...done.map((one) => one + 1));
        return done.every((one) => one < onward.position) && onward.nextStepDue >= NOON && onward.position <= mayBegin;
      }),
    );
  });
});
