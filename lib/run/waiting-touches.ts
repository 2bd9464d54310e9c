import {
  type DeliveryStore,
  type EndedTouch,
  OFFER_UNCHECKED,
  type Rescheduled,
  type TouchSendFacts,
  type UnreadableTouch,
} from "./delivery-ports.ts";
import type { Log } from "./ports.ts";
import { redactError } from "./redact-error.ts";
import { broken, rescheduled } from "./settlement.ts";
import type { DeliveryReport } from "./step-reports.ts";

/** The inputs of a decision about a claimed touch that could not be started. */
interface DecisionContext {
  readonly now: Date;
  readonly store: Pick<DeliveryStore, "readSendFacts" | "reschedule" | "refreshOffers">;
  /** True once no new work may be started. */
  readonly stopping: () => boolean;
  readonly log: Log;
}

export const idsOf = (touches: readonly Pick<EndedTouch, "touchId">[]): string[] =>
  touches.map(({ touchId }) => touchId);

export function withoutAll<Item>(items: readonly Item[], others: readonly Item[]): readonly Item[] {
  if (others.length === items.length) return [];
  const known = new Set(others);
  return items.filter((item) => !known.has(item));
}

/** Whether the times that the text offers must be checked first. */
export const isUnchecked = ({ reason }: EndedTouch): boolean => reason === OFFER_UNCHECKED;

/** Removes why touches wait, where possible; returns the ids that may be sent now. */
export async function lookAgain(
  context: DecisionContext,
  waiting: readonly EndedTouch[],
  report: DeliveryReport,
): Promise<readonly string[]> {
  const unchecked = waiting.filter(isUnchecked);
  const decided = await decideAgain(context, withoutAll(waiting, unchecked), report);
  return [...decided, ...(await refreshOffers(context, unchecked, report))];
}

/** Reschedules touches whose facts changed; returns the ids that may be sent now. */
async function decideAgain(
  { now, store, stopping, log }: DecisionContext,
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
  { now, store, stopping, log }: DecisionContext,
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
