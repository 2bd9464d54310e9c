import * as z from "zod";
import { funnelStep, readFunnel } from "../store/funnel.ts";
import { question } from "./operation.ts";
import { theOrOnlyWorkspace, workspaceName } from "./workspaces.ts";

/** `funnel`: by sequence, version and step, the newest version first. */
export const funnel = question({
  name: "funnel",
  summary: "Shows for each step what was sent, and what became of it.",
  input: z.strictObject({ workspace: workspaceName.optional() }),
  answer: z.object({
    workspaceId: z.guid(),
    workspace: z.string(),
    /** Steps with a touch. A reply, booking or opt-out counts at the last touch that was sent to the lead before it. */
    steps: z.array(funnelStep),
  }),
  async run(db, { workspace }) {
    const { id, name } = await theOrOnlyWorkspace(db, workspace);
    return { workspaceId: id, workspace: name, steps: await readFunnel(db, id) };
  },
});
