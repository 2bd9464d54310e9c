import * as z from "zod";
import { countLive, dueCount } from "../store/due-counts.ts";
import { isoInstant, question } from "./operation.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

/** `due`: live instances by workspace, status and reason. */
export const due = question({
  name: "due",
  summary: "Counts what is due, held and paused now, by workspace and reason.",
  input: z.strictObject({ workspace: workspaceName.optional() }),
  answer: z.object({ groups: z.array(dueCount.extend({ first: isoInstant.nullable() })) }),
  async run(db, { workspace }, now) {
    return { groups: await countLive(db, { workspaceId: await workspaceIdOf(db, workspace), now }) };
  },
});
