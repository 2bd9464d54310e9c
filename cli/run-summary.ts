import { join, relative } from "node:path";
import { styleText } from "node:util";
import type { EventOutcome, FactOutcome } from "../lib/run/apply-messages.ts";
import type { Report } from "../lib/run/report.ts";
import { BACKLOG_COUNTED, type Hold, type SendDueReport } from "../lib/run/step-reports.ts";
import type { DemoBooking, DemoBounce, DemoOptOut } from "./demo-facts.ts";
import type { DemoSweep } from "./demo-sweep.ts";
import { columnsOf, fittedTable } from "./fitted.ts";
import { count, REASON_TEXTS, stepLines } from "./reason-texts.ts";

/** Results of the command itself, in addition to the report. */
interface CommandContext {
  readonly data: "loaded" | "kept";
  /** Null if no lead could book. */
  readonly booking: DemoBooking | null;
  /** Null if no other lead could book. */
  readonly sweep: DemoSweep | null;
  /** Null if no mail of this run fits. */
  readonly optOut: DemoOptOut | null;
  readonly bounce: DemoBounce | null;
  /** The folder of the e-mails. `mails` counts all of them; `newMails` names those of this run. */
  readonly outbox: string;
  readonly mails: number;
  readonly newMails: readonly string[];
  readonly reportFile: string;
  /** The result for the lead that booked; null if no lead could book. */
  readonly story: string | null;
}

const PROBLEMS_SHOWN = 12;

/** The summary of `npm start` for a person. Coloured only on a terminal. */
export function runSummary(report: Report, context: CommandContext): string {
  const text = textOf([
    context.booking ? [title("Booking by webhook, before the run"), ...bookingLines(context.booking)] : [],
    context.sweep ? [title("A booking whose webhook was lost"), ...sweepLines(context.sweep)] : [],
    ...reportSections(report),
    reactions(context),
    [title("Output"), ...outputLines(context)],
    context.story ? [title("The story of the lead that booked by webhook"), ...indented(context.story)] : [],
    [title("Next"), ...suggestions(report, context)],
  ]);
  return `\n${text}\n`;
}

/** A report for a person. Coloured only on a terminal. */
const reportText = (report: Report): string => textOf(reportSections(report));

/** As `reportText`. A function of another version may lack figures that it shows; its report is JSON. */
export function readableReport(report: Report): string {
  try {
    return reportText(report);
  } catch {
    return JSON.stringify(report, null, 2);
  }
}

type Section = readonly string[];

const textOf = (sections: readonly Section[]): string =>
  sections
    .filter((section) => section.length > 0)
    .map((section) => section.join("\n"))
    .join("\n\n");

function reportSections(report: Report): readonly Section[] {
  const { results } = report;
  return [
    [headline(report), ...report.errors.map((error) => paint("red", `  ${error}`))],
    [title("Steps"), ...stepLines(report)],
    results ? [title("Decisions"), reasonTable(results)] : [],
    results ? [title("Balance"), ...balance(results)] : [],
    results?.problems.length ? [title("Rows to correct"), ...problems(results)] : [],
  ];
}

const paint = (format: Parameters<typeof styleText>[0], text: string): string =>
  styleText(format, text, { stream: process.stdout });
const title = (text: string): string => paint("bold", text);

function headline({ success, runId, dryRun, durationMs, reason }: Report): string {
  const outcome = success ? paint("green", "succeeded") : paint("red", "failed");
  const why = reason ? ` (${CUT_SHORT_TEXTS[reason] ?? reason})` : "";
  const run = runId === null ? `The ${dryRun ? "dry run" : "run"}` : `Run ${runId}`;
  return `${run} ${outcome} after ${(durationMs / 1_000).toFixed(1)} s${why}`;
}

function bookingLines({ leadId, status, outcome }: DemoBooking): string[] {
  return [
    `  POST /calendly/<workspace>, signed as Calendly signs: ${status}`,
    `  lead ${leadId} booked a meeting: ${effectOf(outcome, appliedBooking)}`,
    "  the backstop step below finds bookings that were written to the database without an event",
  ];
}

function sweepLines({ leadId, report, outcome, offer }: DemoSweep): string[] {
  const { connections, seen, changed, health } = report;
  return [
    `  a sweep of ${connections} Calendly account compared ${count(seen)} meeting, and found ${count(changed)} new: ${health}`,
    `  lead ${leadId} had booked: ${effectOf(outcome, appliedBooking)}`,
    ...(offer === null ? [] : offerLines(offer)),
  ];
}

const offerLines = (offer: string): readonly string[] => [
  "  it also read the free times, so that {{ slots }} in a text writes:",
  ...offer.split("\n").map((line) => `    ${line}`),
];

type Applied = FactOutcome & { outcome: "applied" };

const effectOf = (outcome: EventOutcome, applied: (outcome: Applied) => string): string =>
  outcome.outcome === "applied" ? applied(outcome) : `not applied: ${outcome.outcome}`;

const appliedBooking = ({ ended, cancelledTouches, started }: Applied): string =>
  `sequences stopped: ${ended}, unsent touches cancelled: ${cancelledTouches}, sequences started for the meeting: ${started}`;

function reactions({ optOut, bounce }: CommandContext): Section {
  if (!optOut && !bounce) return [];
  return [
    title("Reactions to mails of this run"),
    ...(optOut ? optOutLines(optOut) : []),
    ...(bounce ? bounceLines(bounce) : []),
  ];
}

