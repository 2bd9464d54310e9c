import * as z from "zod";
import { finishTask, readOpenTasks, taskRow } from "../store/tasks.ts";
import { isoInstant, order, question, Refused } from "./operation.ts";
import { pageOf } from "./page.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

const PAGE = 200;

/** `tasks list`: the open ones, the oldest first. `next` continues with younger ones. */
export const listTasks = question({
  name: "tasks list",
  summary: "Lists the open tasks with their lead, the oldest first.",
  input: z.strictObject({
    workspace: workspaceName.optional(),
    /** The `next` of the answer before. */
    after: z.guid().optional(),
  }),
  answer: z.object({
    tasks: z.array(taskRow.extend({ createdAt: isoInstant })),
    next: z.guid().nullable(),
  }),
  async run(db, { workspace, after }) {
    const workspaceId = await workspaceIdOf(db, workspace);
    const found = await readOpenTasks(db, { workspaceId, after: after ?? null, limit: PAGE + 1 });
    const { rows: tasks, next } = pageOf(found, PAGE);
    return { tasks, next };
  },
});

/** `tasks done`: a task that is done already stays as it is. */
export const finish = order({
  name: "tasks done",
  summary: "Marks a task as done.",
  input: z.strictObject({ task: z.guid() }),
  answer: z.object({ taskId: z.guid(), changed: z.boolean() }),
  async run(db, { task: taskId }, { at }) {
    const task = await finishTask(db, { taskId, at });
    if (!task) throw new Refused("not_found", `there is no task ${taskId}: tasks list shows the open ones`);
    if (task.state === "cancelled") {
      throw new Refused("cancelled", `the task ${taskId} was cancelled, because its sequence was stopped`);
    }
    const { workspaceId, leadId, state } = task;
    return { workspaceId, leadId, answer: { taskId, changed: state === "open" } };
  },
});
