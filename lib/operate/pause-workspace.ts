import * as z from "zod";
import { pauseAll, resumeAll, type SwitchedWorkspace, setPaused } from "../store/workspaces.ts";
import { order } from "./operation.ts";
import { MAX_LISTED } from "./page.ts";
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

const all = z.strictObject({});
const allAnswer = z.object({ changed: z.array(z.string()), unchanged: z.array(z.string()), more: z.boolean() });

/** `workspaces pause-all`: as `workspaces pause`, for all that are not paused. */
export const pauseAllWorkspaces = order({
  name: "workspaces pause-all",
  summary: "Pauses all workspaces: nothing is sent until they are resumed.",
  input: all,
  answer: allAnswer,
  run: async (db, _, { at }) => ({ workspaceId: null, answer: listed(await pauseAll(db, at)) }),
});

/** `workspaces resume-all`: those that `workspaces pause-all` paused. Others, such as those of the guardrail, stay paused. */
export const resumeAllWorkspaces = order({
  name: "workspaces resume-all",
  summary: "Resumes the workspaces that were paused together; others stay paused.",
  input: all,
  answer: allAnswer,
  run: async (db) => ({ workspaceId: null, answer: listed(await resumeAll(db, pauseAllWorkspaces.name)) }),
});

/** Names of at most 1,000 workspaces that changed, and of those that did not. */
function listed(switched: readonly SwitchedWorkspace[]): z.output<typeof allAnswer> {
  const names = (changed: boolean) => switched.filter((one) => one.changed === changed).map(({ name }) => name);
  const [changed, unchanged] = [names(true), names(false)];
  const more = Math.max(changed.length, unchanged.length) > MAX_LISTED;
  return { changed: changed.slice(0, MAX_LISTED), unchanged: unchanged.slice(0, MAX_LISTED), more };
}
