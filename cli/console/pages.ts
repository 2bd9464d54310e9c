import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Liquid } from "liquidjs";
import type * as z from "zod";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { findLeads } from "../../lib/operate/find-leads.ts";
import { forecast } from "../../lib/operate/forecast.ts";
import { listRuns } from "../../lib/operate/runs.ts";
import { showLead } from "../../lib/operate/show-lead.ts";
import { listWorkspaces } from "../../lib/operate/workspaces.ts";
import { eventText, inZone, nameOf, nextLines, stateLines } from "../lead-story.ts";
import type { Operator } from "../operator.ts";
import { REASON_TEXTS } from "../reason-texts.ts";
import { formatMinute } from "../terminal.ts";
import { barsOf } from "./chart.ts";

/** An answer of the console. */
export interface Page {
  readonly status: number;
  readonly html: string;
}

const VIEWS = join(import.meta.dirname, "views");

export const STYLE = readFileSync(join(VIEWS, "style.css"), "utf8");

/** Every value is escaped, unless a view marks it `raw`; only charts are. */
const liquid = new Liquid({
  root: VIEWS,
  extname: ".liquid",
  outputEscape: "escape",
  cache: true,
  strictVariables: true,
});

type View = (operator: Operator, url: URL) => Promise<Page>;

const VIEW_OF: Readonly<Record<string, View>> = {
  "/": overview,
  "/leads": search,
  "/lead": story,
  "/problem": (_, url) => page("problem", "Not possible", { text: url.searchParams.get("text") ?? "" }, 404),
};

/** The page of a path. Throws Problem if what it names does not exist. */
export const pageFor: View = async (operator, url) => {
  const view = VIEW_OF[url.pathname];
  return view
    ? await view(operator, url)
    : await page("problem", "Not found", { text: `There is no page ${url.pathname}.` }, 404);
};

async function page(view: string, title: string, values: object, status = 200): Promise<Page> {
  return { status, html: await liquid.renderFile(view, { title, ...values }) };
}

const FORECAST_DAYS = 14;
const RUNS_SHOWN = 20;
/** The schedule runs each minute, and the next run stops what a booking left. */
const TARGET_SECONDS = 60;

/** The oldest run first, so that time goes to the right. */
function promiseView(runs: z.output<typeof listRuns.answer>["runs"]) {
  const shown = runs.toReversed();
  const measured = shown.flatMap(({ slowestSeconds }) => slowestSeconds ?? []);
  return {
    target: TARGET_SECONDS,
    worst: measured.length > 0 ? Math.max(...measured) : null,
    chart: barsOf(
      shown.map(({ startedAt, slowestSeconds }) => ({
        name: formatMinute(startedAt).slice(11, 16),
        parts: [{ colour: (slowestSeconds ?? 0) > TARGET_SECONDS ? "late" : "kept", value: slowestSeconds ?? 0 }],
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

async function overview(operator: Operator): Promise<Page> {
  const [{ workspaces }, { runs }, foreseen] = await Promise.all([
    operator.ask(listWorkspaces, {}),
    operator.ask(listRuns, { limit: RUNS_SHOWN }),
    operator.ask(forecast, { days: FORECAST_DAYS }),
  ]);
  return await page("overview", "Overview", {
    promise: promiseView(runs),
    workspaces: workspaces.map(({ name, timeZone, leads, liveInstances, pausedAt }) => ({
      name,
      timeZone,
      leads,
      liveInstances,
      state: pausedAt ? `paused since ${formatMinute(pausedAt)}` : "running",
    })),
    days: FORECAST_DAYS,
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

async function search(operator: Operator, url: URL): Promise<Page> {
  const text = (url.searchParams.get("text") ?? "").trim();
  const found = text === "" ? { leads: [], more: false } : await operator.ask(findLeads, { text });
  const leads = found.leads.map((lead) => ({
    ...lead,
    name: nameOf(lead),
  }));
  return await page("leads", "Leads", { text, leads, more: found.more });
}

async function story(operator: Operator, url: URL): Promise<Page> {
  const answer = await operator.ask(showLead, { lead: url.searchParams.get("id") ?? "" });
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
      return { heading, lines };
    }),
  });
}
