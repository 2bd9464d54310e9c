import * as z from "zod";
import { LEAD_NAME } from "./columns.ts";
import { storedInstant } from "./rows.ts";
import { many, type Queryable } from "./sql.ts";

/** An open task with readable names. */
export const taskRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  workspace: z.string(),
  leadId: z.guid(),
  leadName: z.string(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  sequence: z.string(),
  position: z.int(),
  title: z.string(),
  notes: z.string(),
  createdAt: storedInstant,
});

interface TaskQuery {
  /** Null: all workspaces. */
  readonly workspaceId: string | null;
  /** Only tasks that were created after this one. */
  readonly after: string | null;
  readonly limit: number;
}

/** Open tasks with their lead, the oldest first. */
export async function readOpenTasks(db: Queryable, { workspaceId, after, limit }: TaskQuery) {
  return await many(db, taskRow)`
    select task.id, task.workspace_id as "workspaceId", workspace.name as workspace, task.lead_id as "leadId",
           ${LEAD_NAME} as "leadName", lead.email, lead.phone,
           sequence.name as sequence, step.position, task.title, task.notes, task.created_at as "createdAt"
      from task
      join touch on touch.workspace_id = task.workspace_id and touch.id = task.touch_id
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = step.sequence_id
      join workspace on workspace.id = task.workspace_id
      join lead on lead.workspace_id = task.workspace_id and lead.id = task.lead_id
     where task.done_at is null and task.cancelled_at is null
       and (${workspaceId}::uuid is null or task.workspace_id = ${workspaceId}::uuid)
       and (${after}::uuid is null or task.id > ${after}::uuid)
     order by task.id
     limit ${limit}`;
}

const doneRow = z.object({
  workspaceId: z.guid(),
  leadId: z.guid(),
  state: z.enum(["open", "done", "cancelled"]),
});

/** Marks an open task as done. Returns its state before that; undefined if there is none with this id. */
export async function finishTask(
  db: Queryable,
  { taskId, at }: { readonly taskId: string; readonly at: Date },
): Promise<z.infer<typeof doneRow> | undefined> {
  const [task] = await many(db, doneRow)`
    with found as materialized (
      select id, workspace_id, lead_id, done_at, cancelled_at from task where id = ${taskId}::uuid for no key update),
    finished as (
      update task set done_at = ${at}::timestamptz
        from found
       where task.id = found.id and found.done_at is null and found.cancelled_at is null)
    select workspace_id as "workspaceId", lead_id as "leadId",
           case when done_at is not null then 'done' when cancelled_at is not null then 'cancelled' else 'open' end as state
      from found`;
  return task;
}
