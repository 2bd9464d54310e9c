import type { Report } from "../lib/run/report.ts";
import { STEPS, type StepReports } from "../lib/run/steps.ts";

/** The reasons of a report in words. A reason without an entry is shown by its name. */
export const MEANINGS: Readonly<Record<string, string>> = {
  ready: "nothing stood against it: claimed",
  needs_approval: "waits for a person to approve the text",
  meeting_booked: "the lead has booked: the sequence is complete",
  opted_out: "the lead wants no more messages: complete",
  complained: "the lead complained of a message: complete",
  blacklisted: "the lead is blacklisted: complete",
  unqualified: "the lead is unqualified: complete",
  not_interested: "the lead is not interested: complete",
  out_of_steps: "no step is left where the instance stands: complete",
  workspace_paused: "the workspace is paused: held",
  sequence_inactive: "the sequence is switched off: held",
  manual: "automation is off for the lead: paused",
  lead_replied: "the lead has replied since our last touch: paused",
  lead_snoozed: "the lead is snoozed: paused until the snooze is over",
  awaiting_enrichment: "an address is being looked up: paused",
  missing_data: "the template asks for a value that the lead lacks: paused",
  missing_email: "no e-mail address, and none will come: step skipped",
  missing_phone: "no phone number, and none will come: step skipped",
  undeliverable_address: "not exactly one address, or one that takes no messages: step skipped",
  condition_phone_provided: "the step wants a phone number: step skipped",
  condition_linkedin_connected: "the step wants a LinkedIn connection: step skipped",
  condition_no_reply: "the step is for leads that never replied: skipped",
  invalid_time_zone: "the time zone is invalid: held for a day",
  invalid_sender: "email_from of the workspace is not exactly one address: held for a day",
  invalid_send_times: "the send window or the holidays name what does not exist: held for a day",
  no_opening: "the send window does not open within a year: held for a day",
  outside_send_window: "the send window is shut where the lead lives: held",
  closed_day: "nothing is sent on this day of the week where the lead lives: held",
  holiday: "it is a holiday where the lead lives: held",
  too_soon: "the last touch of the lead, or to its address, was too short a time ago: held",
  channel_used_today: "the channel has reached the lead or its address today: held until tomorrow",
  daily_cap_reached: "the workspace has reached its cap for the day: held until tomorrow",
  time_to_live_over: "the step came too late to be of use: expired, and the sequence goes on",
  unknown_condition: "this code does not know the condition: held for a day",
  invalid_template: "the template cannot be read: held for a day",
  unreadable_row: "the row cannot be read: held for a day",
  decision_failed: "deciding failed, which is a bug: held for a day",
  already_claimed: "the step was claimed before: not sent again",
};

/** Why an approval, a rejection or a reopening was refused, in words, and what to do. */
const REFUSALS: Readonly<Record<string, string>> = {
  not_found: "there is none of that id",
  already_decided: "somebody has approved or rejected it already; nothing was changed",
  not_waiting: "it does not wait for approval",
  instance_not_waiting: "its sequence does not stand there any more",
  cancelled: "it was cancelled, for its sequence was stopped",
  expired: "its time to live is over: it is not sent, and the sequence goes on",
  text_changed:
    "that is not the fingerprint of the text as it is now: the template or the lead's data has changed it; look at it again " +
    "with `npm run backstop -- approvals show`",
  missing_data: "the template asks for a value that the lead lacks; add it to the lead, or reject the touch",
  invalid_template: "the step's template cannot be rendered any more; correct it, or reject the touch",
  step_changed: "its step goes by another channel now; reject it, and the sequence goes on",
  unreadable_row:
    "the row of its lead or its sequence cannot be read; `npm run backstop -- explain` on the instance says why",
  meeting_booked: "the lead has booked a meeting",
  opted_out: "the lead wants no more messages",
  complained: "the lead complained of a message",
  undeliverable_address: "the address of the lead takes no messages; correct it, or reject the touch",
  blacklisted: "the lead is blacklisted",
  unqualified: "the lead is unqualified",
  not_interested: "the lead is not interested",
  automation_off: "automation is switched off for the lead",
  lead_replied: "the lead has replied since our last message: answer, or reject the touch",
  instance_cancelled: "its sequence was cancelled",
  is_live: "it has not ended: it is active or paused",
  another_is_live: "the lead is in that sequence by another instance, which is active or paused",
  out_of_steps: "no step is left that has not been sent",
};

