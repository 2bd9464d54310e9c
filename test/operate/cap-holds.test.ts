import { expect, it } from "@jest/globals";
import * as fc from "fast-check";
import type { AheadForCap, DueItem } from "../../lib/domain/due-item.ts";
import { CapHolds } from "../../lib/operate/cap-holds.ts";
import { planBatch } from "../../lib/run/plan.ts";
import { anItem, aStep } from "../domain/items.ts";

const MINUTE = 60_000;
const DAY = 24 * 60;
/** A Friday before the change to summer time. */
const FIRST = new Date("2027-03-26T11:00:00Z");
const CAP = 4;
const after = (minutes: number) => new Date(+FIRST + minutes * MINUTE);

const someStep = fc.record({
  timeZone: fc.constantFrom(null, "America/New_York"),
  timeToLiveMinutes: fc.constantFrom(null, DAY, 3 * DAY),
  waitedMinutes: fc.integer({ min: 0, max: 2 * DAY }),
  /** Minutes after the first decision at which another sequence reaches the lead. */
  reachedAfter: fc.option(fc.integer({ min: 0, max: 4 * DAY })),
  /** In how many minutes the older steps come back that have the places before it. */
  aheadFor: fc.constantFrom(null, 8 * 60),
});
type SomeStep = typeof someStep extends fc.Arbitrary<infer Step> ? Step : never;

function planOf(step: SomeStep, now: Date, cap: { readonly used: number; readonly ahead?: AheadForCap | undefined }) {
  const { timeZone, timeToLiveMinutes, waitedMinutes, reachedAfter } = step;
  const isReached = reachedAfter !== null && after(reachedAfter) < now;
  const heldSince = after(-waitedMinutes);
  const item: DueItem = anItem({
    lead: { timeZone, lastOutboundAt: isReached ? after(reachedAfter) : null },
    steps: [aStep({ timeToLiveMinutes })],
    instance: { nextStepDue: now, heldSince, ahead: cap.ahead },
    workspace: {
      timeZone: "Europe/Berlin",
      sendWindow: { days: [1, 2, 3, 4, 5], start: "08:00", end: "20:00" },
      gapMinutes: DAY,
      dailyCap: CAP,
      dailyCapUsed: cap.used,
    },
  });
  const candidate = { instanceId: "id", workspaceId: "id", position: 1, nextStepDue: now, heldSince, read: { item } };
  const [plan] = planBatch([candidate], now).plans;
  if (!plan) throw new Error("nothing was planned");
  return plan;
}

/** Two places are left of the cap for steps that have older ones ahead, none for the others. */
function capFor({ aheadFor }: SomeStep, now: Date) {
  if (aheadFor === null) return { used: CAP, waitsFor: Number.POSITIVE_INFINITY };
  const until = new Date(+now + aheadFor * MINUTE);
  return { used: CAP - 2, ahead: { steps: 2, until }, waitsFor: until.getTime() };
}

const reachedAt = ({ reachedAfter }: SomeStep, now: Date): number =>
  reachedAfter !== null && after(reachedAfter) < now ? after(reachedAfter).getTime() : Number.NaN;

it("holds steps again until when a decision would hold each", () => {
  let shared = 0;
  const holdsAgain = (steps: readonly SomeStep[], now: Date) => {
    const holds = new CapHolds(steps.length);
    for (const [index, step] of steps.entries()) {
      holds.note(index, planOf(step, FIRST, { used: CAP }), FIRST, Number.POSITIVE_INFINITY);
    }
    for (const [index, step] of steps.entries()) {
      const cap = capFor(step, now);
      const plan = planOf(step, now, cap);
      const until = holds.heldAgainUntil(index, now, cap.waitsFor, reachedAt(step, now));
      if (until) expect(plan.decision).toMatchObject({ kind: "hold", reason: "daily_cap_reached", until });
      else holds.note(index, plan, now, cap.waitsFor);
      shared += until ? 1 : 0;
    }
  };
  fc.assert(
    fc.property(
      fc.array(someStep, { minLength: 5, maxLength: 30 }),
      fc.integer({ min: 1, max: 4 * DAY }),
      (steps, minutes) => holdsAgain(steps, after(minutes)),
    ),
    { numRuns: 200 },
  );
  expect(shared).toBeGreaterThan(20);
});
