import * as z from "zod";
import { setPaused } from "../store/workspaces.ts";
import { order } from "./operation.ts";
import { theWorkspace, workspaceName } from "./workspaces.ts";

const input = z.strictObject({ workspace: workspaceName });
const answer = z.object({ workspaceId: z.guid(), name: z.string(), changed: z.boolean() });

/** `workspaces pause`: nothing is sent and no step is claimed until it is resumed. The backstop goes on. */
export const pauseWorkspace = order({
  name: "workspaces pause",
  summary: "Pauses a workspace: nothing is sent for it until it is resumed.",
  input,
  answer,
  async run(db, { workspace }, { at }) {
    const { id, name } = await theWorkspace(db, workspace);
    return { workspaceId: id, answer: { workspaceId: id, name, changed: await setPaused(db, id, at) } };
  },
});

/** `workspaces resume`: held steps are decided again by the next run. */
export const resumeWorkspace = order({
  name: "workspaces resume",
  summary: "Resumes a paused workspace: the next run decides its due steps again.",
  input,
  answer,
  async run(db, { workspace }) {
    const { id, name } = await theWorkspace(db, workspace);
    return { workspaceId: id, answer: { workspaceId: id, name, changed: await setPaused(db, id, null) } };
  },
});
