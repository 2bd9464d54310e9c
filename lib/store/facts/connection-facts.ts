import { failingText, isWorthReporting } from "../../domain/sweeps.ts";
import type { FactOf } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { storeAvailability } from "../availability.ts";
import { markReported, storeSweep } from "../connection-sweeps.ts";
import { insertDigestEvents } from "../digests.ts";
import { databaseNow, execute, sql, type Transactional } from "../sql.ts";
import { APPLIED, lockFacts, notAfter, STALE } from "./apply-once.ts";

// The secret of an unknown workspace also reports, and its facts are stale. Not refused: hundreds a day would fill the queue
// of refused events. The bookings of the connection are refused, and name the workspace.

/**
 * Stores the free times of a booking tool, which texts offer. Only the latest counts, so that its event id is not stored:
 * a connection sends hundreds a day.
 */
export const connectionAvailability = (
  db: Transactional,
  fact: FactOf<"connection.availability">,
): Promise<FactOutcome> =>
  db.transaction(async (transaction) => {
    const { workspaceId, tool, bookingUrl } = fact;
    await lockFacts(transaction, workspaceId);
    const takenAt = notAfter(await databaseNow(transaction), fact.occurredAt);
    const slots = uniqueTimes(fact.slots);
    const stored = await storeAvailability(transaction, { workspaceId, tool, takenAt, slots, bookingUrl });
    return stored ? APPLIED : STALE;
  });

/** The times in order of start, each once. */
const uniqueTimes = (slots: FactOf<"connection.availability">["slots"]) =>
  [...new Map(slots.map((slot) => [slot.startsAt.getTime(), slot])).values()].toSorted(
    (one, other) => one.startsAt.getTime() - other.startsAt.getTime(),
  );

/**
 * Stores how old the comparison with a booking tool is. It is idempotent and independent of order, so its event id is
 * not stored: a connection sends hundreds a day. Queues one digest event for a connection that fails.
 */
export const connectionSwept = (db: Transactional, fact: FactOf<"connection.swept">): Promise<FactOutcome> =>
  db.transaction(async (transaction) => {
    const { workspaceId } = fact;
    const now = await databaseNow(transaction);
    const sweep = { ...fact, at: notAfter(now, fact.occurredAt) };
    const state = await storeSweep(transaction, sweep);
    if (!state) return STALE;
    if (isWorthReporting(state) && !state.isReported) {
      const about = { workspaceId: sql`${workspaceId}::uuid`, kind: "connection_failing", now } as const;
      await execute(
        transaction,
      )`${insertDigestEvents({ ...about, column: "detail", value: sql`${failingText(state)}` })}`;
      await markReported(transaction, sweep);
    }
    return +state.triedAt > +sweep.at ? STALE : APPLIED;
  });
