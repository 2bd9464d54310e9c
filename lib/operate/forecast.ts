import * as z from "zod";
import { daysAfter } from "../domain/time-zone.ts";
import { readLiveWorkspaces } from "../store/live-instances.ts";
import { activeSequences, adviceAnswer, adviceOn } from "./advice.ts";
import { ForeseenCounts, foreseenCounts } from "./foreseen-counts.ts";
import { futureOf } from "./future.ts";
import { liveGroups } from "./live-groups.ts";
import { isoInstant, question } from "./operation.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

/** How far a forecast looks. */
export const forecastDays = z.int().min(1).max(60).default(14);

const workspaceForecast = foreseenCounts.extend({
  workspaceId: z.guid(),
  workspace: z.string(),
  liveInstances: z.int(),
  /** Effects that the authors of its active sequences may not expect. */
  advice: adviceAnswer,
});

/** Where a page of workspaces ends, so that an answer has less than 6 MB and arrives in less than 60 s. */
const PAGE = { workspaces: 50, liveInstances: 50_000 };

/** `forecast`: what goes out in the next days if no lead replies or books, no text is approved, free times are left, and nothing changes. */
export const forecast = question({
  name: "forecast",
  summary: "Shows what goes out in the next days if no lead replies and nothing changes.",
  input: z.strictObject({
    days: forecastDays,
    workspace: workspaceName.optional(),
    /** `next` of the page before. */
    after: z.guid().nullable().default(null),
  }),
  answer: z.object({
    from: isoInstant,
    until: isoInstant,
    workspaces: z.array(workspaceForecast),
    /** `after` of the next page; null if there is none. */
    next: z.guid().nullable(),
  }),
  async run(db, { days, workspace, after }, now) {
    const until = daysAfter(now, days);
    const only = await workspaceIdOf(db, workspace);
    const workspaces = [];
    let done = 0;
    const live = await readLiveWorkspaces(db, { only, after });
    for (const { id, name, timeZone } of live) {
      if (workspaces.length === PAGE.workspaces || done >= PAGE.liveInstances) break;
      const counts = new ForeseenCounts(timeZone);
      let liveInstances = 0;
      for await (const group of liveGroups(db, id, now)) {
        liveInstances += group.length;
        for (const foreseen of futureOf(group, now, until)) counts.add(foreseen);
      }
      const advice = await adviceOn(db, id, await activeSequences(db, id), now);
      workspaces.push({ workspaceId: id, workspace: name, liveInstances, ...counts.counts, advice });
      done += liveInstances;
    }
    const next = workspaces.length < live.length ? (workspaces.at(-1)?.workspaceId ?? null) : null;
    return { from: now, until, workspaces, next };
  },
});
