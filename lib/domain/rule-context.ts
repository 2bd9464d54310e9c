import type { Opening } from "./calendar.ts";
import type { Verdict } from "./decision.ts";
import { type DueItem, type LeadFacts, type Step, stepFrom } from "./due-item.ts";
import { hasOffer, withOffer } from "./late-values.ts";
import { type MeetingPlace, type NoOffer, type Offer, offerOf } from "./offered-slots.ts";
import { once } from "./once.ts";
import { earliestSend, meetingHours, type SendFacts } from "./send-times.ts";
import { type Message, type Rendered, render } from "./templates.ts";
import { type ZoneUsed, zoneOrUtc, zoneUsed } from "./time-zone.ts";

/** A due item as the rules see it. Values that several rules share are computed lazily and once. */
export interface RuleContext extends DueItem {
  readonly now: Date;
  readonly zone: ZoneUsed;
  readonly step: Step | undefined;
  readonly rendered: () => Rendered;
  /** The times that the text offers, or why there are none. Null if it offers none, or they are assumed. */
  readonly offer: () => Offer | NoOffer | null;
  /** The earliest opening for the step. Throws RangeError for invalid send times. */
  readonly opening: () => Opening | null;
}

/** Returns a verdict if the rule applies, otherwise undefined. */
export type Evaluate = (given: RuleContext) => Verdict | undefined;

export function contextOf(item: DueItem, now: Date): RuleContext {
  const { lead, workspace, sequence, instance, slots } = item;
  const step = stepFrom(sequence, instance.position);
  const rendered = once(() => render(stepOf({ step }), lead, workspace));
  return {
    lead,
    workspace,
    sequence,
    instance,
    ...(slots && { slots }),
    now,
    step,
    zone: zoneUsed(lead, workspace),
    rendered,
    offer: once(() => {
      const text = rendered();
      return text.kind === "rendered" ? offerIn(text.message, item, now) : null;
    }),
    opening: once(() => earliestSend(factsOf({ lead, workspace, step }), now)),
  };
}

export const factsOf = (given: Pick<RuleContext, "lead" | "workspace" | "step">): SendFacts => ({
  lead: given.lead,
  workspace: given.workspace,
  channel: stepOf(given).channel,
});

export function stepOf({ step }: Pick<RuleContext, "step">): Step {
  if (!step) throw new Error("a rule that needs a step ran before the rule step_left");
  return step;
}

/** The message with the times that it offers. */
export function messageOf({ rendered, offer }: RuleContext): { readonly message: Message; readonly offer?: Offer } {
  const text = rendered();
  const times = offer();
  if (text.kind !== "rendered" || typeof times === "string")
    throw new Error("a message was needed before the rules template_complete and times_to_offer ran");
  return times ? { message: withOffer(text.message, times.text), offer: times } : { message: text.message };
}

/**
 * The times that a rendered message offers, or why there are none. Null if it offers none, or they are assumed. Keeps
 * those of the touch, if it has some already.
 */
export function offerIn(
  message: Message,
  { lead, workspace, slots }: Pick<DueItem, "lead" | "workspace" | "slots">,
  now: Date,
  touchId?: string,
): Offer | NoOffer | null {
  if (!hasOffer(message.body) || slots === "assumed") return null;
  if (!slots) return "availability_outdated";
  return offerOf(slots, meetingPlace(lead, workspace), now, touchId);
}

/** Where a lead and the people of the workspace meet. */
export const meetingPlace = (
  lead: Pick<LeadFacts, "timeZone">,
  workspace: Parameters<typeof meetingHours>[0],
): MeetingPlace => ({ hours: meetingHours(workspace), zone: zoneOrUtc(zoneUsed(lead, workspace).zone) });
