import { expect, it } from "@jest/globals";
import * as fc from "fast-check";
import type { WorkspaceFacts } from "../../lib/domain/due-item.ts";
import { capDayEnd } from "../../lib/domain/send-times.ts";
import { ClockCap } from "../../lib/operate/clock-cap.ts";
import type { Walk } from "../../lib/operate/walking.ts";
import { anItem } from "../domain/items.ts";

const MINUTE = 60_000;
const FROM = new Date("2027-03-27T10:30:00Z");
const UNTIL = new Date(+FROM + 2 * 24 * 60 * MINUTE);
const workspace = { ...anItem().workspace, timeZone: "Europe/Berlin", dailyCap: 4, dailyCapUsed: 1 };
const INSTANCES = 41;
const capOf = (facts: WorkspaceFacts) => new ClockCap(facts, FROM, UNTIL, INSTANCES);

const held = (index: number, since: number, comesBack: number, holdReason = "too_soon"): Walk => ({
  status: "active",
  pausedReason: null,
  holdReason,
  approvalExpiresAt: null,
  position: 1,
  nextStepDue: new Date(+FROM + comesBack * MINUTE),
  heldSince: new Date(+FROM + since * MINUTE + index),
});

const minutes = fc.integer({ min: 0, max: 4 * 24 * 60 });
const someHeld = fc.tuple(
  fc.nat(INSTANCES - 1),
  fc.integer({ min: -9_000, max: 0 }),
  minutes,
  fc.constantFrom("too_soon", "manual"),
);

it("counts, for a decided step, the older held steps that come back on the day of the cap, as a plain search does", () => {
  fc.assert(
    fc.property(
      fc.array(someHeld, { maxLength: 60 }),
      fc.integer({ min: 0, max: 2 * 24 * 60 - 1 }),
      fc.integer({ min: -9_000, max: 0 }),
      fc.nat(3),
      (notes, at, since, used) => {
        const cap = capOf(workspace);
        const latest = new Map<number, Walk>();
        for (const [index, ...note] of notes) {
          const walk = held(index, ...note);
          latest.set(index, walk);
          cap.follow(index, walk);
        }
        const now = new Date(+FROM + at * MINUTE);
        for (let count = 0; count < used; count += 1) cap.use(now);
        const left = workspace.dailyCap - cap.workspaceAt(now).dailyCapUsed;
        const end = capDayEnd(workspace.timeZone, now);
        const queue = [...latest.values()]
          .filter(({ holdReason, nextStepDue }) => holdReason === "too_soon" && nextStepDue > now && nextStepDue < end)
          .toSorted((one, other) => Number(one.heldSince) - Number(other.heldSince))
          .slice(0, left);
        const decided = held(1_000, since, 0);
        const older = queue.filter(({ heldSince }) => Number(heldSince) < Number(decided.heldSince));
        const until = new Date(Math.max(...older.map(({ nextStepDue }) => +nextStepDue)));
        expect(cap.queueAt(now)(decided)).toEqual(older.length > 0 ? { steps: older.length, until } : undefined);
      },
    ),
  );
});

it("counts what is used on each day, from what the workspace has used today, and nothing without a cap", () => {
  const cap = capOf(workspace);
  const tomorrow = new Date(+FROM + 24 * 60 * MINUTE);
  cap.use(FROM);
  cap.use(tomorrow);
  expect(cap.workspaceAt(FROM).dailyCapUsed).toBe(2);
  expect(cap.workspaceAt(tomorrow).dailyCapUsed).toBe(1);
  const uncapped = { ...workspace, dailyCap: null };
  const none = capOf(uncapped);
  none.use(FROM);
  expect(none.workspaceAt(FROM)).toBe(uncapped);
});
