import type { Decision } from "../lib/domain/decision.ts";
import { pauseCause } from "../lib/domain/guardrail.ts";
import { sweepAgeText } from "../lib/domain/sweeps.ts";
import type { Report } from "../lib/run/report.ts";
import { STEPS, type StepReports } from "../lib/run/steps.ts";
import { formatMinute } from "./terminal.ts";

type DueReason = Exclude<Decision["reason"], "awaiting_approval" | "condition_always"> | "already_claimed";

/** Texts for the reasons of decisions on due steps. A reason that only newer code knows is shown by its name. */
export const REASON_TEXTS: Readonly<Record<string, string>> = {
  ready: "all rules passed: claimed",
  needs_approval: "the text needs approval: waiting",
  meeting_booked: "the lead has booked a meeting: sequence completed",
  opted_out: "the lead has opted out: sequence completed",
  complained: "the lead reported a message as spam: sequence completed",
  blacklisted: "the lead is blacklisted: sequence completed",
  unqualified: "the lead is unqualified: sequence completed",
  not_interested: "the lead is not interested: sequence completed",
  out_of_steps: "the sequence has no further step: completed",
  workspace_paused: "the workspace is paused: held",
  sequence_inactive: "the sequence is inactive: held",
  manual: "automation is off for the lead: paused",
  lead_replied: "the lead replied after our last touch: paused",
  lead_snoozed: "the lead is snoozed: paused until the snooze ends",
  awaiting_enrichment: "an address is being looked up: paused",
  missing_data: "the template uses a value that the lead lacks: paused",
  missing_email: "the lead has no e-mail address, and no lookup is running: step skipped",
  missing_phone: "the lead has no phone number, and no lookup is running: step skipped",
  undeliverable_address: "the address is invalid or does not accept messages: step skipped",
  condition_phone_provided: "the step requires a phone number: step skipped",
  condition_linkedin_connected: "the step requires a LinkedIn connection: step skipped",
  condition_no_reply: "the step is for leads that never replied: step skipped",
  invalid_time_zone: "the time zone is invalid: held for a day",
  invalid_sender: "the sender of the lead or the workspace is not exactly one address: held for a day",
  invalid_send_times: "the send window or a holiday calendar is invalid: held for a day",
  no_opening: "the send window does not open within a year: held for a day",
  outside_send_window: "the send window is closed in the lead's time zone: held",
  closed_day: "nothing is sent on this weekday in the lead's time zone: held",
  holiday: "it is a holiday in the lead's time zone: held",
  too_soon: "the last touch of the lead or its address was too recent: held",
  channel_used_today: "the channel has reached the lead or its address today: held until tomorrow",
  daily_cap_reached: "the workspace has reached its daily cap: held until tomorrow",
  time_to_live_over: "the step is older than its time to live: expired, and the sequence continues",
  unknown_condition: "this version does not know the condition: held for a day",
  invalid_template: "the template is invalid: held for a day",
  no_free_slots: "the text offers times, and none is free at a good hour: held",
  availability_outdated: "the text offers times, and no booking tool reported free times recently enough: held",
  unreadable_row: "the row is invalid: held for a day",
  decision_failed: "the decision failed because of a bug: held for a day",
  already_claimed: "the step was claimed before: not sent again",
} satisfies Record<DueReason, string>;

/** Why live instances wait. */
export function liveText({ status, reason }: { readonly status: string; readonly reason: string | null }): string {
  if (reason === "awaiting_approval") return "a text waits for approval: paused";
  if (reason === null) return status === "active" ? "goes when it is due" : status;
  return REASON_TEXTS[reason] ?? reason;
}

interface WorkspaceState {
  readonly pausedAt: Date | null;
  readonly pausedReason: string | null;
}

/** Whether a workspace sends, and if not, since when, and why if the guardrail paused it. */
export function workspaceState({ pausedAt, pausedReason }: WorkspaceState): string {
  if (!pausedAt) return "running";
  const cause = pauseCause(pausedReason);
  return `paused since ${formatMinute(pausedAt)}${cause ? ` ${cause}` : ""}`;
}

/** One line per step of the run: its name, and what it did. */
export function stepLines(report: Report): string[] {
  const width = Math.max(...STEPS.map(({ name }) => name.length));
  return STEPS.map(({ name, reportKey }) => `  ${name.padEnd(width)}  ${sentenceOf(reportKey, report)}`);
}

type Sentences = { readonly [Key in keyof StepReports]: (result: NonNullable<StepReports[Key]>) => string };

function sentenceOf(key: keyof StepReports, report: Report): string {
  const result = report[key];
  if (result === null) return "did not run";
  // The same key selects both; TypeScript cannot infer that.
  return (SENTENCES[key] as (result: unknown) => string)(result);
}

