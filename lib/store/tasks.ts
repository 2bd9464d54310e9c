import type { Db } from "./connect.ts";
import { execute } from "./sql.ts";

/** A manual task; at most one per touch. */
export interface NewTask {
  readonly touchId: string;
  readonly workspaceId: string;
  readonly leadId: string;
  readonly title: string;
  readonly notes: string;
}

/** Inserts the task. A second call for the same touch is a no-op. */
export async function createTask(db: Db, task: NewTask): Promise<void> {
  await execute(db)`
    insert into task (workspace_id, touch_id, lead_id, title, notes)
    values (${task.workspaceId}::uuid, ${task.touchId}::uuid, ${task.leadId}::uuid, ${task.title}, ${task.notes})
        on conflict (workspace_id, touch_id) do nothing`;
}
