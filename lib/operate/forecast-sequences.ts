import * as z from "zod";
import { daysAfter } from "../domain/time-zone.ts";
import { unknownFieldsOf } from "../store/lead-fields.ts";
import { conflicts, planSequences } from "../store/sequences.ts";
import { readStoredSteps } from "../store/stored-sequences.ts";
import { planApplySequences } from "./apply-sequences.ts";
import { editOf } from "./edited-sequences.ts";
import { EffectCounts, effect } from "./effect.ts";
import { forecastDays } from "./forecast.ts";
import { ForeseenCounts, foreseenCounts } from "./foreseen-counts.ts";
import { futureOf } from "./future.ts";
import { liveGroups } from "./live-groups.ts";
import { isoInstant, question, Refused } from "./operation.ts";
import { changed } from "./packed-instances.ts";
import { theOrOnlyWorkspace } from "./workspaces.ts";

/**
 * `forecast --sequences`: how applying sequences changes the forecast. It equals the answer of `forecast` once they
 * are applied: leads in progress finish the version that they started, with its new words.
 */
export const forecastSequences = question({
  name: "forecast sequences",
  summary: "Shows how applying sequences would change what goes out in the next days.",
  input: planApplySequences.input.extend({ days: forecastDays }),
  answer: z.object({
    workspaceId: z.guid(),
    workspace: z.string(),
    timeZone: z.string(),
    from: isoInstant,
    until: isoInstant,
    liveInstances: z.int(),
    /** One for each sequence, in the same order. */
    plans: z.array(
      z.object({
        sequence: z.string(),
        isNew: z.boolean(),
        isChanged: z.boolean(),
        /** Whether steps, order or delays change, which only leads that start later get. */
        needsNewVersion: z.boolean(),
        /** Leads in the sequence; counted only if the change depends on it, else 0. */
        inside: z.int(),
      }),
    ),
    before: foreseenCounts,
    after: foreseenCounts,
    ...effect.shape,
  }),
  async run(db, { days, workspace, sequences, newFields: added }, now) {
    const { id, name, timeZone } = await theOrOnlyWorkspace(db, workspace);
    const plans = await planSequences(db, id, sequences);
    const faults = [
      ...plans.flatMap((plan) => conflicts(plan, undefined)),
      ...(await unknownFieldsOf(db, id, sequences, added)),
    ];
    if (faults.length > 0) throw new Refused("not_applicable", `applying would be refused: ${faults.join("; ")}`);
    const stored = await readStoredSteps(db, id);
    const edit = editOf(plans, stored);
    const until = daysAfter(now, days);
    const [before, after] = [new ForeseenCounts(timeZone), new ForeseenCounts(timeZone)];
    const effects = new EffectCounts(stored);
    let liveInstances = 0;
    for await (const live of liveGroups(db, id, now)) {
      liveInstances += live.length;
      effects.add(
        live,
        edit,
        () => before.counting(futureOf(live, now, until)),
        () => after.counting(futureOf(changed(live, edit), now, until)),
      );
    }
    return {
      workspaceId: id,
      workspace: name,
      timeZone,
      from: now,
      until,
      liveInstances,
      plans: plans.map(foreseenPlan),
      before: before.counts,
      after: after.counts,
      ...effects.effect,
    };
  },
});

const foreseenPlan = ({
  after: { name: sequence },
  stored,
  change,
  inside,
}: Awaited<ReturnType<typeof planSequences>>[number]) => ({
  sequence,
  isNew: stored?.written === undefined,
  isChanged: !change.isNone,
  needsNewVersion: change.needsNewVersion,
  inside,
});
