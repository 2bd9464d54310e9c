import * as z from "zod";
import { ADDRESS_KINDS } from "../../domain/labels.ts";
import type { FactOf } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { notationsOf } from "../person.ts";
import { storedInstant } from "../rows.ts";
import { execute, many, type Queryable, type Sql, sql, type Transactional } from "../sql.ts";
import { notationsAsHashes, recipientsOf, suppress } from "../suppressions.ts";
import { recordOutcome } from "../touch-outcomes.ts";
import { APPLIED, applyOnce } from "./apply-once.ts";
import {
  findTouch,
  isRefused,
  leadsNamedBy,
  namedIn,
  ofGoneTouch,
  refuseFact,
  refuseUnknownIds,
  touchIn,
} from "./leads.ts";

type Bounce = FactOf<"lead.bounced">;

/**
 * Suppresses an address or number that cannot be reached: at once after a permanent bounce, at the third transient one
 * within 30 days. Ends nothing: steps to it are skipped, and other channels continue. A bounced message was sent, so its
 * touch stays or becomes `sent`.
 */
export const leadBounced = (db: Transactional, given: Bounce): Promise<FactOutcome> =>
  applyOnce(db, given, async (transaction, _now, fact) => {
    const { workspaceId, lead, kind, occurredAt } = fact;
    const addresses = await bouncedAddresses(transaction, fact);
    if (isRefused(addresses)) return addresses;
    for (const notations of addresses) {
      if (kind === "transient") await countTransient(transaction, fact, notations);
      else await suppress(transaction, { addresses: notations, notations, ...UNDELIVERABLE, since: occurredAt });
    }
    // Last, because a settlement of the touch must not wait for a lead.
    const outcome = kind === "permanent" ? "bounced" : "deferred";
    await recordOutcome(transaction, { workspaceId, touchIds: touchIn(lead), outcome, at: occurredAt });
    return APPLIED;
  });

const UNDELIVERABLE = { reason: "undeliverable", source: "fact" } as const;

/**
 * SELECTs of workspace_id, hash and kind: the address and the number that the fact gives, in every notation, and the
 * one that its touch went to. Without them, the e-mail address of the leads that it names.
 */
async function bouncedAddresses(db: Queryable, fact: Bounce) {
  const { workspaceId, lead } = fact;
  const named = await namedIn(db, fact);
  const given = [notationsAsHashes(workspaceId, named), recipientsOf(workspaceId, touchIn(lead))];
  if (named.emails.length > 0 || named.phones.length > 0 || (await findTouch(db, workspaceId, lead.touch)))
    return given;
  const leads = await leadsNamedBy(db, fact);
  if (leads.length === 0) {
    return ofGoneTouch(lead) ?? refuseUnknownIds(fact) ?? refuseFact("lead.externalId: there is no lead with this id");
  }
  const own: string[] = [];
  for (const { id } of leads) own.push(...(await notationsOf(db, { id, workspaceId })).emails);
  if (own.length === 0) return refuseFact("lead: it has no e-mail address; give the address or number that bounced");
  return [notationsAsHashes(workspaceId, { emails: own, phones: [] })];
}

const thirdRow = z.object({ hash: z.string(), kind: z.enum(ADDRESS_KINDS), at: storedInstant });

/** Counts each touch, or else each event, once. Suppresses at the latest third bounce, in any order of arrival. */
async function countTransient(
  db: Queryable,
  { workspaceId, lead, eventId, occurredAt }: Bounce,
  notations: Sql,
): Promise<void> {
  await execute(db)`
    insert into transient_bounce (workspace_id, hash, cause, occurred_at)
    select workspace_id, hash, ${lead.touch ?? eventId}, ${occurredAt}::timestamptz from (${notations}) as address
     order by workspace_id, hash
        on conflict (workspace_id, hash, cause) do update set occurred_at = excluded.occurred_at
     where excluded.occurred_at < transient_bounce.occurred_at`;
  const thirds = await many(db, thirdRow)`
    select encode(hash, 'hex') as hash, kind::text, max(occurred_at) as at
      from (
        select hash, address.kind, occurred_at,
               lag(occurred_at, 2) over (partition by hash order by occurred_at) >= occurred_at - interval '30 days' as is_third
          from (${notations}) as address
          join transient_bounce as bounce using (workspace_id, hash)) as counted
     where is_third
     group by hash, kind`;
  for (const { hash, kind, at } of thirds) {
    const one = sql`
      select ${workspaceId}::uuid as workspace_id, decode(${hash}, 'hex') as hash, ${kind}::address_kind as kind`;
    await suppress(db, { addresses: one, notations, ...UNDELIVERABLE, since: at });
  }
}
