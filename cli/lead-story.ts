import type * as z from "zod";
import { RULES } from "../lib/domain/decide.ts";
import type { showLead } from "../lib/operate/show-lead.ts";
import { formatDuration } from "./duration.ts";
import { REASON_TEXTS } from "./reason-texts.ts";
import { formatMinute, formatWindow } from "./terminal.ts";

type Answer = z.output<typeof showLead.answer>;
type Live = Answer["instances"][number];

/** The answer of `leads show` for a terminal: who it is, what happened, and what goes next. */
export function storyText(answer: Answer): string {
  const { lead, zone, story } = answer;
  const names = [lead.company, lead.email, lead.phone, lead.externalId].filter((part) => part !== null);
  const local = inZone(zone.zone);
  const heading = [
    `${nameOf(lead)}, ${lead.status}, in ${lead.workspace}`,
    ...names.map((text) => `  ${text}`),
    `  id ${lead.id}`,
  ];
  const events = story.map((event) => `  ${local(event.at)}  ${eventText(event)}`);
  return [
    [...heading, ...stateLines(answer).map((line) => `  ${line}`)].join("\n"),
    [`History (times in ${zone.zone}, then UTC):`, ...events].join("\n"),
    answer.instances.length === 0
      ? "No sequence is live: nothing goes out."
      : answer.instances.map((instance) => nextText(instance, local)).join("\n\n"),
  ].join("\n\n");
}

/** The full name of a lead. */
export const nameOf = ({ firstName, lastName }: Pick<Answer["lead"], "firstName" | "lastName">): string =>
  [firstName, lastName].filter((part) => part !== null).join(" ") || "(no name)";

/** The state of the lead as a whole. */
export function stateLines({ state }: Answer): string[] {
  return [
    ...(state.isBooked ? ["has booked a meeting"] : []),
    ...(state.automationEnabled ? [] : ["automation is off"]),
    ...(state.suppressedReason ? [`the address is suppressed: ${state.suppressedReason}`] : []),
    ...(state.emailUndeliverable ? ["the e-mail address does not accept messages"] : []),
    ...(state.phoneUndeliverable ? ["the phone number does not accept messages"] : []),
    ...(state.snoozedUntil ? [`snoozed until ${formatMinute(state.snoozedUntil)}`] : []),
  ];
}

const EVENT_TEXTS: Readonly<Record<string, string>> = {
  lead_created: "the lead was created",
  lead_wrote: "the lead wrote last",
  opted_out: "the lead opted out",
  opted_in: "the lead wants messages again",
  touch_complained: "the lead reported a message as spam:",
  touch_offers_times: "times offered by",
  touch_bounced_for_now: "touch bounced, perhaps only for now",
  booked: "the lead booked a meeting",
  meeting_missed: "the lead missed a meeting",
};

/** One event of the story. */
export function eventText({ what, sequence, position, channel, reason, by }: Answer["story"][number]): string {
  const step = position === null ? "" : `, step ${position}`;
  const subject = sequence === null ? "" : ` "${sequence}"${step}`;
  const details = [channel, reason, by === null ? null : `by ${by}`].filter((part) => part !== null);
  const text = EVENT_TEXTS[what] ?? what.replaceAll("_", " ");
  return `${text}${subject}${details.length > 0 ? ` (${details.join(", ")})` : ""}`;
}

const nextText = (instance: Live, local: (at: Date) => string): string => nextLines(instance, local).join("\n  ");

/** A live sequence, then what is decided about its next step if it is due now. */
export function nextLines(
  { sequence, position, status, why, nextStepDue, now }: Live,
  local: (at: Date) => string,
): readonly string[] {
  const due = nextStepDue ? `, due ${local(nextStepDue)}` : "";
  const heading = `"${sequence}" is ${status}${why ? ` (${why})` : ""} at step ${position}${due}`;
  if (!now.readable) return [heading, `It cannot be decided: ${now.fault}`];
  const { decision } = now;
  const detail = decision.detail ? ` (${decision.detail})` : "";
  return [
    heading,
    `if due   ${decision.rule}: ${decision.reason === "ready" ? "all rules pass" : textOf(decision.reason)}${detail}`,
    ...decision.blockers.slice(1).map(({ rule, reason }) => `also     ${rule}: ${textOf(reason)}`),
    `zone     ${decision.zone.zone} (${decision.zone.from})`,
    `limits   ${limitsText(decision.inputs, local)}`,
    `next     ${outlookText(decision.outlook, local)}`,
  ];
}

/** The sentences of the rules that pass. */
export const passedTexts = ({ now }: Live): readonly string[] =>
  now.readable ? RULES.filter(({ name }) => now.decision.passed.includes(name)).map(({ says }) => says) : [];

type Inputs = Extract<Live["now"], { readable: true }>["decision"]["inputs"];

function limitsText(
  { sendWindow, gapMinutes, lastOutboundAt, dailyCap, dailyCapUsed }: Inputs,
  local: (at: Date) => string,
) {
  const last = lastOutboundAt ? ` after the last touch, ${local(lastOutboundAt)}` : "";
  const cap = dailyCap === null ? "" : `; daily cap ${dailyCapUsed} of ${dailyCap} used`;
  return `${formatWindow(sendWindow)}; gap ${formatDuration(gapMinutes)}${last}${cap}`;
}

function outlookText(
  outlook: Extract<Live["now"], { readable: true }>["decision"]["outlook"],
  local: (at: Date) => string,
) {
  if (outlook.goes === "not") return `does not go as things are: ${textOf(outlook.reason)}`;
  return `${outlook.needsApproval ? "waits for approval from" : "goes at the earliest"} ${local(outlook.at)}`;
}

const textOf = (reason: string): string => REASON_TEXTS[reason] ?? reason;

/** An instant in the zone and in UTC; in UTC alone if the zone is unknown. */
export function inZone(zone: string): (at: Date) => string {
  try {
    const format = new Intl.DateTimeFormat("sv", { timeZone: zone, dateStyle: "short", timeStyle: "short" });
    return (at) => `${format.format(at)} (${formatMinute(at)})`;
  } catch {
    return formatMinute;
  }
}