const optOutLines = ({ mail, outcome }: DemoOptOut): readonly string[] => [
  `  POST to the link in ${shortened(mail)}, as mail programs unsubscribe:`,
  `    ${effectOf(outcome, ({ ended }) => `sequences stopped: ${ended}`)}`,
];

const bounceLines = (bounce: DemoBounce): readonly string[] => [
  `  bounce of ${shortened(bounce.mail)}, as SES reports it to the intake:`,
  `    ${effectOf(bounce.outcome, () => appliedBounce(bounce))}`,
];

const appliedBounce = ({ skippedSteps }: DemoBounce): string =>
  `the address is suppressed; later e-mails to it that will be skipped: ${skippedSteps}`;

const CUT_SHORT_TEXTS: Readonly<Record<string, string>> = {
  out_of_time: "out of time: the next run continues",
  locked: "another run was in progress: only the backstop ran",
  lock_lost: "lost its database connection: the next run continues",
};

function reasonTable({ reasons, holds }: SendDueReport): string {
  const sorted = Object.entries(reasons).sort(([, left], [, right]) => right - left);
  if (sorted.length === 0) return "  nothing was due";
  const head = ["reason", "steps", "meaning", "checked again (UTC)"];
  const rows = sorted.map(([reason, amount]) => {
    return [reason, count(amount), REASON_TEXTS[reason] ?? "", nextTimes(holds[reason])];
  });
  return fittedTable({ head, rows, rightAligned: ["steps"] }, columnsOf(process.stdout));
}

function nextTimes(hold: Hold | undefined): string {
  if (!hold) return "";
  const [earliest, latest] = [minuteOf(hold.earliest), minuteOf(hold.latest)];
  return earliest === latest ? earliest : `${earliest} to ${latest}`;
}

/** As in `Wed 25 Nov 09:30`. */
const minuteOf = (instant: string): string => MINUTE.format(new Date(instant)).replaceAll(",", "");

const MINUTE = new Intl.DateTimeFormat("en-GB", {
  timeZone: "UTC",
  weekday: "short",
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});

function balance(results: SendDueReport): string[] {
  const { due, claimed, held, paused, skipped, completed, awaitingApproval, expired, delivery, backlog } = results;
  const oldest = results.oldestDueSeconds;
  const dueParts = { claimed, held, paused, skipped, completed, "awaiting approval": awaitingApproval, expired };
  const lines = [equation("due", due, dueParts)];
  if (delivery) lines.push(equation("claimed", claimed, { ...delivery }));
  if (delivery && delivery.failed > 0)
    lines.push("  (failed: the provider rejected the touch permanently, or the channel is not configured here)");
  const more = backlog >= BACKLOG_COUNTED ? " or more" : "";
  if (due > 0) lines.push(`  the oldest step was ${age(oldest)} overdue`);
  if (backlog > 0) lines.push(`  ${count(backlog)}${more} steps are still due: the next run continues`);
  return lines;
}

const age = (seconds: number): string =>
  seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;

/** Omits parts that are zero. The sign shows whether the parts add up to the total. */
function equation(name: string, total: number, parts: Readonly<Record<string, number>>): string {
  const sum = Object.values(parts).reduce((left, right) => left + right, 0);
  const shown = Object.entries(parts).filter(([, amount]) => amount > 0);
  const right = shown.map(([part, amount]) => `${part} ${count(amount)}`).join(" + ") || "0";
  const sign = sum === total ? "=" : paint("red", "≠");
  return `  ${name} ${count(total)} ${sign} ${right}`;
}

function problems({ problems: rows }: SendDueReport): string[] {
  const head = ["instance", "reason", "error"];
  const shown = rows
    .slice(0, PROBLEMS_SHOWN)
    .map(({ instanceId, reason, detail }) => [instanceId, reason, detail ?? REASON_TEXTS[reason] ?? ""]);
  const table = fittedTable({ head, rows: shown }, columnsOf(process.stdout));
  const more = rows.length - shown.length;
  return [table, ...(more > 0 ? [`  and ${count(more)} more, listed in the report`] : [])];
}

function outputLines({ outbox, mails, newMails, reportFile }: CommandContext): string[] {
  return [
    `  e-mails  ${shortened(outbox)} contains ${count(mails)}, ${count(newMails.length)} of them from this run`,
    `  report   ${shortened(reportFile)}, also in the table run`,
  ];
}

const indented = (text: string): string[] => text.split("\n").map((line) => (line === "" ? "" : `  ${line}`));

function suggestions({ results, notificationDigests }: Report, { data, outbox, newMails }: CommandContext): string[] {
  const again =
    (results?.backlog ?? 0) > 0
      ? "process the steps that are still due"
      : "run again on the same data: the backstop has nothing left to complete";
  const [mail] = newMails;
  return aligned([
    ["npm run backstop -- console", "look at all this in the browser"],
    ["npm start", again],
    ["npm run backstop -- webhooks --local", "receive webhooks on this machine, with a signed booking to paste"],
    ["npm run backstop -- invoke events/dry-run.json", "what the next run would decide; changes nothing"],
    data === "loaded"
      ? ["npm start -- --fresh --leads 100000", "start over with more leads"]
      : ["npm start -- --fresh", "start over with new demo data"],
    ...(mail ? [[`cat ${shortened(join(outbox, mail))}`, "one of the e-mails"] as const] : []),
    ...(notificationDigests?.sent
      ? [[`grep -l X-Backstop-Digest ${shortened(join(outbox, "*.eml"))}`, "the e-mails that are digests"] as const]
      : []),
  ]);
}

function aligned(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${paint("cyan", left.padEnd(width))}  ${right}`);
}

/** The path relative to the current folder, if it is inside. */
function shortened(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}
