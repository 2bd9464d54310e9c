import { describe, expect, it } from "@jest/globals";
import { decide, RULES } from "../../lib/domain/decide.ts";
import { aLead, anItem, aStep, type ItemParts, minutesAfter, NOON } from "./items.ts";

type StepParts = Parameters<typeof aStep>[0];
type Obstacle = Omit<ItemParts, "steps" | "instance"> & {
  readonly step?: StepParts;
  readonly noSteps?: true;
  /** For a rule that depends on the instant alone: an earlier instant than `NOON`. */
  readonly now?: Date;
};

/** An obstacle for each rule, in order of priority; the last rule has none. */
const OBSTACLES: readonly (readonly [string, Obstacle])[] = [
  ["not_booked", { lead: { isBooked: true } }],
  ["may_be_contacted", { lead: { optedOutAt: NOON } }],
  ["step_left", { noSteps: true }],
  ["workspace_and_sequence_on", { workspace: { pausedAt: NOON } }],
  ["automation_on", { lead: { automationEnabled: false } }],
  ["no_reply_waiting", { lead: { lastInboundAt: minutesAfter(NOON, 1) } }],
  ["not_snoozed", { lead: { snoozedUntil: minutesAfter(NOON, 1) } }],
  ["send_times_known", { lead: { timeZone: "Mars/Olympus_Mons" } }],
  ["sender_known", { lead: { senderEmail: "nobody" } }],
  ["condition_true", { step: { condition: "linkedin_connected" } }],
  ["channel_reachable", { lead: { email: null } }],
  ["still_fresh", { step: { timeToLiveMinutes: 0 } }],
  ["window_open", { workspace: { sendWindow: { days: [1, 2, 3, 4, 5], start: "09:00", end: "10:00" } } }],
  ["gap_kept", { lead: { lastOutboundAt: NOON } }],
  ["channel_unused_today", { lead: { lastTouchAt: { ...aLead().lastTouchAt, email: NOON } } }],
  ["below_daily_cap", { workspace: { dailyCap: 0 } }],
  ["template_complete", { lead: { firstName: null } }],
  ["times_to_offer", { step: { body: "{{ slots }}" } }],
  ["approved_or_needs_none", { step: { needsApproval: true } }],
  ["ready", {}],
];

function decideWith(...obstacles: readonly Obstacle[]) {
  const now = obstacles.find((obstacle) => obstacle.now)?.now ?? NOON;
  const merged = <Key extends "lead" | "workspace" | "step">(key: Key) =>
    Object.assign({}, ...obstacles.map((obstacle) => obstacle[key])) as NonNullable<Obstacle[Key]>;
  const steps = obstacles.some(({ noSteps }) => noSteps) ? [] : [aStep(merged("step"))];
  const instance = { nextStepDue: now };
  return decide(anItem({ instance, lead: merged("lead"), workspace: merged("workspace"), steps }), now);
}

describe("the table of rules", () => {
  it("has an obstacle in this test for each rule, in the same order", () => {
    expect(OBSTACLES.map(([rule]) => rule)).toEqual(RULES.map(({ name }) => name));
  });

  it.each(OBSTACLES)("%s decides if only it applies, after all earlier rules passed", (rule, obstacle) => {
    const decision = decideWith(obstacle);
    expect(decision.rule).toBe(rule);
    expect(decision.passed).toEqual(OBSTACLES.slice(0, decision.passed.length).map(([name]) => name));
    expect(OBSTACLES[decision.passed.length]?.[0]).toBe(rule);
  });

  const pairs = OBSTACLES.flatMap(([stronger, first], index) =>
    OBSTACLES.slice(index + 1).map(([weaker, second]) => ({ stronger, weaker, decision: decideWith(first, second) })),
  );

  it.each(pairs)("$stronger wins over $weaker if both apply", ({ stronger, decision }) => {
    expect(decision.rule).toBe(stronger);
  });
});
