import { decide, RULES } from "./decide.ts";
import { holdsEndedBy, type Verdict } from "./decision.ts";
import type { DueItem } from "./due-item.ts";
import { NO_OFFER } from "./offered-slots.ts";
import { contextOf } from "./rule-context.ts";
import { capDayEnd } from "./send-times.ts";
import { daysAfter } from "./time-zone.ts";

/** A rule that applies to the step now. */
interface Blocker {
  readonly rule: string;
  readonly kind: Verdict["kind"];
  readonly reason: string;
}

/** After these no later rule can be evaluated: there is no step, or no readable time. */
const LAST_WORD = ["step_left", "send_times_known"];
const LEAVES_NO_TEXT: readonly string[] = ["missing_data", "invalid_template", ...NO_OFFER];

/** All rules that stand against sending the step now, in order of priority. `decide` names only the first. */
export function blockersOf(item: DueItem, now: Date): readonly Blocker[] {
  const given = contextOf(item, now);
  const blockers: Blocker[] = [];
  for (const { name, evaluate } of RULES) {
    const verdict = evaluate(given);
    if (!verdict) continue;
    if (verdict.kind === "send") break;
    blockers.push({ rule: name, kind: verdict.kind, reason: verdict.reason });
    if (LAST_WORD.includes(name) || LEAVES_NO_TEXT.includes(verdict.reason)) break;
  }
  return blockers;
}

/** When a step goes if nothing else changes, or what has to change first. */
type Outlook =
  | { readonly goes: "at"; readonly at: Date; readonly needsApproval: boolean }
  | { readonly goes: "not"; readonly rule: string; readonly reason: string };

/** Holds follow each other, such as a gap that ends in the night; this many would mean that no opening is near. */
const MOST_HOLDS = 100;
/** A time further ahead than this is not useful. */
const MOST_DAYS = 400;

/**
 * Follows the holds of a step from when it is due, assuming that nothing else happens. A hold that waits for a repair
 * or a switch ends the search: only a change lets the step go.
 */
export function outlookOf(item: DueItem, now: Date): Outlook {
  let at = item.instance.nextStepDue > now ? item.instance.nextStepDue : now;
  const end = daysAfter(now, MOST_DAYS);
  for (let holds = 0; holds < MOST_HOLDS && at < end; holds += 1) {
    const decision = decide(at > now ? later(onDay(item, now, at)) : item, at);
    if (decision.kind === "send") return { goes: "at", at, needsApproval: false };
    if (decision.kind === "awaitApproval") return { goes: "at", at, needsApproval: true };
    const endsByTime = decision.kind === "hold" && !needsChange(decision.reason) && decision.until > at;
    if (!endsByTime) return { goes: "not", rule: decision.rule, reason: decision.reason };
    at = decision.until;
  }
  return { goes: "not", rule: "window_open", reason: "no_opening" };
}

const NEEDS_CHANGE: ReadonlySet<string> = new Set(holdsEndedBy("change", "repair"));

/** Whether a hold for this reason ends only by a change. */
export const needsChange = (reason: string): boolean => NEEDS_CHANGE.has(reason);

/** The times that will be free then are unknown. */
const later = (item: DueItem): DueItem => (item.slots ? { ...item, slots: "assumed" } : item);

/** On a later day, the cap is unused. */
function onDay(item: DueItem, now: Date, at: Date): DueItem {
  const { workspace, instance } = item;
  if (workspace.dailyCap === null || at < capDayEnd(workspace.timeZone, now)) return item;
  const { ahead, ...rest } = instance;
  return { ...item, instance: rest, workspace: { ...workspace, dailyCapUsed: 0 } };
}
