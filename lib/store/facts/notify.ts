import type { Queryable } from "../queryable.ts";

/** Leaves something for the next digest to tell, at the moment at which we learnt of it: no digest before has closed over it. */
export async function notify(
  db: Queryable,
  kind: "meeting_booked" | "lead_replied",
  {
    workspaceId,
    leadIds,
    now,
  }: { readonly workspaceId: string; readonly leadIds: readonly string[]; readonly now: Date },
): Promise<void> {
  await db.$executeRaw`
    insert into notification_event (workspace_id, kind, lead_id, occurred_at)
    select ${workspaceId}::uuid, ${kind}::notification_kind, unnest(${[...leadIds]}::uuid[]), ${now}`;
}
