import * as z from "zod";
import type { Fact } from "../../run/intake/facts.ts";
import type { FactOutcome } from "../../run/intake/outcome.ts";
import { databaseNow } from "../clock.ts";
import type { Queryable, Transactional } from "../queryable.ts";

/** How far the sender's clock may be ahead of ours. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

export type ApplyFact = (transaction: Queryable, now: Date) => Promise<FactOutcome>;
type Origin = Pick<Fact, "workspaceId" | "eventId" | "occurredAt" | "type">;

/**
 * Applies a fact in one transaction, unless it was applied before, and remembers it with its outcome. One that is refused is
 * not remembered: sent again, it is asked again. What `apply` has written where it refuses stays.
 */
export function takeInOnce(db: Transactional, fact: Origin, apply: ApplyFact): Promise<FactOutcome> {
  return db.transaction(async (transaction) => {
    const refusal = await lockWorkspace(transaction, fact.workspaceId);
    if (refusal) return refusal;
    if (await isKnown(transaction, fact)) return { outcome: "duplicate" };
    const now = await databaseNow(transaction);
    if (fact.occurredAt.getTime() > now.getTime() + CLOCK_TOLERANCE_MS) {
      return { outcome: "refused", reason: "occurredAt: lies in the future" };
    }
    const outcome = await apply(transaction, now);
    if (outcome.outcome !== "refused") await remember(transaction, fact, outcome, now);
    return outcome;
  });
}

/** The facts of a workspace go one after the other: two that make the same lead, or wait for the same leads, do not meet. */
async function lockWorkspace(db: Queryable, workspaceId: string): Promise<FactOutcome | undefined> {
  await db.$queryRaw`select pg_advisory_xact_lock(hashtext('backstop.intake'), hashtext(${workspaceId}::uuid::text))`;
  const rows = await db.$queryRaw`select from workspace where id = ${workspaceId}::uuid`;
  if (z.array(z.unknown()).parse(rows).length > 0) return undefined;
  return { outcome: "refused", reason: `workspaceId: there is no workspace ${workspaceId}` };
}

async function isKnown(db: Queryable, { workspaceId, eventId }: Origin): Promise<boolean> {
  const rows = await db.$queryRaw`
    select from intake_event where workspace_id = ${workspaceId}::uuid and event_id = ${eventId}`;
  return z.array(z.unknown()).parse(rows).length > 0;
}

async function remember(db: Queryable, fact: Origin, outcome: FactOutcome, now: Date): Promise<void> {
  await db.$executeRaw`
    insert into intake_event (workspace_id, event_id, detail_type, occurred_at, received_at, outcome)
    values (${fact.workspaceId}::uuid, ${fact.eventId}, ${fact.type}, ${fact.occurredAt}, ${now},
            ${JSON.stringify(outcome)}::jsonb)`;
}
