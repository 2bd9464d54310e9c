import { type Decision, holdsEndedBy } from "../domain/decision.ts";
import { CHANNELS, type Channel } from "../domain/labels.ts";
import type { OutgoingTouch } from "./channel-ports.ts";
import type { ClaimedPlan, ClosedChannel, DueCandidate, Plan } from "./claim-ports.ts";
import type { ClaimedTouches } from "./delivery-ports.ts";
import type { LeftDue, Turn } from "./fair-share.ts";
import { planBatch, type Room } from "./plan.ts";
import { type RunContext, sendsItself } from "./step.ts";
import { PROBLEMS_REPORTED, type ReportedProblem, type SampleDecision, type SendDueReport } from "./step-reports.ts";

/** The result of a claim. Room is reserved for the touches to send. */
export interface ClaimedTurn {
  readonly candidates: readonly DueCandidate[];
  readonly leftDue: LeftDue;
  readonly claimed: readonly ClaimedPlan[];
  readonly toSend: ReadonlyMap<Channel, ClaimedTouches>;
}

/** Claims one turn. Its workspaces share each channel's room equally; a step without room stays due. */
export async function claimTurn(context: RunContext, turn: Turn): Promise<ClaimedTurn> {
  const { now, store, rehearsal, claimedUntil, throughput } = context;
  const { workspaces, share } = turn;
  const query = { now, recheckAt: claimedUntil, workspaces, share, without: closedTo(context, turn) };
  let candidates: readonly DueCandidate[] = [];
  let leftDue: LeftDue = new Map();
  let reserved: ReadonlyMap<Channel, number> = new Map();
  let toSend: ClaimedTurn["toSend"] = new Map();
  try {
    const claimed = await store.claimDue(query, (found) => {
      candidates = found;
      const room = roomOf(context, turn);
      const planned = planBatch(found, now, room, rehearsal?.planned);
      leftDue = planned.leftDue;
      if (room) reserved = reserve(context, planned.plans);
      return planned.plans;
    });
    toSend = byChannel(claimed);
    return { candidates, leftDue, claimed, toSend };
  } finally {
    for (const [channel, touches] of reserved) {
      const kept = toSend.get(channel);
      throughput.release(channel, touches - (kept ? kept.started.length + kept.touchIds.length : 0));
    }
  }
}

/** Channels without room, and closed channels. */
function closedTo(context: RunContext, { open }: Turn): readonly ClosedChannel[] {
  if (!sendsItself(context)) return [];
  const full = CHANNELS.filter((channel) => !open.has(channel));
  return [...full.map((channel) => ({ channel, workspaceId: null })), ...context.health.closedScopes()];
}

/** The room of a turn; null if the run does not send its own claims. One group per channel starts with the claim. */
function roomOf(context: RunContext, { open, workspaces }: Turn): Room | null {
  if (!sendsItself(context)) return null;
  const { throughput, health, leftMs } = context;
  const left = leftMs();
  const channels = [...open].map(([channel, touches]) => {
    const claims = throughput.free(channel, left);
    const claimsPerWorkspace = Math.ceil(touches / workspaces.length);
    return [channel, { claims, claimsPerWorkspace, starts: throughput.adaptiveBatch(channel) }] as const;
  });
  return { channels: new Map(channels), closed: health.closedScopes() };
}

/** Planning is synchronous, so the room that it used is still free. */
function reserve({ throughput }: RunContext, plans: readonly Plan[]): ReadonlyMap<Channel, number> {
  const reserved = new Map<Channel, number>();
  for (const { touch } of plans) {
    if (touch?.status === "claimed") reserved.set(touch.channel, (reserved.get(touch.channel) ?? 0) + 1);
  }
  for (const [channel, touches] of reserved) throughput.reserve(channel, touches);
  return reserved;
}

function byChannel(claimed: readonly ClaimedPlan[]): ReadonlyMap<Channel, ClaimedTouches> {
  const touches = new Map<Channel, { readonly started: OutgoingTouch[]; readonly touchIds: string[] }>();
  for (const { plan, touchId, started } of claimed) {
    const { touch } = plan;
    if (touchId === null || touch?.status !== "claimed") continue;
    const ofChannel = touches.get(touch.channel) ?? { started: [], touchIds: [] };
    touches.set(touch.channel, ofChannel);
    if (started) ofChannel.started.push(started);
    else ofChannel.touchIds.push(touchId);
  }
  return touches;
}

const COUNTED_AS = {
  send: "claimed",
  awaitApproval: "awaitingApproval",
  hold: "held",
  pause: "paused",
  skip: "skipped",
  expire: "expired",
  complete: "completed",
} as const;

/** Counts a claimed plan in the report. */
export function tally(report: SendDueReport, { plan, touchId }: ClaimedPlan): void {
  const { touch, decision } = plan;
  const lost = touch !== null && touchId === null;
  const reason = lost ? "already_claimed" : decision.reason;
  report.due += 1;
  report[lost ? "skipped" : COUNTED_AS[decision.kind]] += 1;
  report.reasons[reason] = (report.reasons[reason] ?? 0) + 1;
  if (decision.kind === "hold" && decision.until) tallyHold(report, reason, decision.until.toISOString());
  addProblem(report.problems, plan, reason);
}

function tallyHold({ holds }: SendDueReport, reason: string, until: string): void {
  const hold = holds[reason] ?? { steps: 0, earliest: until, latest: until };
  holds[reason] = {
    steps: hold.steps + 1,
    earliest: until < hold.earliest ? until : hold.earliest,
    latest: until > hold.latest ? until : hold.latest,
  };
}

export function sampleOf({ candidate: { instanceId, position }, decision }: Plan): SampleDecision {
  const { kind, reason, rule, until } = decision;
  return { instanceId, position, decision: kind, reason, rule, ...(until && { until: until.toISOString() }) };
}

const LONGEST_DETAIL = 300;

const PROBLEM_REASONS: ReadonlySet<string> = new Set<Decision["reason"] | "already_claimed">([
  ...holdsEndedBy("repair"),
  "missing_data",
  "out_of_steps",
  "already_claimed",
]);

/** Adds a row that needs attention. Once the list is full, it replaces a row of the workspace with the most. */
function addProblem(
  problems: ReportedProblem[],
  { candidate: { instanceId, workspaceId }, decision }: Plan,
  reason: string,
): void {
  if (!PROBLEM_REASONS.has(reason)) return;
  const place = problems.length < PROBLEMS_REPORTED ? problems.length : placeOf(problems, workspaceId);
  if (place === -1) return;
  const { detail } = decision;
  problems[place] = { instanceId, workspaceId, reason, ...(detail && { detail: onOneLine(detail) }) };
}

/** Index of the last row of the workspace with the most rows; -1 if replacing it would not even out the shares. */
function placeOf(problems: readonly ReportedProblem[], workspaceId: string): number {
  const counts = new Map<string, number>();
  for (const problem of problems) counts.set(problem.workspaceId, (counts.get(problem.workspaceId) ?? 0) + 1);
  const most = Math.max(...counts.values());
  if (most - 1 <= (counts.get(workspaceId) ?? 0)) return -1;
  return problems.findLastIndex((problem) => counts.get(problem.workspaceId) === most);
}

/** A detail may quote user input, which may be long and contain line breaks. */
function onOneLine(detail: string): string {
  const characters = Array.from(detail.slice(0, 2 * LONGEST_DETAIL).replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " "));
  return characters.length > LONGEST_DETAIL ? `${characters.slice(0, LONGEST_DETAIL).join("")}…` : characters.join("");
}
