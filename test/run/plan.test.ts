import { describe, expect, it } from "@jest/globals";
import type { DueCandidate, Plan } from "../../lib/run/claim-ports.ts";
import { type ChannelRoom, planBatch, type Room } from "../../lib/run/plan.ts";
import { anItem, aStep, type ItemParts, minutesAfter, NOON } from "../domain/items.ts";

const candidate = (read: DueCandidate["read"], over: Partial<DueCandidate> = {}): DueCandidate => ({
  instanceId: "instance",
  workspaceId: "workspace",
  position: 1,
  nextStepDue: NOON,
  heldSince: null,
  read,
  ...over,
});
const due = (parts: ItemParts): DueCandidate => candidate({ item: anItem(parts) });
/** A candidate with its own lead; only the workspace is shared. */
const dueFor = (id: string, parts: ItemParts = {}): DueCandidate => due({ ...parts, lead: { ...parts.lead, id } });
const planOf = (candidate: DueCandidate): Plan | undefined => planBatch([candidate], NOON).plans[0];
const reasonsOf = (candidates: readonly DueCandidate[]) =>
  planBatch(candidates, NOON).plans.map(({ decision }) => decision.reason);

const forApproval = { steps: [aStep({ needsApproval: true })] };
const inSms = { steps: [aStep({ channel: "sms" })] };

describe("the plan of a batch", () => {
  it("claims a touch for a step that is ready, and moves its instance on", () => {
    const plan = planOf(due({ lead: { lastOutboundAt: minutesAfter(NOON, -60) } }));
    expect(plan).toMatchObject({
      candidate: { instanceId: "instance" },
      state: { status: "active", position: 2, nextStepDue: minutesAfter(NOON, 3 * 24 * 60), hold: null },
      touch: { stepId: "step 1", channel: "email", status: "claimed", expectedOutboundAt: minutesAfter(NOON, -60) },
      decision: { kind: "send", reason: "ready", rule: "ready" },
    });
    expect(plan?.touch?.sendUntil).toEqual(new Date("2026-06-03T22:00Z"));
  });

  it("sets a touch that needs approval aside, without a send deadline", () => {
    expect(planOf(due(forApproval))).toMatchObject({
      state: { status: "paused", reason: "awaiting_approval" },
      touch: { status: "awaiting_approval", sendUntil: null },
    });
  });

  it.each<[string, ItemParts, string]>([
    ["held", { workspace: { pausedAt: NOON } }, "hold"],
    ["skipped", { lead: { email: null } }, "skip"],
    ["completed", { lead: { isBooked: true } }, "complete"],
  ])("has no touch for a step that is %s", (_, parts, kind) => {
    expect(planOf(due(parts))).toMatchObject({ touch: null, decision: { kind } });
  });
});

describe("within a batch", () => {
  it("holds a second instance of a lead as too soon on any channel, and sends that of another lead", () => {
    expect(reasonsOf([dueFor("ada"), dueFor("ada", inSms), dueFor("grace")])).toEqual(["ready", "too_soon", "ready"]);
  });

  it("the second instance is held for the gap of its workspace", () => {
    const workspace = { gapMinutes: 24 * 60 };
    const { plans } = planBatch([dueFor("ada", { workspace }), dueFor("ada", { ...inSms, workspace })], NOON);
    expect(plans[1]?.decision.until).toEqual(minutesAfter(NOON, 24 * 60));
  });

  it("the second instance on the same channel is held beyond the day of the lead", () => {
    const { plans } = planBatch([dueFor("ada"), dueFor("ada")], NOON);
    expect(plans[1]?.decision.until).toEqual(new Date("2026-06-03T22:00Z"));
  });

  it("counts a touch that awaits approval like one that is sent", () => {
    expect(reasonsOf([dueFor("ada", forApproval), dueFor("ada", inSms)])).toEqual(["needs_approval", "too_soon"]);
  });

  it("does not count a step that is not sent", () => {
    const workspace = { dailyCap: 1 };
    const skipped = dueFor("ada", { workspace, steps: [aStep({ condition: "linkedin_connected" })] });
    expect(reasonsOf([skipped, dueFor("ada", { workspace })])).toEqual(["condition_linkedin_connected", "ready"]);
  });

  it("counts earlier plans of the batch against the cap, besides its use so far", () => {
    const workspace = { dailyCap: 3, dailyCapUsed: 1 };
    const batch = ["ada", "grace", "edsger"].map((lead) => dueFor(lead, { workspace }));
    expect(reasonsOf(batch)).toEqual(["ready", "ready", "daily_cap_reached"]);
  });

  it("a touch that waits for approval counts for the cap", () => {
    const workspace = { dailyCap: 1 };
    const batch = [dueFor("ada", { ...forApproval, workspace }), dueFor("grace", { workspace })];
    expect(reasonsOf(batch)).toEqual(["needs_approval", "daily_cap_reached"]);
  });

  it("each workspace has its own cap", () => {
    const of = (id: string, lead: string) => dueFor(lead, { workspace: { id, dailyCap: 1 } });
    const batch = [of("north", "ada"), of("south", "grace"), of("north", "edsger"), of("south", "barbara")];
    expect(reasonsOf(batch)).toEqual(["ready", "ready", "daily_cap_reached", "daily_cap_reached"]);
  });

  it("does not count the plans of one batch for the next", () => {
    expect([reasonsOf([dueFor("ada")]), reasonsOf([dueFor("ada")])]).toEqual([["ready"], ["ready"]]);
  });

  it("the items themselves stay as they were read", () => {
    const [first, second] = [anItem(), anItem()];
    planBatch([candidate({ item: first }), candidate({ item: second })], NOON);
    expect([first, second]).toEqual([anItem(), anItem()]);
  });
});