/** The reason in words, or the reason itself if it has no entry. */
export const inWords = (reason: string): string => REFUSALS[reason] ?? reason;

/** One line per step of the run: its name, and what it did. */
export function printSteps(report: Report): string[] {
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
  snoozed: ({ checked, resumed }) => resumeSentence("whose snooze may be over", checked, resumed),
  resumed: ({ checked, resumed }) => resumeSentence("who had replied and may have gone silent", checked, resumed),
  enrichmentResumed: ({ checked, resumed, skippedSteps }) =>
    resumeSentence("whose data was being looked up", checked, resumed) +
    (skippedSteps > 0 ? `, ${count(skippedSteps)} of them without it: their step is skipped` : ""),
  results: ({ due, delivery }) => {
    if (due === 0) return "nothing was due";
    return `took ${count(due)} due steps${delivery ? `: ${deliverySentence(delivery)}` : ", and sent nothing"}`;
  },
  recovered: ({ expired, takenUp, reclaimed, unknown, delivery }) => {
    if (expired + takenUp + reclaimed + unknown === 0) return "found no touch that was left behind";
    const took = `took up ${count(takenUp)} touches${delivery && takenUp > 0 ? `: ${deliverySentence(delivery)}` : ""}`;
    const undecided = expired > 0 ? `; ${count(expired)} expired before anybody approved them` : "";
    return `${took}; ${count(reclaimed)} claimed again, ${count(unknown)} of unknown outcome${undecided}`;
  },
  notificationDigests: ({ checked, sent, skipped, retrying, failed, unknown }) => {
    if (checked === 0) return "no digest was due";
    const parts = {
      failed,
      "to be tried again": retrying,
      "of unknown outcome": unknown,
      "with nobody or nothing to tell": skipped,
    };
    return `sent ${count(sent)} digests${othersOf(parts)}`;
  },
};

const count = (amount: number): string => amount.toLocaleString("en");

type Backstop = NonNullable<StepReports["backstop"]>;

function backstopSentence({ completedCount, cancelledTouches, slowestSeconds }: Backstop): string {
  if (completedCount === 0) return "completed 0, as it should be: no sequence chases a lead who has booked";
  const cancelled = cancelledTouches > 0 ? ` and cancelled ${count(cancelledTouches)} unsent touches` : "";
  const slowest = `slowest ${slowestSeconds.toFixed(1)} s after the booking`;
  return `completed ${count(completedCount)} follow-ups of booked leads${cancelled}, ${slowest}`;
}

function backstopRemarks({ endedPostBooking, endedByLeadStatus, ...rest }: Backstop): string[] {
  const { unbookedLeads, remaining, missedByMarker } = rest;
  return [
    ...(endedPostBooking > 0 ? [`ended ${count(endedPostBooking)} post-booking sequences without a meeting`] : []),
    ...(endedByLeadStatus > 0
      ? [`ended ${count(endedByLeadStatus)} follow-ups of leads that may not be contacted`]
      : []),
    ...(unbookedLeads > 0 ? [`${count(unbookedLeads)} meetings are over, their leads are no longer booked`] : []),
    ...(remaining > 0 ? [`${count(remaining)} are left for the next run`] : []),
    ...(missedByMarker ? [`${count(missedByMarker)} of them the marker had missed`] : []),
  ];
}

const resumeSentence = (whom: string, checked: number, resumed: number): string =>
  checked === 0 ? `found nobody ${whom}` : `looked at ${count(checked)} ${whom}, resumed ${count(resumed)}`;

function deliverySentence(delivery: Readonly<NonNullable<NonNullable<StepReports["results"]>["delivery"]>>): string {
  const { sent, failed, retrying, unknown, cancelled, expired, deferred, queued } = delivery;
  const parts = {
    failed,
    "to be tried again": retrying,
    "of unknown outcome": unknown,
    cancelled,
    expired,
    "put off to a later time": deferred,
    "in the queue": queued,
  };
  return `sent ${count(sent)}${othersOf(parts)}`;
}

/** Omits parts that are zero. */
const othersOf = (parts: Readonly<Record<string, number>>): string =>
  Object.entries(parts)
    .flatMap(([name, amount]) => (amount > 0 ? [`, ${count(amount)} ${name}`] : []))
    .join("");
