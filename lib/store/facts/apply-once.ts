import * as z from "zod";
import { CLOCKS_DIFFER_MS } from "../../domain/time-zone.ts";
import { type Fact, stops } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { insertDigestEvents } from "../digests.ts";
import { DATABASE_NOW, execute, one, type Queryable, sql, type Transactional } from "../sql.ts";

/** The outcome of a fact that counts and ends or starts nothing. */
export const APPLIED = { outcome: "applied", ended: 0, cancelledTouches: 0, started: 0 } as const;
/** The outcome of a fact that changes nothing. */
export const STALE = { outcome: "stale", ended: 0, cancelledTouches: 0 } as const;

type ApplyFact<Given extends Origin> = (transaction: Queryable, now: Date, fact: Given) => Promise<FactOutcome>;
type Origin = Pick<Fact, "workspaceId" | "eventId" | "occurredAt" | "type" | "warnings">;

/**
 * Applies a fact once, in one transaction, and stores its outcome under the event id. A refused fact is not stored, so
 * a redelivery is processed again. Rows that `apply` wrote before it refused are kept.
 */
export function applyOnce<Given extends Origin>(
  db: Transactional,
  fact: Given,
  apply: ApplyFact<Given>,
): Promise<FactOutcome> {
  return db.transaction(async (transaction) => {
    await lockFacts(transaction, fact.workspaceId);
    const { workspaceIsKnown, eventIsKnown, now } = await readArrival(transaction, fact);
    if (!workspaceIsKnown) return refuseUnknown(fact.workspaceId);
    if (eventIsKnown) return { outcome: "duplicate" };
    const received = asReceived(fact, now);
    if (!received) return { outcome: "refused", reason: "occurredAt: is in the future" };
    const outcome = withWarnings(await apply(transaction, now, received), received);
    if (outcome.outcome !== "refused") await storeOutcome(transaction, received, outcome, now);
    await insertRemarks(transaction, received, outcome, now);
    return outcome;
  });
}

/** Dates a stopping fact from the future at now, with a warning. Undefined for any other fact from the future. */
function asReceived<Given extends Origin>(fact: Given, now: Date): Given | undefined {
  if (fact.occurredAt.getTime() <= now.getTime() + CLOCKS_DIFFER_MS) return fact;
  if (!stops(fact.type)) return undefined;
  const isNamed = fact.warnings.some((warning) => warning.startsWith("occurredAt: "));
  const warnings = isNamed ? [] : ["occurredAt: is in the future, so the time of receipt is used"];
  return { ...fact, occurredAt: now, warnings: [...fact.warnings, ...warnings] };
}

/** An event counts from now at the latest: a sender's clock may be ahead. */
export const notAfter = (now: Date, at: Date): Date => (at < now ? at : now);

const withWarnings = (outcome: FactOutcome, { warnings }: Origin): FactOutcome =>
  warnings.length > 0 && (outcome.outcome === "applied" || outcome.outcome === "stale")
    ? { ...outcome, warnings: [...warnings, ...(outcome.warnings ?? [])] }
    : outcome;

/** Serialises the facts of a workspace, so that two never create the same lead or deadlock. */
export async function lockFacts(db: Queryable, workspaceId: string): Promise<void> {
  await execute(db)`select pg_advisory_xact_lock(hashtext('backstop.intake'), hashtext(${workspaceId}::uuid::text))`;
}

const refuseUnknown = (workspaceId: string): FactOutcome => ({
  outcome: "refused",
  reason: `workspaceId: there is no workspace ${workspaceId}`,
});

const arrivalRow = z.object({ workspaceIsKnown: z.boolean(), eventIsKnown: z.boolean(), now: z.date() });

/** One statement after the lock, because every fact pays for it. */
async function readArrival(db: Queryable, { workspaceId, eventId }: Origin): Promise<z.infer<typeof arrivalRow>> {
  return await one(db, arrivalRow)`
    select exists (select from workspace where id = ${workspaceId}::uuid) as "workspaceIsKnown",
           exists (select from intake_event
                    where workspace_id = ${workspaceId}::uuid and event_id = ${eventId}) as "eventIsKnown",
           ${DATABASE_NOW} as now`;
}

async function storeOutcome(db: Queryable, fact: Origin, outcome: FactOutcome, now: Date): Promise<void> {
  await execute(db)`
    insert into intake_event (workspace_id, event_id, detail_type, occurred_at, received_at, outcome)
    values (${fact.workspaceId}::uuid, ${fact.eventId}, ${fact.type}, ${fact.occurredAt}, ${now},
            ${JSON.stringify(outcome)}::jsonb)`;
}

const LONGEST_DETAIL = 500;

/** Queues digest events for the leads that an applied fact created, and for its warnings. */
async function insertRemarks(
  db: Queryable,
  { workspaceId, type }: Pick<Fact, "workspaceId" | "type">,
  outcome: FactOutcome,
  now: Date,
): Promise<void> {
  if (outcome.outcome !== "applied" && outcome.outcome !== "stale") return;
  const { created = 0, warnings = [] } = outcome;
  const event = { workspaceId: sql`${workspaceId}::uuid`, now };
  if (created > 0) {
    await execute(
      db,
    )`${insertDigestEvents({ ...event, kind: "lead_created", column: "count", value: sql`${created}::int` })}`;
  }
  if (warnings.length > 0) {
    const detail = `${type}: ${warnings.join("; ")}`.slice(0, LONGEST_DETAIL);
    await execute(
      db,
    )`${insertDigestEvents({ ...event, kind: "fact_warned", column: "detail", value: sql`${detail}` })}`;
  }
}
