import * as z from "zod";
import { INSTANCE_STATUSES } from "../domain/labels.ts";
import { storedInstantOrNull } from "./rows.ts";
import { many, type Queryable } from "./sql.ts";

export const dueCount = z.object({
  workspaceId: z.guid(),
  workspace: z.string(),
  status: z.enum(INSTANCE_STATUSES),
  /** Why it is held or paused; null for those that are due or wait for their time. */
  reason: z.string().nullable(),
  instances: z.int(),
  /** How many of them the next run decides. */
  due: z.int(),
  /** When the first of them is decided, or was due. */
  first: storedInstantOrNull,
});

/** Live instances by workspace, status and reason, the most frequent first. Reads all of them. */
export async function countLive(
  db: Queryable,
  { workspaceId, now }: { readonly workspaceId: string | null; readonly now: Date },
): Promise<z.infer<typeof dueCount>[]> {
  return await many(db, dueCount)`
    select workspace.id as "workspaceId", workspace.name as workspace, instance.status::text,
           coalesce(instance.paused_reason::text, instance.hold_reason) as reason, count(*)::int as instances,
           (count(*) filter (where instance.next_step_due <= ${now}))::int as due,
           min(instance.next_step_due) as first
      from follow_up_instance as instance join workspace on workspace.id = instance.workspace_id
     where instance.live and (${workspaceId}::uuid is null or instance.workspace_id = ${workspaceId}::uuid)
     group by 1, 2, 3, 4
     order by workspace.name, workspace.id, instances desc, 3, 4 nulls first`;
}
