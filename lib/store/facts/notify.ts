import type { Fact } from "../../run/intake/facts.ts";
import type { FactOutcome } from "../../run/intake/outcome.ts";
import { execute, type Queryable } from "../sql.ts";

/** Queues an event for the next digest, dated at receipt: the digest of an earlier time may already be closed. */
export async function notify(
  db: Queryable,
  kind: "meeting_booked" | "lead_replied",
  {
    workspaceId,
    leadIds,
    now,
  }: { readonly workspaceId: string; readonly leadIds: readonly string[]; readonly now: Date },
): Promise<void> {
  await execute(db)`
    insert into notification_event (workspace_id, kind, lead_id, occurred_at)
    select ${workspaceId}::uuid, ${kind}::notification_kind, unnest(${[...leadIds]}::uuid[]), ${now}`;
}

const MOST_CHARACTERS = 500;

/** Queues digest events for the leads that an applied fact created, and for its warnings. */
export async function notifyOfRemarks(
  db: Queryable,
  { workspaceId, type }: Pick<Fact, "workspaceId" | "type">,
  outcome: FactOutcome,
  now: Date,
): Promise<void> {
  if (outcome.outcome !== "applied" && outcome.outcome !== "stale") return;
  const { created = 0, warnings = [] } = outcome;
  if (created > 0) {
    await execute(db)`
      insert into notification_event (workspace_id, kind, count, occurred_at)
      values (${workspaceId}::uuid, 'lead_created', ${created}, ${now})`;
  }
  if (warnings.length > 0) {
    const detail = `${type}: ${warnings.join("; ")}`.slice(0, MOST_CHARACTERS);
    await execute(db)`
      insert into notification_event (workspace_id, kind, detail, occurred_at)
      values (${workspaceId}::uuid, 'fact_warned', ${detail}, ${now})`;
  }
}
