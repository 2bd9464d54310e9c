import type * as z from "zod";
import { CHANNELS } from "../lib/domain/labels.ts";
import type { forecastSequences } from "../lib/operate/forecast-sequences.ts";
import { columnsOf, fittedTable } from "./fitted.ts";
import { inZone } from "./lead-story.ts";
import { printable } from "./print.ts";
import { REASON_TEXTS } from "./reason-texts.ts";
import { formatMinute } from "./terminal.ts";

type Answer = z.output<typeof forecastSequences.answer>;
type Change = Answer["changes"][number];
type Ending = Change["before"];
type Local = (at: Date) => string;

/** The answer of `forecast --sequences` for a terminal: what changes, one sentence each, then the days. */
export function effectText(answer: Answer): string {
  const { from, until, workspace, liveInstances, plans } = answer;
  const heading = [
    `${workspace}: ${liveInstances} live sequences, from ${formatMinute(from)} to ${formatMinute(until)},`,
    "if no lead replies and nothing else changes:",
  ];
  const local = dayInZone(answer.timeZone);
  const changes = [...answer.changes.map((change) => changeText(change, local)), ...endLines(answer.ends)];
  const none = "Nothing changes for the leads in progress in these days.";
  return `${[
    printable(heading.join("\n")),
    printable(plans.map(planText).join("\n")),
    printable(changes.length === 0 ? none : changes.join("\n")),
    ...daysText(answer),
  ].join("\n\n")}\n`;
}

function planText({ sequence, isNew, isChanged, needsNewVersion, inside }: Answer["plans"][number]): string {
  if (!isChanged) return `${sequence}: no change`;
  if (isNew) return `${sequence}: new, so no lead is in it yet`;
  if (!needsNewVersion) return `${sequence}: changes for all leads that have not reached these steps`;
  const leads = inside === 0 ? "no lead is in progress" : `${inside} in progress keep their steps, order and delays`;
  return `${sequence}: a new version for leads that start later; ${leads}`;
}

/** One sentence for the steps that change in the same way. */
function changeText(change: Change, local: Local): string {
  const { sequence, step, before, after, goes, steps } = change;
  const what = goes === null ? changedEnd(before, after) : movedText(change, goes);
  const when = after.kind === "touch" && goes !== "at_the_same_time" ? timesText(change, local) : "";
  return `${sequence}, step ${step}: ${steps} ${endingNoun(before, steps)} ${what}${when}`;
}

function movedText({ before, after, otherText }: Change, goes: NonNullable<Change["goes"]>): string {
  const parts = [
    ...(goes === "at_the_same_time" ? [] : [`move ${goes}`]),
    ...(before.channel === after.channel ? [] : [`go by ${after.channel}`]),
    ...(otherText ? ["have another text"] : []),
  ];
  return parts.join(" and ");
}

function changedEnd(before: Ending, after: Ending): string {
  const reason = reasonText(after);
  switch (after.kind) {
    case "touch":
      return `go by ${after.channel}`;
    case "approval":
      return "wait for approval first";
    case "approval_expired":
      return "expire without an approval";
    case "expire":
      return "would expire first";
    case "none":
      return "are not reached in these days";
    case "hold":
    case "pause":
    case "skip":
    case "complete":
      return before.kind === "touch" ? `do not go: ${reason}` : `end so: ${reason}`;
  }
}

function endingNoun(ending: Ending, steps: number): string {
  const noun = (one: string) => (steps === 1 ? one : `${one}s`);
  if (ending.kind === "touch") return `${steps === 1 ? "touch" : "touches"} by ${ending.channel}`;
  if (ending.kind === "none") return `${noun("step")} not reached before`;
  if (ending.kind === "approval" || ending.kind === "approval_expired") return `${noun("text")} waiting for approval`;
  return `${noun("step")} (${reasonText(ending)})`;
}

const reasonText = ({ reason }: Ending): string => (reason === null ? "" : (REASON_TEXTS[reason] ?? reason));

function timesText({ times, steps }: Change, local: Local): string {
  const [first] = times;
  if (first?.steps === steps) return `, ${local(first.at)}`;
  const shown = times.map((time) => `${time.steps} at ${local(time.at)}`);
  const rest = steps - times.reduce((sum, time) => sum + time.steps, 0);
  return `: ${[...shown, ...(rest > 0 ? [`${rest} at other times`] : [])].join(", ")}`;
}

function dayInZone(zone: string): Local {
  const local = inZone(zone);
  try {
    const weekday = new Intl.DateTimeFormat("en", { timeZone: zone, weekday: "long" });
    return (at) => `${weekday.format(at)} ${local(at)}`;
  } catch {
    return local;
  }
}

function endLines({ earlier, later, added, removed }: Answer["ends"]): readonly string[] {
  const lines: readonly (readonly [count: number, text: string])[] = [
    [earlier, "end earlier"],
    [later, "end later"],
    [added, "end in these days, and did not before"],
    [removed, "no longer end in these days"],
  ];
  return lines.flatMap(([count, text]) => (count > 0 ? [`Sequences of leads: ${count} ${text}`] : []));
}

/** The touches of each day on which they differ: `before → after`. */
function daysText({ before, after }: Answer): readonly string[] {
  const [one, other] = [before, after].map(({ days }) => new Map(days.map(({ day, touches }) => [day, touches])));
  const rows = [...new Set([...before.days, ...after.days].map(({ day }) => day))].toSorted().map((day) => ({
    day,
    cells: CHANNELS.map((channel) => [one?.get(day)?.[channel] ?? 0, other?.get(day)?.[channel] ?? 0] as const),
  }));
  const changed = rows.filter(({ cells }) => cells.some(([was, is]) => was !== is));
  if (changed.length === 0) return [];
  const used = CHANNELS.filter((_, place) => changed.some(({ cells }) => cells[place]?.some((count) => count > 0)));
  const table = changed.map(({ day, cells }) => [
    day,
    ...cells
      .filter((_, place) => used.some((channel) => channel === CHANNELS[place]))
      .map(([was, is]) => (was === is ? String(is) : `${was} → ${is}`)),
  ]);
  const fitted = fittedTable({ head: ["day", ...used], rows: table, rightAligned: used }, columnsOf(process.stdout));
  return [`Touches on the days that change, before → after:\n${fitted}`];
}
