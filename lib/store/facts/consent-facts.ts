import * as z from "zod";
import { addressKeys } from "../../domain/address.ts";
import type { FactOf } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { optIn } from "../opt-in.ts";
import { instantOrNull } from "../rows.ts";
import { execute, one, type Queryable, type Sql, sql, type Transactional } from "../sql.ts";
import { notationsAsHashes, recipientsOf, suppress } from "../suppressions.ts";
import { recordOutcome } from "../touch-outcomes.ts";
import { applyOnce, notAfter } from "./apply-once.ts";
import { endInstances, endSuppressed } from "./instances.ts";
import { createdBy, type FoundLeads, findOrAddLeads, isRefused, lockAddressOf, type Refused } from "./leads.ts";

type OptOut = FactOf<"lead.opted_out"> | FactOf<"lead.complained">;

/**
 * Opts the lead out and ends all its sequences, post-booking ones included, in the same transaction. An opt-out from
 * before a known opt-in only ends what had started before the opt-in.
 */
export const leadOptedOut = (db: Transactional, given: FactOf<"lead.opted_out">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId } = fact;
    const found = await lockPerson(transaction, fact);
    if (isRefused(found)) return found;
    const leadIds = found.leads.map(({ id }) => id);
    const optedInAt = await readOptIn(transaction, leadIds);
    if (optedInAt && optedInAt > fact.occurredAt) {
      const ending = { workspaceId, leadIds: found.locked, now, status: "completed", reason: "opted_out" } as const;
      const ended = await endInstances(transaction, { ...ending, which: { startedBefore: optedInAt } });
      return { outcome: "stale", ...ended, ...createdBy(found) };
    }
    await optOut(transaction, fact, leadIds);
    const ended = await endSuppressed(transaction, { workspaceId, leadIds, now });
    return { outcome: "applied", ...ended, started: 0, ...createdBy(found) };
  });

/** An opt-out, and a suppression that no opt-in takes back: of the lead's address and number, and those that the fact names. */
export const leadComplained = (db: Transactional, given: FactOf<"lead.complained">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId, lead, occurredAt } = fact;
    const found = await lockPerson(transaction, fact);
    if (isRefused(found)) return found;
    const leadIds = found.leads.map(({ id }) => id);
    const touchIds = lead.touch === undefined ? [] : [lead.touch];
    const named = notationsAsHashes(workspaceId, { emails: addressKeys(lead.email ?? ""), phones: [] });
    const addresses = sql`${named} union ${recipientsOf(workspaceId, touchIds)} union ${addressesOf(leadIds)}`;
    await suppress(transaction, { addresses, reason: "complained", source: "fact", since: occurredAt });
    const optedInAt = await readOptIn(transaction, leadIds);
    if (!optedInAt || optedInAt <= occurredAt) await optOut(transaction, fact, leadIds);
    const ended = await endSuppressed(transaction, { workspaceId, leadIds, now });
    // Last, because a settlement of the touch must not wait for a lead.
    await recordOutcome(transaction, { workspaceId, touchIds, outcome: "complained", at: occurredAt });
    return { outcome: "applied", ...ended, started: 0, ...createdBy(found) };
  });

interface Person extends FoundLeads {
  /** Also the leads that share an address or number with these. */
  readonly locked: readonly string[];
}

async function lockPerson(db: Queryable, { workspaceId, lead }: OptOut): Promise<Person | Refused> {
  const { locked, recipients } = await lockAddressOf(db, workspaceId, lead);
  const found = await findOrAddLeads(db, { workspaceId, lead, leadIds: recipients });
  return isRefused(found) ? found : { ...found, locked };
}

/** A SELECT of workspace_id, hash and kind. */
const addressesOf = (leadIds: readonly string[]): Sql => sql`
  select lead.workspace_id, suppression_hash(lead.workspace_id, own.address), own.kind
    from lead
   cross join lateral (
     values (lead.normalised_email, 'email'::address_kind), (lead.normalised_phone, 'phone')) as own (address, kind)
   where lead.id = any(${[...leadIds]}::uuid[]) and own.address is not null`;

const optedInRow = z.object({ optedInAt: instantOrNull });

/** The latest opt-in of these leads. */
async function readOptIn(db: Queryable, leadIds: readonly string[]): Promise<Date | null> {
  const { optedInAt } = await one(db, optedInRow)`
    select max(opted_in_at) as "optedInAt" from lead where id = any(${[...leadIds]}::uuid[])`;
  return optedInAt;
}

async function optOut(
  db: Queryable,
  { workspaceId, lead, occurredAt }: OptOut,
  leadIds: readonly string[],
): Promise<void> {
  await execute(db)`
    update lead set opted_out_at = greatest(opted_out_at, ${occurredAt}::timestamptz)
     where id = any(${[...leadIds]}::uuid[])`;
  if (lead.touch === undefined) return;
  const addresses = recipientsOf(workspaceId, [lead.touch]);
  await suppress(db, { addresses, reason: "opted_out", source: "fact", since: occurredAt });
}

/** Takes back earlier opt-outs and bounces of the lead's address and number. Starts nothing. */
export const leadOptedIn = (db: Transactional, given: FactOf<"lead.opted_in">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId, occurredAt } = fact;
    const found = await findOrAddLeads(transaction, fact);
    if (isRefused(found)) return found;
    for (const { id } of found.leads) {
      await optIn(transaction, { id, workspaceId }, { at: notAfter(now, occurredAt), by: "fact" });
    }
    return { outcome: "applied", ended: 0, cancelledTouches: 0, started: 0, ...createdBy(found) };
  });
