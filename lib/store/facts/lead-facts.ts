import type { FactOutcome } from "../../run/intake/apply-messages.ts";
import type { FactOf } from "../../run/intake/facts.ts";
import { insertLeadEvents } from "../digests.ts";
import { execute, type Transactional } from "../sql.ts";
import { applyOnce } from "./apply-once.ts";
import { endSuppressed } from "./instances.ts";
import { createdBy, findOrAddLeads, isRefused, lockAddressOf } from "./leads.ts";

const NOTHING = { ended: 0, cancelledTouches: 0, started: 0 };

/**
 * Records a reply. The next decision pauses the lead's sequences, and claimed touches are cancelled instead of sent.
 */
export const leadReplied = (db: Transactional, given: FactOf<"lead.replied">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId, occurredAt } = fact;
    const found = await findOrAddLeads(transaction, fact);
    if (isRefused(found)) return found;
    const leadIds = found.leads.map(({ id }) => id);
    await execute(transaction)`
      update lead set last_inbound_at = greatest(last_inbound_at, least(${occurredAt}::timestamptz, ${now}::timestamptz))
       where id = any(${leadIds}::uuid[])`;
    await insertLeadEvents(transaction, "lead_replied", { workspaceId, leadIds, now });
    return { outcome: "applied", ...NOTHING, ...createdBy(found) };
  });

/**
 * Pauses the lead's sequences until `until`; null ends the snooze. The latest `occurredAt` wins, in any arrival order.
 */
export const leadSnoozed = (db: Transactional, fact: FactOf<"lead.snoozed">): Promise<FactOutcome> =>
  applyOnce(db, fact, async (transaction) => {
    const { occurredAt, until } = fact;
    const found = await findOrAddLeads(transaction, fact);
    if (isRefused(found)) return found;
    const changed = await execute(transaction)`
      update lead set snoozed_until = ${until}::timestamptz, snoozed_at = ${occurredAt}
       where id = any(${found.leads.map(({ id }) => id)}::uuid[])
         and (snoozed_at is null or snoozed_at < ${occurredAt}
              or (snoozed_at = ${occurredAt} and coalesce(${until}::timestamptz, '-infinity') >
                                                 coalesce(snoozed_until, '-infinity')))`;
    return changed > 0
      ? { outcome: "applied", ...NOTHING, ...createdBy(found) }
      : { outcome: "stale", ended: 0, cancelledTouches: 0 };
  });

/** Opts the lead out and ends all its sequences, post-booking ones included, in the same transaction. */
export const leadOptedOut = (db: Transactional, given: FactOf<"lead.opted_out">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId, occurredAt } = fact;
    await lockAddressOf(transaction, workspaceId, fact.lead);
    const found = await findOrAddLeads(transaction, fact);
    if (isRefused(found)) return found;
    const leadIds = found.leads.map(({ id }) => id);
    await execute(transaction)`
      update lead set opted_out_at = least(opted_out_at, ${occurredAt}::timestamptz) where id = any(${leadIds}::uuid[])`;
    const ended = await endSuppressed(transaction, { workspaceId, leadIds, now });
    return { outcome: "applied", ...ended, started: 0, ...createdBy(found) };
  });
