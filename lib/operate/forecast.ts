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
  /** What the authors of its active sequences may not expect. */
  advice: adviceAnswer,
});

/** `forecast`: what goes out in the next days if no lead replies or books, no text is approved, and nothing changes. */
export const forecast = question({
  name: "forecast",
  summary: "Shows what goes out in the next days if no lead replies and nothing changes.",
  input: z.strictObject({ days: forecastDays, workspace: workspaceName.optional() }),
  answer: z.object({ from: isoInstant, until: isoInstant, workspaces: z.array(workspaceForecast) }),
  async run(db, { days, workspace }, now) {
    const until = daysAfter(now, days);
    const only = await workspaceIdOf(db, workspace);
    const workspaces = [];
    for (const { id, name, timeZone } of await readLiveWorkspaces(db, only)) {
      const counts = new ForeseenCounts(timeZone);
      let liveInstances = 0;
      for await (const live of liveGroups(db, id, now)) {
        liveInstances += live.length;
        for (const foreseen of futureOf(live, now, until)) counts.add(foreseen);
      }
      const advice = await adviceOn(db, id, await activeSequences(db, id), now);
      workspaces.push({ workspaceId: id, workspace: name, liveInstances, ...counts.counts, advice });
    }
    return { from: now, until, workspaces };
  },
});
