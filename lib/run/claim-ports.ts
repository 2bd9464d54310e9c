import type { Decision } from "../domain/decision.ts";
import type { DueItem } from "../domain/due-item.ts";
import type { Channel } from "../domain/labels.ts";
import type { InstanceState } from "../domain/next-state.ts";
import type { Offer } from "../domain/offered-slots.ts";
import type { Message } from "../domain/templates.ts";
import type { OutgoingTouch } from "./channel-ports.ts";

/** Selects the rows of a batch that are due at `now`. */
export interface BatchQuery {
  readonly now: Date;
  readonly limit: number;
  /** Null: every workspace. */
  readonly workspaceId: string | null;
}

/** Claims due steps. */
export interface ClaimStore {
  /** Workspaces with due steps, oldest due first. */
  findDueWorkspaces(query: BatchQuery): Promise<readonly DueWorkspace[]>;
  /**
   * In one transaction: locks due instances, passes all of them to `plan` once, and writes the returned plans. An
   * instance without a plan stays due. `plan` is not called if nothing is due.
   */
  claimDue(query: ClaimQuery, plan: PlanCandidates): Promise<readonly ClaimedPlan[]>;
  countDue(query: BatchQuery): Promise<number>;
}

export interface DueWorkspace {
  readonly id: string;
  /** True if the workspace has a daily cap. */
  readonly capped: boolean;
  readonly oldestDue: Date;
}

export interface ClaimQuery {
  readonly now: Date;
  /** When another run may take up unsent touches of this claim. */
  readonly recheckAt: Date;
  /** Skips steps of these channels, for all workspaces or for one; they stay due. */
  readonly without?: readonly ClosedChannel[];
  /** Most rows per workspace. */
  readonly share: number;
  readonly workspaces: readonly ClaimedFrom[];
}

/** A workspace with the last instance that this run claimed from it. */
export interface ClaimedFrom extends Pick<DueWorkspace, "id" | "capped"> {
  readonly after: Pick<DueCandidate, "nextStepDue" | "instanceId"> | null;
}

/** A due instance, or the reason why its row does not parse. */
export interface DueCandidate {
  readonly instanceId: string;
  readonly workspaceId: string;
  readonly position: number;
  readonly nextStepDue: Date;
  readonly heldSince: Date | null;
  readonly read: { readonly item: DueItem } | { readonly fault: string };
}

export type PlanCandidates = (candidates: readonly DueCandidate[]) => readonly Plan[];

/** The decision on a candidate, and what to write. */
export interface Plan {
  readonly candidate: DueCandidate;
  readonly decision: ReportedDecision;
  /** The next state of the instance. */
  readonly state: InstanceState;
  readonly touch: NewTouch | null;
  /** True if the touch becomes `sending` with its claim, unless its workspace or sequence was switched off since. */
  readonly starts: boolean;
}

/** The part of a decision that the report shows. */
type ReportedDecision = Pick<Decision, "kind" | "reason" | "rule"> & {
  readonly detail?: string;
  readonly until?: Date;
};

export interface NewTouch {
  readonly status: "claimed" | "awaiting_approval";
  readonly stepId: string;
  readonly channel: Channel;
  readonly message: Message;
  /** The times that the message offers; absent if it offers none. */
  readonly offer?: Offer;
  /** The lead's last contact as the decision saw it. The touch waits if another was sent since. */
  readonly expectedOutboundAt: Date | null;
  /** Until when it may be sent without a new decision; null: it needs one. */
  readonly sendUntil: Date | null;
  readonly expiresAt: Date | null;
}

/** A plan that was written. */
export interface ClaimedPlan {
  readonly plan: Plan;
  /** Null if the plan has no touch, or the step was claimed before. */
  readonly touchId: string | null;
  /** The touch if it is already `sending`. */
  readonly started: OutgoingTouch | null;
}

export interface ClosedChannel {
  readonly channel: Channel;
  /** Null: every workspace. */
  readonly workspaceId: string | null;
}