describe("a broken row", () => {
  const held = { position: 4, nextStepDue: NOON, heldSince: minutesAfter(NOON, -90) };
  const until = minutesAfter(NOON, 24 * 60);

  it("that does not parse is held for a day with its fault, at its position, since it was first due", () => {
    const broken = candidate({ fault: "steps.0.channel: pigeon" }, held);
    expect(planOf(broken)).toEqual({
      candidate: broken,
      state: {
        status: "active",
        position: 4,
        nextStepDue: until,
        hold: { reason: "unreadable_row", since: held.heldSince },
      },
      touch: null,
      starts: false,
      decision: {
        kind: "hold",
        reason: "unreadable_row",
        rule: "unreadable_row",
        detail: "steps.0.channel: pigeon",
        until,
      },
    });
  });

  it("that was never held before is held since it was due", () => {
    expect(planOf(candidate({ fault: "broken" }))?.state).toMatchObject({ hold: { since: NOON } });
  });

  it("is held for a day with the error if deciding throws", () => {
    const steps = [aStep(), aStep({ position: 2, delayMinutes: 1e15 })];
    const plan = planOf(due({ steps }));
    expect(plan).toMatchObject({ touch: null, state: { status: "active", nextStepDue: until } });
    expect(plan?.decision).toMatchObject({
      kind: "hold",
      reason: "decision_failed",
      detail: expect.stringMatching(/\w/),
    });
  });

  it("does not stop the rows after it, and does not count for them", () => {
    const workspace = { dailyCap: 1 };
    const batch = [candidate({ fault: "broken" }), dueFor("ada", { workspace }), dueFor("grace", { workspace })];
    expect(reasonsOf(batch)).toEqual(["unreadable_row", "ready", "daily_cap_reached"]);
  });
});

describe("the room of a batch", () => {
  const roomFor = (email: ChannelRoom, closed: Room["closed"] = []): Room => ({
    channels: new Map([["email", email]]),
    closed,
  });
  const wide = { claims: 9, claimsPerWorkspace: 9, starts: 9 };
  const planned = (candidates: readonly DueCandidate[], room: Room) => {
    const { plans, leftDue } = planBatch(candidates, NOON, room);
    const indexOf = (candidate: DueCandidate) => candidates.indexOf(candidate);
    return { started: plans.map(({ starts }) => starts), leftDue: [...leftDue.keys()].map(indexOf) };
  };
  const leads = ["ada", "grace", "edsger"].map((id) => dueFor(id));

  it("leaves steps beyond the room of their channel due, and they count for no cap", () => {
    expect(planned(leads, roomFor({ ...wide, claims: 2 }))).toEqual({ started: [true, true], leftDue: [2] });
    expect(planned([dueFor("ada", inSms)], roomFor(wide))).toEqual({ started: [], leftDue: [0] });
  });

  it("limits each workspace to its share", () => {
    const shared = [...leads, { ...dueFor("barbara"), workspaceId: "another" }];
    expect(planned(shared, roomFor({ ...wide, claimsPerWorkspace: 1 })).leftDue).toEqual([1, 2]);
  });

  it("leaves steps on a closed channel due, for all workspaces or for one", () => {
    const closedFor = (workspaceId: string | null) => roomFor(wide, [{ channel: "email", workspaceId }]);
    expect(planned(leads, closedFor(null)).leftDue).toEqual([0, 1, 2]);
    expect(planned(leads, closedFor("another")).leftDue).toEqual([]);
    expect(planned(leads, closedFor("workspace")).leftDue).toEqual([0, 1, 2]);
  });

  it("starts one group per channel, one touch per lead, and no touch of a shared address", () => {
    expect(planned(leads, roomFor({ ...wide, starts: 1 })).started).toEqual([true, false, false]);
    const twin = dueFor("ada", { lead: { twinTouchAt: { email: null, phone: null } } });
    expect(planned([twin], roomFor(wide)).started).toEqual([false]);
  });

  it("starts no touch without room, and none that awaits approval", () => {
    expect(planBatch(leads, NOON).plans.map(({ starts }) => starts)).toEqual([false, false, false]);
    expect(planned([dueFor("ada", forApproval)], roomFor(wide)).started).toEqual([false]);
  });
});
