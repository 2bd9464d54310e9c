import { expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { capDayEnd } from "../../lib/domain/send-times.ts";
import { ClockCap } from "../../lib/operate/clock-cap.ts";
import type { Walking } from "../../lib/operate/walking.ts";
import { anItem } from "../domain/items.ts";

const MINUTE = 60_000;
const FROM = new Date("2027-03-27T10:30:00Z");
const UNTIL = new Date(+FROM + 2 * 24 * 60 * MINUTE);
const workspace = { ...anItem().workspace, timeZone: "Europe/Berlin", dailyCap: 4, dailyCapUsed: 1 };
const item = { ...anItem(), workspace };

const held = (id: string, since: number, comesBack: number, holdReason = "too_soon"): Walking => ({
  id,
  item,
  status: "active",
  pausedReason: null,
  holdReason,
  rechecks: false,
  approvalExpiresAt: null,
  position: 1,
  nextStepDue: new Date(+FROM + comesBack * MINUTE),
  heldSince: new Date(+FROM + since * MINUTE + Number(id)),
});

const minutes = fc.integer({ min: 0, max: 4 * 24 * 60 });
const someHeld = fc.tuple(
  fc.nat(40),
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
        const cap = new ClockCap(FROM, UNTIL);
        const latest = new Map<string, Walking>();
        for (const [id, ...note] of notes) {
          const walking = held(String(id), ...note);
          latest.set(walking.id, walking);
          cap.follow(walking);
        }
        const now = new Date(+FROM + at * MINUTE);
        for (let count = 0; count < used; count += 1) cap.use(workspace, now);
        const left = workspace.dailyCap - cap.of(workspace, now).dailyCapUsed;
        const end = capDayEnd(workspace.timeZone, now);
        const queue = [...latest.values()]
          .filter(({ holdReason, nextStepDue }) => holdReason === "too_soon" && nextStepDue > now && nextStepDue < end)
          .toSorted((one, other) => Number(one.heldSince) - Number(other.heldSince))
          .slice(0, left);
        const decided = held("1000", since, 0);
        const older = queue.filter(({ heldSince }) => Number(heldSince) < Number(decided.heldSince));
        const until = new Date(Math.max(...older.map(({ nextStepDue }) => +nextStepDue)));
        expect(cap.queueAt(workspace, now)(decided)).toEqual(
          older.length > 0 ? { steps: older.length, until } : undefined,
        );
      },
    ),
  );
});

it("counts what is used on each day, from what the workspace has used today, and nothing without a cap", () => {
  const cap = new ClockCap(FROM, UNTIL);
  const tomorrow = new Date(+FROM + 24 * 60 * MINUTE);
  cap.use(workspace, FROM);
  cap.use(workspace, tomorrow);
  expect(cap.of(workspace, FROM).dailyCapUsed).toBe(2);
  expect(cap.of(workspace, tomorrow).dailyCapUsed).toBe(1);
  const uncapped = { ...workspace, dailyCap: null };
  cap.use(uncapped, FROM);
  expect(cap.of(uncapped, FROM)).toBe(uncapped);
});
