import { readFileSync } from "node:fs";
import { join } from "node:path";
import type * as z from "zod";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { sweepAgeText } from "../../lib/domain/sweeps.ts";
import { due } from "../../lib/operate/due.ts";
import { findLeads } from "../../lib/operate/find-leads.ts";
import type { forecast } from "../../lib/operate/forecast.ts";
import { listRuns, secondsBetweenRuns } from "../../lib/operate/runs.ts";
import { showLead } from "../../lib/operate/show-lead.ts";
import { listWorkspaces } from "../../lib/operate/workspaces.ts";
import { eventText, inZone, nameOf, nextLines, passedTexts, stateLines } from "../lead-story.ts";
import { Problem, RefusedRequest } from "../problem.ts";
import { liveText, REASON_TEXTS, workspaceState } from "../reason-texts.ts";
import { formatMinute } from "../terminal.ts";
import { approval, approvals, approveText, rejectText } from "./approvals.ts";
import { barsOf } from "./chart.ts";
import { type HtmlPage, page, problemPage, VIEWS, type View, type Visit } from "./page.ts";

export const STYLE = readFileSync(join(VIEWS, "style.css"), "utf8");

const VIEW_OF: Readonly<Record<string, View>> = {
  "/": overview,
  "/leads": search,
  "/lead": story,
  "/approvals": approvals,
  "/approval": approval,
};

/** The order of each form. */
const ORDER_OF: Readonly<Record<string, View>> = {
  "/approval/approve": approveText,
  "/approval/reject": rejectText,
};

/** The paths that take a form. */
export const isForm = (path: string): boolean => Object.hasOwn(ORDER_OF, path);

/** The page of a path, or the outcome of a form. A refusal, such as an unknown lead, is a page. */
export async function pageFor(visit: Visit): Promise<HtmlPage> {
  const views = isForm(visit.path) ? ORDER_OF : VIEW_OF;
  const view = Object.hasOwn(views, visit.path) ? views[visit.path] : undefined;
  if (!view) return await problemPage("Not found", `There is no page ${visit.path}.`, 404);
  try {
    return await view(visit);
  } catch (thrown) {
    if (thrown instanceof RefusedRequest) return await problemPage("Not possible", thrown.refusal, 404);
    if (thrown instanceof Problem) return await problemPage("Not possible", thrown.message, 502);
    throw thrown;
  }
}

/** How far the first page looks ahead. */
export const FORECAST_DAYS = 14;
const RUNS_SHOWN = 20;

/** The oldest run first, so that time goes to the right. */
function promiseView(runs: z.output<typeof listRuns.answer>["runs"]) {
  const shown = runs.toReversed();
  const target = secondsBetweenRuns(runs);
  const sweepAge = runs[0]?.sweepAgeSeconds ?? null;
  const measured = shown.flatMap(({ slowestSeconds }) => slowestSeconds ?? []);
  return {
    target,
    sweeps: sweepAge === null ? null : sweepAgeText(sweepAge),
    worst: measured.length > 0 ? Math.max(...measured) : null,
    chart: barsOf(
      shown.map(({ startedAt, slowestSeconds }) => ({
        name: formatMinute(startedAt).slice(11, 16),
        parts: [{ colour: (slowestSeconds ?? 0) > target ? "late" : "kept", value: slowestSeconds ?? 0 }],
      })),
      "Seconds from a booking to the stop, by run",
    ),
    runs: shown.map(({ startedAt, success, timedOut, slowestSeconds, completed, sent }) => ({
      at: formatMinute(startedAt),
      outcome: success ? "succeeded" : timedOut ? "timed out" : success === null ? "is running" : "failed",
      seconds: slowestSeconds,
      completed,
      sent,
    })),
  };
}

async function overview({ operator, session }: Visit): Promise<HtmlPage> {
  const [{ workspaces }, { runs }, { groups }, foreseen] = await Promise.all([
    operator.ask(listWorkspaces, {}),
    operator.ask(listRuns, { limit: RUNS_SHOWN }),
    operator.ask(due, {}),
    session.forecast.get(operator),
  ]);
  return await page("overview", "Overview", {
    promise: promiseView(runs),
    workspaces: workspaces.map((workspace) => ({ ...workspace, state: workspaceState(workspace) })),
    groups: groups.map((group) => ({
      ...group,
      text: liveText(group),
      first: group.first && formatMinute(group.first),
    })),
    days: FORECAST_DAYS,
    forecastAt: formatMinute(foreseen.from),
    channels: CHANNELS,
    forecasts: foreseen.workspaces.map(forecastView),
  });
}

function forecastView({
  workspace,
  days,
  outcomes,
  approvals,
  cappedDays,
}: z.output<typeof forecast.answer>["workspaces"][number]) {
  return {
    workspace,
    chart: barsOf(
      days.map(({ day, touches }) => ({
        name: String(Number(day.slice(8))),
        parts: CHANNELS.map((channel) => ({ colour: channel, value: touches[channel] ?? 0 })),
      })),
      `Touches per day in ${workspace}`,
    ),
    days: days.map(({ day, touches }) => ({
      day,
      touches: Object.entries(touches)
        .map(([name, count]) => `${count} ${name}`)
        .join(", "),
    })),
    approvals,
    cappedDays,
    outcomes: outcomes
      .filter(({ kind }) => kind !== "complete")
      .map(({ reason, steps }) => ({ steps, text: REASON_TEXTS[reason] ?? reason })),
  };
}

async function search({ operator, fields }: Visit): Promise<HtmlPage> {
  const text = (fields.get("text") ?? "").trim();
  const found = text === "" ? { leads: [], more: false } : await operator.ask(findLeads, { text });
  const leads = found.leads.map((lead) => ({
    ...lead,
    name: nameOf(lead),
  }));
  return await page("leads", "Leads", { text, leads, more: found.more });
}

async function story({ operator, fields }: Visit): Promise<HtmlPage> {
  const answer = await operator.ask(showLead, { lead: fields.get("id") ?? "" });
  const { lead, zone, instances } = answer;
  const local = inZone(zone.zone);
  const name = nameOf(lead);
  return await page("lead", name, {
    lead,
    name,
    zone: zone.zone,
    state: stateLines(answer),
    story: answer.story.map((event) => ({ at: local(event.at), text: eventText(event) })),
    instances: instances.map((instance) => {
      const [heading = "", ...lines] = nextLines(instance, local);
      return { heading, lines, passed: passedTexts(instance) };
    }),
  });
}
