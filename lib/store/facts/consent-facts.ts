import * as z from "zod";
import type { FactOf } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { optIn } from "../opt-in.ts";
import { storedInstantOrNull } from "../rows.ts";
import { execute, one, type Queryable, type Sql, sql, type Transactional } from "../sql.ts";
import { notationsAsHashes, recipientsOf, suppress } from "../suppressions.ts";
import { recordOutcome } from "../touch-outcomes.ts";
import { APPLIED, applyOnce, notAfter } from "./apply-once.ts";
import { addEnded, type Ended, endInstances, endSuppressed } from "./instances.ts";
import {
  createdBy,
  type FoundLeads,
  findOrAddLeads,
  isRefused,
  lockAddressOf,
  namedIn,
  ofGoneTouch,
  touchIn,
} from "./leads.ts";

type OptOut = FactOf<"lead.opted_out"> | FactOf<"lead.complained">;

/**
 * Opts the lead out and ends all its sequences, post-booking ones included, in the same transaction. An opt-out from
 * before a known opt-in only ends what had started before the opt-in.
 */
export const leadOptedOut = (db: Transactional, given: FactOf<"lead.opted_out">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const found = await lockPerson(transaction, fact);
    if (isRefused(found)) return found;
    const source = fact.channel === "sms" ? "text" : "fact";
    const { optedOut, ...ended } = await optOut(transaction, { fact, found, now, source });
    if (optedOut === 0) return { outcome: "stale", ...ended, ...createdBy(found) };
    return { outcome: "applied", ...ended, started: 0, ...createdBy(found) };
  });

/** An opt-out, and a suppression that no opt-in takes back: of the lead's address and number, and those that the fact names. */
export const leadComplained = (db: Transactional, given: FactOf<"lead.complained">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId, lead, occurredAt } = fact;
    const found = await lockPerson(transaction, fact);
    if (isRefused(found)) return found;
    const touchIds = touchIn(lead);
    const named = notationsAsHashes(workspaceId, await namedIn(transaction, fact));
    const addresses = sql`${named} union ${recipientsOf(workspaceId, touchIds)} union ${addressesOf(found.leads)}`;
    await suppress(transaction, { addresses, reason: "complained", source: "fact", since: occurredAt });
    const { optedOut: _, ...ended } = await optOut(transaction, { fact, found, now, source: "fact" });
    // Last, because a settlement of the touch must not wait for a lead.
    await recordOutcome(transaction, { workspaceId, touchIds, outcome: "complained", at: occurredAt });
    return { outcome: "applied", ...ended, started: 0, ...createdBy(found) };
  });

interface Person extends FoundLeads {
  /** Also the leads that share an address or number with these. */
  readonly locked: readonly string[];
}

async function lockPerson(db: Queryable, { workspaceId, lead }: OptOut) {
  const { locked, recipients } = await lockAddressOf(db, workspaceId, lead);
  const found = await findOrAddLeads(db, { workspaceId, lead, leadIds: recipients });
  return isRefused(found) ? (ofGoneTouch(lead) ?? found) : { ...found, locked };
}

/** A SELECT of workspace_id, hash and kind. */
const addressesOf = (leads: FoundLeads["leads"]): Sql => sql`
  select lead.workspace_id, suppression_hash(lead.workspace_id, own.address) as hash, own.kind
    from lead
   cross join lateral (
     values (lead.normalised_email, 'email'::address_kind), (lead.normalised_phone, 'phone')) as own (address, kind)
   where lead.id = any(${leads.map(({ id }) => id)}::uuid[]) and own.address is not null`;

interface Change {
  readonly fact: OptOut;
  readonly found: Person;
  readonly now: Date;
  readonly source: "fact" | "text";
}

/**
 * Opts out the leads, counts them, and ends what the person's opt-out ends. A later opt-in of a lead shields its
 * addresses, and all leads that have one of them.
 */
async function optOut(
  db: Queryable,
  { fact, found, now, source }: Change,
): Promise<Ended & { readonly optedOut: number }> {
  const { workspaceId, lead, occurredAt } = fact;
  const leadIds = found.leads.map(({ id }) => id);
  // Before the leads: their trigger would write a suppression with another source.
  const addresses = sql`${addressesOf(found.leads)} union ${recipientsOf(workspaceId, touchIn(lead))}`;
  await suppress(db, { addresses, reason: "opted_out", source, since: occurredAt });
  const lastOptIn =
    source === "text" ? sql`greatest(opt_in.opted_in_at, opt_in.opted_in_by_text_at)` : sql`opt_in.opted_in_at`;
  const laterOptIn = sql`
    opt_in.id = any(${[...found.locked, ...leadIds]}::uuid[]) and ${lastOptIn} > ${occurredAt}::timestamptz`;
  const optedOut = await execute(db)`
    update lead set opted_out_at = greatest(opted_out_at, ${occurredAt}::timestamptz)
     where id = any(${leadIds}::uuid[]) and not exists (
       select from lead as opt_in
        where ${laterOptIn} and (opt_in.id = lead.id or opt_in.normalised_email = lead.normalised_email
                                 or opt_in.normalised_phone = lead.normalised_phone))`;
  const ended = await endSuppressed(db, { workspaceId, leadIds, now });
  if (optedOut === leadIds.length) return { optedOut, ...ended };
  const { optedInAt } = await one(db, optedInRow)`
    select max(${lastOptIn}) as "optedInAt" from lead as opt_in where ${laterOptIn}`;
  const ending = { workspaceId, leadIds: found.locked, now, status: "completed", reason: "opted_out" } as const;
  const which = { startedBefore: optedInAt ?? occurredAt };
  return { optedOut, ...addEnded(ended, await endInstances(db, { ...ending, which })) };
}

const optedInRow = z.object({ optedInAt: storedInstantOrNull });

/**
 * Takes back earlier opt-outs and bounces of the lead's address and number; by text, only opt-outs by text and bounces
 * of the number. Starts nothing.
 */
export const leadOptedIn = (db: Transactional, given: FactOf<"lead.opted_in">): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, now, fact) => {
    const { workspaceId, occurredAt, channel } = fact;
    const found = await findOrAddLeads(transaction, fact);
    if (isRefused(found)) return found;
    const by = channel === "sms" ? "text" : "fact";
    for (const { id } of found.leads) {
      await optIn(transaction, { id, workspaceId }, { at: notAfter(now, occurredAt), by });
    }
    return { ...APPLIED, ...createdBy(found) };
  });
