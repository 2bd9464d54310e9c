import type { Db } from "./connect.ts";

/** Something for a person to do; one for each touch. */
export interface NewTask {
  readonly touchId: string;
  readonly workspaceId: string;
  readonly leadId: string;
  readonly title: string;
  readonly notes: string;
}

/** Leaves the task; a second time for the same touch changes nothing. */
export async function createTask(db: Db, task: NewTask): Promise<void> {
  await db.$executeRaw`
    insert into task (workspace_id, touch_id, lead_id, title, notes)
    values (${task.workspaceId}::uuid, ${task.touchId}::uuid, ${task.leadId}::uuid, ${task.title}, ${task.notes})
        on conflict (workspace_id, touch_id) do nothing`;
}
