import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { decide } from "../../lib/domain/decide.ts";
import { nextState } from "../../lib/domain/next-state.ts";
import { anItem, aStep, type ItemParts, minutesAfter, NOON } from "./items.ts";

const evolved = (parts: ItemParts, now = NOON) => {
  const item = anItem(parts);
  return nextState(item, decide(item, now), now);
};

describe("nextState", () => {
  it("makes the next step due its delay after the previous step was claimed", () => {
    expect(evolved({})).toEqual({
      status: "active",
      position: 2,
      nextStepDue: minutesAfter(NOON, 3 * 24 * 60),
      hold: null,
    });
  });

  it("skips gaps between positions", () => {
    expect(evolved({ steps: [aStep(), aStep({ position: 7 })] })).toMatchObject({ status: "active", position: 7 });
  });

  it("never makes two steps due in one run, even without a delay", () => {
    const state = evolved({ steps: [aStep(), aStep({ position: 2, delayMinutes: 0 })] });
    expect(state).toMatchObject({ position: 2, nextStepDue: new Date(NOON.getTime() + 1) });
  });

  it("completes an instance after its last step was claimed or skipped", () => {
    expect(evolved({ instance: { position: 2 } })).toMatchObject({
      status: "completed",
      reason: "out_of_steps",
      completedAt: NOON,
    });
    expect(evolved({ instance: { position: 2 }, lead: { email: null } })).toMatchObject({ status: "completed" });
  });

  it("keeps the local time of day across a clock change", () => {
    const steps = [aStep(), aStep({ position: 2, delayMinutes: 24 * 60 + 30 })];
    const noonBeforeSpringForward = new Date("2026-03-28T11:00:00Z");
    expect(evolved({ steps }, noonBeforeSpringForward)).toMatchObject({
      nextStepDue: new Date("2026-03-29T10:30:00Z"),
    });
    const noonBeforeFallBack = new Date("2026-10-24T10:00:00Z");
    expect(evolved({ steps }, noonBeforeFallBack)).toMatchObject({ nextStepDue: new Date("2026-10-25T11:30:00Z") });
  });

  it("counts less than a day as elapsed time, even across the change", () => {
    const steps = [aStep(), aStep({ position: 2, delayMinutes: 23 * 60 })];
    const now = new Date("2026-03-28T12:00:00Z");
    expect(evolved({ steps }, now)).toMatchObject({ nextStepDue: minutesAfter(now, 23 * 60) });
  });

  it("keeps the first due time of the step through any number of holds", () => {
    const held = { workspace: { pausedAt: NOON } };
    expect(evolved({ ...held })).toMatchObject({ position: 1, hold: { reason: "workspace_paused", since: NOON } });
    const again = { nextStepDue: minutesAfter(NOON, 15), heldSince: NOON };
    expect(evolved({ ...held, instance: again }, minutesAfter(NOON, 15))).toMatchObject({
      nextStepDue: minutesAfter(NOON, 30),
      hold: { since: NOON },
    });
  });

  it("keeps the step of an instance that pauses or awaits approval", () => {
    expect(evolved({ lead: { automationEnabled: false } })).toEqual({
      status: "paused",
      position: 1,
      reason: "manual",
      recheckAt: minutesAfter(NOON, 24 * 60),
    });
    expect(evolved({ steps: [aStep({ needsApproval: true })] })).toMatchObject({
      status: "paused",
      reason: "awaiting_approval",
    });
  });

  it("never moves back, and an active instance is due later than now", () => {
    const parts = fc.record({
      position: fc.integer({ min: 1, max: 5 }),
      delays: fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 4 }),
      email: fc.constantFrom("ada@example.com", null),
      paused: fc.boolean(),
    });
    fc.assert(
      fc.property(parts, ({ position, delays, email, paused }) => {
        const steps = delays.map((delayMinutes, index) => aStep({ position: index + 1, delayMinutes }));
        const state = evolved({
          steps,
          instance: { position },
          lead: { email },
          workspace: { pausedAt: paused ? NOON : null },
        });
        expect(state.position).toBeGreaterThanOrEqual(position);
        if (state.status === "active") expect(state.nextStepDue > NOON).toBe(true);
      }),
    );
  });
});
