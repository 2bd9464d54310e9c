import { CHANNEL_REGISTRY } from "../domain/channels.ts";
import { REPEATABLE_CHANNELS } from "../domain/labels.ts";
import type { ChannelHealth } from "./channel-health.ts";
import type { Channels, OutgoingTouch, SendOutcome } from "./channel-ports.ts";
import {
  CHANNEL_CLOSED,
  type ClaimedTouches,
  type DeliveryStore,
  type EndedTouch,
  OFFER_UNCHECKED,
  type Rescheduled,
  type TouchSendFacts,
  type UnreadableTouch,
} from "./delivery-ports.ts";
import type { Log } from "./ports.ts";
import { redactError } from "./redact-error.ts";
import { broken, rescheduled, settlementOf, TOUCH_FAILURES_AT_MOST } from "./settlement.ts";
import type { DeliveryReport } from "./step-reports.ts";
import type { BatchSize } from "./throughput.ts";

/** Dependencies of delivery, shared by a run and the consumer of the delivery queue. */
export interface DeliveryContext {
  /** Start of the invocation, read once from the database's clock. */
  readonly now: Date;
  /** When this invocation has certainly ended; its unsettled touches are then free. */
  readonly leaseUntil: Date;
  readonly store: DeliveryStore;
  /** Each with its own concurrency limit. */
  readonly channels: Channels;
  /** Updated by `channels`. */
  readonly health: ChannelHealth;
  readonly adaptiveBatch: BatchSize;
  /** Milliseconds until this invocation is cut off. */
  readonly remainingMs: () => number;
  /** True once no new work may be started. */
  readonly stopping: () => boolean;
  readonly log: Log;
}

/**
 * Sends claimed touches in groups: check and mark `sending`, call the providers, settle. No transaction is open during
 * a provider call. The counts balance at every moment, even after a failure: touches not started count as `retrying`,
 * touches not settled count as `unknown`.
 */
export async function deliver(
  context: DeliveryContext,
  { started, touchIds }: ClaimedTouches,
  report: DeliveryReport,
): Promise<void> {
  report.unknown += started.length;
  report.retrying += touchIds.length;
  await sendGroup(context, started, report);
  const first = await deliverInGroups(context, touchIds, report);
  const second = await deliverInGroups(context, await lookAgain(context, first.waiting, report), report);
  // Offered times are checked last, also after another reason to wait.
  const unchecked = second.waiting.filter(isUnchecked);
  const third = await deliverInGroups(context, await lookAgain(context, unchecked, report), report);
  const waiting = [...withoutAll(second.waiting, unchecked), ...third.waiting];
  const left = [...first.left, ...second.left, ...third.left, ...idsOf(waiting)];
  if (left.length > 0) await context.store.release(left, context.now);
}

/** Touches that a pass neither started nor ended. */
interface Passed {
  readonly waiting: EndedTouch[];
  readonly left: string[];
}

async function deliverInGroups(
  context: DeliveryContext,
  touchIds: readonly string[],
  report: DeliveryReport,
): Promise<Passed> {
  const passed: Passed = { waiting: [], left: [] };
  let first = 0;
  while (first < touchIds.length && !context.stopping()) {
    const group = touchIds.slice(first, first + context.adaptiveBatch.current);
    first += group.length;
    await deliverGroup(context, group, report, passed);
  }
  passed.left.push(...touchIds.slice(first));
  return passed;
}

async function deliverGroup(
  context: DeliveryContext,
  touchIds: readonly string[],
  report: DeliveryReport,
  passed: Passed,
): Promise<void> {
  const { now, leaseUntil, store, health, log } = context;
  const lease = { now, until: leaseUntil, closed: health.closedScopes() };
  const { started, cancelled, expired, unknown, waiting } = await store.startSending(touchIds, lease);
  const ended = [...cancelled, ...expired, ...unknown];
  report.retrying -= started.length + ended.length;
  report.cancelled += cancelled.length;
  report.expired += expired.length;
  report.unknown += unknown.length + started.length;
  await sendGroup(context, inOrder(started, touchIds), report);
  for (const { touchId, reason } of ended) log.info("touch.not_started", { touchId, reason });
  const toDecide = waiting.filter(({ reason }) => reason !== CHANNEL_CLOSED);
  passed.waiting.push(...toDecide);
  passed.left.push(...withoutAll(touchIds, [...started.map(({ id }) => id), ...idsOf(ended), ...idsOf(toDecide)]));
}

/** Sends touches that are `sending`; they count as `unknown` until they are settled. */
async function sendGroup(
  context: DeliveryContext,
  touches: readonly OutgoingTouch[],
  report: DeliveryReport,
): Promise<void> {
  if (touches.length === 0) return;
  const { now, store, health, adaptiveBatch, remainingMs, log } = context;
  const failuresAtMost = TOUCH_FAILURES_AT_MOST;
  const startedMs = remainingMs();
  const ready = await withDetails(store, touches);
  const outcomes = await Promise.all(ready.map(async (touch) => ({ touch, outcome: await send(context, touch) })));
  // Settle the group together: the answers to other touches show whether the channel is at fault.
  const settlements = outcomes.map(({ touch, outcome }) => {
    const othersAnswered = outcome.kind === "channel_down" && health.answeredAnother(touch, outcome);
    return settlementOf(touch, outcome, { now, failuresAtMost, othersAnswered, jitter: Math.random() });
  });
  await store.settle(settlements, now);
  adaptiveBatch.sent(touches.length, startedMs - remainingMs());
  report.unknown -= touches.length;
  for (const settlement of settlements) {
    report[settlement.status === "retry" ? "retrying" : settlement.status] += 1;
    if (settlement.status === "sent") continue;
    const { id: touchId, ...fields } = settlement;
    log.info("touch.not_sent", { touchId, ...fields });
  }
}

