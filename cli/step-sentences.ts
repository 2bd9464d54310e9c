import { REPORT_KEYS, type Report, type StepReports } from "../lib/run/report.ts";
import { STEP_NAMES, type StepName } from "../lib/run/request.ts";

/** One line per step of the run: its name, and what it did. */
export function printSteps(report: Report): string[] {
  const width = Math.max(...STEP_NAMES.map((name) => name.length));
  return STEP_NAMES.map((name) => `  ${name.padEnd(width)}  ${sentenceOf(name, report)}`);
}

type Sentences = { readonly [Key in keyof StepReports]: (result: NonNullable<StepReports[Key]>) => string };

function sentenceOf(name: StepName, report: Report): string {
  const key = REPORT_KEYS[name];
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
