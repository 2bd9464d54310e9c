import * as z from "zod";
import { daysAfter } from "../domain/time-zone.ts";
import { countFacts, factCount } from "../store/fact-counts.ts";
import { isoInstant, question } from "./operation.ts";
import { MAX_LISTED } from "./page.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

/** `facts`: the 1,000 most frequent. A fact with two warnings counts once for each. */
export const facts = question({
  name: "facts",
  summary: "Counts the facts that were received, by type, outcome and warning.",
  input: z.strictObject({ days: z.int().min(1).max(365).default(1), workspace: workspaceName.optional() }),
  answer: z.object({ since: isoInstant, groups: z.array(factCount) }),
  async run(db, { days, workspace }, now) {
    const since = daysAfter(now, -days);
    const workspaceId = await workspaceIdOf(db, workspace);
    return { since, groups: await countFacts(db, { workspaceId, since, limit: MAX_LISTED }) };
  },
});