const SENTENCES: Sentences = {
  backstop: (result) => [backstopSentence(result), ...backstopRemarks(result)].join("; "),
  snoozed: ({ checked, resumed }) => resumeSentence("after a snooze", checked, resumed),
  resumed: ({ checked, resumed }) => resumeSentence("after a reply", checked, resumed),
  enrichmentResumed: ({ checked, resumed, skippedSteps }) =>
    resumeSentence("after a data lookup", checked, resumed) +
    (skippedSteps > 0 ? `, ${count(skippedSteps)} of them without the data: step skipped` : ""),
  repaired: ({ checked, resumed }) => resumeSentence("after a repair", checked, resumed),
  guardrail: ({ checked, paused }) => {
    if (checked === 0) return "no new bounce or complaint";
    return `checked ${count(checked)} workspaces with new bounces or complaints, paused ${count(paused)}`;
  },
  results: ({ due, delivery }) => {
    if (due === 0) return "nothing was due";
    return `${count(due)} steps were due${delivery ? `: ${deliverySentence(delivery)}` : "; sent nothing"}`;
  },
  recovered: ({ expired, takenUp, reclaimed, unknown, delivery }) => {
    if (expired + takenUp + reclaimed + unknown === 0) return "found no unfinished touches";
    const retried = `retried ${count(takenUp)} touches${delivery && takenUp > 0 ? `: ${deliverySentence(delivery)}` : ""}`;
    const undecided = expired > 0 ? `; ${count(expired)} expired without approval` : "";
    return `${retried}; ${count(reclaimed)} claimed again, ${count(unknown)} with unknown outcome${undecided}`;
  },
  notificationDigests: ({ checked, sent, skipped, retrying, failed, unknown }) => {
    if (checked === 0) return "no digest was due";
    const parts = {
      failed,
      "to be retried": retrying,
      "with unknown outcome": unknown,
      "without a recipient or events": skipped,
    };
    return `sent ${count(sent)} digests${othersOf(parts)}`;
  },
};

export const count = (amount: number): string => amount.toLocaleString("en");

type Backstop = NonNullable<StepReports["backstop"]>;

function backstopSentence({ completedCount, cancelledTouches, slowestSeconds }: Backstop): string {
  if (completedCount === 0) return "completed 0, as expected: no sequence follows up a booked lead";
  const cancelled = cancelledTouches > 0 ? ` and cancelled ${count(cancelledTouches)} unsent touches` : "";
  const slowest = `slowest ${slowestSeconds.toFixed(1)} s after the booking`;
  return `completed ${count(completedCount)} follow-ups of booked leads${cancelled}, ${slowest}`;
}

function backstopRemarks({ endedPostBooking, endedByLeadStatus, ...rest }: Backstop): string[] {
  const { unbookedLeads, remaining, missedByMarker, sweepAgeSeconds } = rest;
  return [
    ...(endedPostBooking > 0 ? [`ended ${count(endedPostBooking)} post-booking sequences without a meeting`] : []),
    ...(endedByLeadStatus > 0
      ? [`ended ${count(endedByLeadStatus)} follow-ups of leads that must not be contacted`]
      : []),
    ...(unbookedLeads > 0
      ? [`${count(unbookedLeads)} leads are no longer booked, because their meetings are over`]
      : []),
    ...(remaining > 0 ? [`${count(remaining)} remain for the next run`] : []),
    ...(sweepAgeSeconds === null ? [] : [sweepAgeText(sweepAgeSeconds)]),
    ...(missedByMarker ? [`the marker had missed ${count(missedByMarker)} of them`] : []),
  ];
}

const resumeSentence = (when: string, checked: number, resumed: number): string =>
  checked === 0 ? `no instance to resume ${when}` : `resumed ${count(resumed)} of ${count(checked)} instances ${when}`;

function deliverySentence(delivery: Readonly<NonNullable<NonNullable<StepReports["results"]>["delivery"]>>): string {
  const { sent, failed, retrying, unknown, cancelled, expired, deferred, queued } = delivery;
  const parts = {
    failed,
    "to be retried": retrying,
    "with unknown outcome": unknown,
    cancelled,
    expired,
    deferred,
    queued,
  };
  return `sent ${count(sent)}${othersOf(parts)}`;
}

/** Omits parts that are zero. */
const othersOf = (parts: Readonly<Record<string, number>>): string =>
  Object.entries(parts)
    .flatMap(([name, amount]) => (amount > 0 ? [`, ${count(amount)} ${name}`] : []))
    .join("");
