import { describe, expect, it } from "@jest/globals";
import { planner } from "../../lib/run/plan.ts";
import type { DueCandidate, TouchSendFacts } from "../../lib/run/ports.ts";
import { rescheduled } from "../../lib/run/reschedule.ts";
import { ALWAYS_OPEN, anItem, aStep, type ItemParts, minutesAfter, NOON } from "../domain/items.ts";

const NEVER = { email: null, sms: null, webhook: null, task: null };

let number = 0;
function candidate(parts: ItemParts = {}, leadId = `lead ${number}`): DueCandidate {
  const instanceId = `instance ${number++}`;
  const item = anItem({
    ...parts,
    lead: { ...parts.lead, id: leadId },
    instance: { ...parts.instance, id: instanceId },
  });
  return {
    instanceId,
    workspaceId: item.workspace.id,
    position: 1,
    nextStepDue: NOON,
    heldSince: null,
    read: { item },
  };
}

describe("the plans of one batch", () => {
  it("reach a lead once, by whichever sequence comes first; the next is held until later", () => {
    const plan = planner(NOON);
    expect(plan(candidate({}, "Ada")).decision).toMatchObject({ kind: "send" });
    const second = plan(candidate({ steps: [aStep({ channel: "sms" })] }, "Ada"));
    expect(second.decision).toMatchObject({ kind: "hold", reason: "too_soon", until: new Date(NOON.getTime() + 1) });
    expect(plan(candidate({}, "Eve")).decision).toMatchObject({ kind: "send" });
    expect(planner(NOON)(candidate({}, "Ada")).decision).toMatchObject({ kind: "send" });
  });

  it("use up the cap of a workspace together, and what waits for approval has its place too", () => {
    const plan = planner(NOON);
    const capped = (more: ItemParts = {}) => candidate({ ...more, workspace: { dailyCap: 3, dailyCapUsed: 1 } });
    const approval = { steps: [aStep({ needsApproval: true })] };
    const kinds = [plan(capped()), plan(capped(approval)), plan(capped()), plan(candidate())];
    expect(kinds.map(({ decision }) => decision.reason)).toEqual([
      "ready",
      "needs_approval",
      "daily_cap_reached",
      "ready",
    ]);
  });

  it("write down with a touch what its decision rests on", () => {
    const lastOutboundAt = minutesAfter(NOON, -3 * 24 * 60);
    const workspace = { timeZone: "UTC", sendWindow: { ...ALWAYS_OPEN, start: "09:00", end: "17:00" } };
    const steps = [aStep({ timeToLiveMinutes: 90 })];
    expect(planner(NOON)(candidate({ lead: { lastOutboundAt }, workspace, steps })).touch).toMatchObject({
      status: "claimed",
      outboundBefore: lastOutboundAt,
      sendUntil: new Date("2026-06-03T17:00:00Z"),
      expiresAt: minutesAfter(NOON, 90),
    });
  });

  it("hold for a day what cannot be read or decided on, and go on", () => {
    const plan = planner(NOON);
    const unreadable = plan({ ...candidate(), read: { fault: "lead: status: Invalid option" } });
    expect(unreadable.decision).toMatchObject({
      kind: "hold",
      reason: "unreadable_row",
      until: minutesAfter(NOON, 24 * 60),
    });
    const item = anItem();
    const broken = { ...item, sequence: { ...item.sequence, steps: [null] } } as unknown as typeof item;
    expect(plan({ ...candidate(), read: { item: broken } }).decision).toMatchObject({ reason: "decision_failed" });
    expect(plan(candidate()).decision.kind).toBe("send");
  });
});

describe("when a claimed touch may go, decided anew", () => {
  const facts = (more: Partial<TouchSendFacts> = {}, lastOutboundAt: Date | null = null): TouchSendFacts => ({
    touchId: "touch",
    switchedOff: false,
    snoozedUntil: null,
    triedLast: false,
    facts: {
      lead: { timeZone: "UTC", lastOutboundAt, lastTouchAt: { ...NEVER, email: lastOutboundAt } },
      workspace: {
        timeZone: "UTC",
        sendWindow: { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" },
        holidays: { country: null, region: null, ownDates: [] },
        gapMinutes: 60,
      },
      channel: "email",
    },
    ...more,
  });
  const decided = (given: TouchSendFacts, now = NOON) => rescheduled({ touchId: "touch", reason: "why" }, given, now);

  it("is at once where nothing stands against it, until the window shuts", () => {
    expect(decided(facts())).toEqual({
      touchId: "touch",
      reason: "why",
      nextAttemptAt: NOON,
      sendUntil: new Date("2026-06-03T17:00:00Z"),
      outboundBefore: null,
    });
  });

  it("is when the window opens again, when the snooze is over, when the channel has a new day", () => {
    expect(decided(facts(), new Date("2026-06-05T17:00:00Z")).nextAttemptAt).toEqual(new Date("2026-06-08T09:00:00Z"));
    const snoozed = facts({ snoozedUntil: new Date("2026-06-06T10:00:00Z") });
    expect(decided(snoozed).nextAttemptAt).toEqual(new Date("2026-06-08T09:00:00Z"));
    const reached = decided(facts({}, minutesAfter(NOON, -10)));
    expect(reached).toMatchObject({
      nextAttemptAt: new Date("2026-06-04T09:00:00Z"),
      outboundBefore: minutesAfter(NOON, -10),
    });
  });

  it("does not wait for the gap and the day of its own first attempt", () => {
    expect(decided(facts({ triedLast: true }, minutesAfter(NOON, -10))).nextAttemptAt).toBe(NOON);
  });

  it("is asked again soon where a person has switched something off, and in a day where no time can be found", () => {
    expect(decided(facts({ switchedOff: true }))).toMatchObject({
      nextAttemptAt: minutesAfter(NOON, 15),
      sendUntil: null,
    });
    const { facts: known } = facts();
    const nowhere = { ...known, lead: { ...known.lead, timeZone: "Mars/Olympus_Mons" } };
    expect(decided(facts({ facts: nowhere })).nextAttemptAt).toEqual(minutesAfter(NOON, 24 * 60));
  });
});