/** Reads the details of a whole group at once, and only for channels that need them. */
async function withDetails(store: DeliveryStore, touches: readonly OutgoingTouch[]): Promise<readonly OutgoingTouch[]> {
  const needing = touches.filter(({ channel }) => CHANNEL_REGISTRY[channel].needsDetails);
  if (needing.length === 0) return touches;
  const read = await store.readDetails(needing.map(({ id }) => id));
  return touches.map((touch) => {
    const details = read.get(touch.id);
    return details ? { ...touch, details } : touch;
  });
}

/** Restores the order of `touchIds`, in which touches that hit a channel fault come last. */
function inOrder(touches: readonly OutgoingTouch[], touchIds: readonly string[]): readonly OutgoingTouch[] {
  const places = new Map(touchIds.map((id, place) => [id, place]));
  return touches.toSorted((one, other) => (places.get(one.id) ?? 0) - (places.get(other.id) ?? 0));
}

/** A channel that throws has a bug, so the outcome is `unknown`; an idempotent channel retries instead. */
async function send({ channels, log }: DeliveryContext, touch: OutgoingTouch): Promise<SendOutcome> {
  try {
    return await channels[touch.channel].send(touch);
  } catch (thrown) {
    log.error("channel.threw", { touchId: touch.id, channel: touch.channel, error: redactError(thrown) });
    const reason = "channel_failed";
    if (!REPEATABLE_CHANNELS.includes(touch.channel)) return { kind: "unknown", reason };
    return { kind: "retry", reason, mayHaveArrived: true };
  }
}

const idsOf = (touches: readonly Pick<EndedTouch, "touchId">[]): string[] => touches.map(({ touchId }) => touchId);

function withoutAll<Item>(items: readonly Item[], others: readonly Item[]): readonly Item[] {
  if (others.length === items.length) return [];
  const known = new Set(others);
  return items.filter((item) => !known.has(item));
}

/** Whether the times that the text offers must be checked first. */
const isUnchecked = ({ reason }: EndedTouch): boolean => reason === OFFER_UNCHECKED;

/** Removes why touches wait, where possible; returns the ids that may be sent now. */
async function lookAgain(
  context: DeliveryContext,
  waiting: readonly EndedTouch[],
  report: DeliveryReport,
): Promise<readonly string[]> {
  const unchecked = waiting.filter(isUnchecked);
  const decided = await decideAgain(context, withoutAll(waiting, unchecked), report);
  return [...decided, ...(await refreshOffers(context, unchecked, report))];
}

/** Reschedules touches whose facts changed; returns the ids that may be sent now. */
async function decideAgain(
  { now, store, stopping, log }: DeliveryContext,
  waiting: readonly EndedTouch[],
  report: DeliveryReport,
): Promise<readonly string[]> {
  if (waiting.length === 0 || stopping()) return idsOf(waiting);
  const facts = await store.readSendFacts(idsOf(waiting));
  const again = waiting.flatMap((touch) => {
    const read = facts.get(touch.touchId);
    return read === undefined ? [] : [decidedAgain(touch, read, now, log)];
  });
  await store.reschedule(again);
  const later = again.filter(({ nextAttemptAt }) => nextAttemptAt > now);
  report.retrying -= later.length;
  report.deferred += later.length;
  return idsOf(again.filter(({ nextAttemptAt }) => nextAttemptAt <= now));
}

/** Brings the times up to date that texts offer; returns the ids that may be sent now, or by the next run. */
async function refreshOffers(
  { now, store, stopping, log }: DeliveryContext,
  offering: readonly EndedTouch[],
  report: DeliveryReport,
): Promise<readonly string[]> {
  if (offering.length === 0 || stopping()) return idsOf(offering);
  const refreshed = await store.refreshOffers(idsOf(offering), now);
  const settled = refreshed.filter(({ outcome }) => outcome !== "checked");
  for (const { touchId, outcome, reason, fault } of settled) {
    report.retrying -= 1;
    report[REFRESHED_COUNT_AS[outcome]] += 1;
    if (fault) log.error("touch.unreadable", { touchId, reason, ...fault });
    else log.info("touch.not_started", { touchId, reason });
  }
  return withoutAll(idsOf(offering), idsOf(settled));
}

const REFRESHED_COUNT_AS = {
  checked: "retrying",
  held: "deferred",
  returned: "deferred",
  cancelled: "cancelled",
  unknown: "unknown",
} as const;

/** An undecidable touch does not block the others. */
function decidedAgain(touch: EndedTouch, read: TouchSendFacts | UnreadableTouch, now: Date, log: Log): Rescheduled {
  const { touchId } = touch;
  if ("fault" in read) {
    log.error("touch.unreadable", { touchId, ...read });
    return broken(touch, "unreadable_row", now);
  }
  try {
    const again = rescheduled(touch, read, now);
    if (again.reason !== touch.reason)
      log.error("touch.not_decided", { touchId, workspaceId: read.workspaceId, reason: again.reason });
    return again;
  } catch (thrown) {
    log.error("touch.not_decided", { touchId, workspaceId: read.workspaceId, error: redactError(thrown) });
    return broken(touch, "decision_failed", now);
  }
}
