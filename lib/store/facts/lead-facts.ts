import type { FactOf } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { insertLeadEvents } from "../digests.ts";
import { execute, type Transactional } from "../sql.ts";
import { APPLIED, applyOnce, notAfter, STALE } from "./apply-once.ts";
import {
  endUnanswered,
  latestContact,
  pauseAnswered,
  recordContact,
  recordReply,
  startAfterContact,
} from "./conversation.ts";
import { addEnded } from "./instances.ts";
import { createdBy, findOrAddLeads, isRefused } from "./leads.ts";

/**
 * Records a reply. The next decision pauses the lead's sequences, and claimed touches are cancelled instead of sent. A
 * reply from before a known contact has the effects that it would have had in time: the contact answered it.
 */
export const leadReplied = (db: Transactional, given: FactOf<"lead.replied">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId } = fact;
    const found = await findOrAddLeads(transaction, fact);
    if (isRefused(found)) return found;
    const at = notAfter(now, fact.occurredAt);
    const states = await recordReply(transaction, found.leads, at);
    await insertLeadEvents(transaction, "lead_replied", { workspaceId, leadIds: found.leads.map(({ id }) => id), now });
    const paused = await pauseAnswered(transaction, { workspaceId, states, now });
    const late = states.filter(({ contactedAt }) => contactedAt !== null && contactedAt >= at);
    const ended = await endUnanswered(transaction, { workspaceId, states: late, repliedAt: at, now });
    const contactedAt = latestContact(late);
    const started =
      contactedAt === null || fact.warnings.length > 0
        ? 0
        : await startAfterContact(transaction, { workspaceId, leads: found.leads, contactedAt, now });
    return { outcome: "applied", ...addEnded(ended, paused), started, ...createdBy(found) };
  });

/**
 * Records that someone on our side wrote or called. Answers the lead's reply, so that its pauses end by silence, and
 * starts the sequences with the trigger `setter_reply` or `no_response`.
 */
export const leadContacted = (db: Transactional, given: FactOf<"lead.contacted">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId, channel } = fact;
    const found = await findOrAddLeads(transaction, fact);
    if (isRefused(found)) return found;
    const contactedAt = notAfter(now, fact.occurredAt);
    const states = await recordContact(transaction, found.leads, { channel, at: contactedAt });
    const paused = await pauseAnswered(transaction, { workspaceId, states, now });
    const started = await startAfterContact(transaction, { workspaceId, leads: found.leads, contactedAt, now });
    return { outcome: "applied", ...paused, started, ...createdBy(found) };
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
    return changed > 0 ? { ...APPLIED, ...createdBy(found) } : STALE;
  });
