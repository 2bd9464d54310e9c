import type { Step, WorkspaceFacts } from "./due-item.ts";
import type { AddressKind, PausedReason, StepCondition } from "./labels.ts";
import type { Offer } from "./offered-slots.ts";
import type { Message } from "./templates.ts";
import type { ZoneUsed } from "./time-zone.ts";

/** A status that bars contact, in snake case. */
export type StatusBar = "blacklisted" | "unqualified" | "not_interested";
/** Why a lead may not be contacted in any sequence. */
export type ContactBar = "opted_out" | "complained" | StatusBar;
export type CompletedReason = "meeting_booked" | ContactBar | "out_of_steps";

/** Why a step is held, and what ends the hold: time, a change such as a switch, or the repair of a row by a person. */
const HOLDS = {
  workspace_paused: "change",
  sequence_inactive: "change",
  invalid_time_zone: "repair",
  invalid_send_times: "repair",
  invalid_sender: "repair",
  no_opening: "repair",
  outside_send_window: "time",
  closed_day: "time",
  holiday: "time",
  too_soon: "time",
  channel_used_today: "time",
  daily_cap_reached: "time",
  unknown_condition: "repair",
  invalid_template: "repair",
  no_free_slots: "change",
  availability_outdated: "change",
  unreadable_row: "repair",
  decision_failed: "repair",
} as const;
export type HoldReason = keyof typeof HOLDS;
type HoldEnd = (typeof HOLDS)[HoldReason];

/** The reasons of holds that end in one of these ways. */
export const holdsEndedBy = (...ends: readonly HoldEnd[]): readonly HoldReason[] =>
  (Object.keys(HOLDS) as HoldReason[]).filter((reason) => ends.includes(HOLDS[reason]));

export type SkipReason = `condition_${StepCondition}` | `missing_${AddressKind}` | "undeliverable_address";

/** The decision on a due step, with its reason and inputs. */
export type Decision = Verdict & {
  /** The rule that decided. */
  readonly rule: string;
  /** The rules that were evaluated before it and did not apply, in order. */
  readonly passed: readonly string[];
  readonly zone: ZoneUsed;
  readonly inputs: DecisionInputs;
};

/** The inputs of the time rules. */
interface DecisionInputs {
  readonly sendWindow: WorkspaceFacts["sendWindow"];
  readonly gapMinutes: number;
  readonly lastOutboundAt: Date | null;
  /** On the step's channel; also null if no step is left. */
  readonly lastTouchOnChannelAt: Date | null;
  readonly dailyCap: number | null;
  readonly dailyCapUsed: number;
}

export type Verdict =
  | {
      readonly kind: "send";
      readonly reason: "ready";
      readonly step: Step;
      readonly message: Message;
      /** The times that the message offers; absent if it offers none. */
      readonly offer?: Offer;
      /** The end of the opening. After it, the step must be decided again. */
      readonly sendUntil: Date;
      /** The end of the step's time to live; null means no limit. */
      readonly expiresAt: Date | null;
    }
  | {
      readonly kind: "awaitApproval";
      readonly reason: "needs_approval";
      readonly step: Step;
      readonly message: Message;
      readonly offer?: Offer;
      readonly expiresAt: Date | null;
    }
  | { readonly kind: "hold"; readonly reason: HoldReason; readonly until: Date; readonly detail?: string }
  | {
      readonly kind: "pause";
      readonly reason: PausedReason;
      readonly recheckAt: Date | null;
      readonly detail?: string;
    }
  | { readonly kind: "skip"; readonly reason: SkipReason }
  | { readonly kind: "expire"; readonly reason: "time_to_live_over" }
  | { readonly kind: "complete"; readonly reason: CompletedReason };
