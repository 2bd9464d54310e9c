import { ADDRESS_KINDS, type AddressKind } from "../domain/labels.ts";
import type { Settlement } from "../run/store-ports.ts";
import { byAddress, literal } from "./columns.ts";
import { isLockTimeout } from "./database-errors.ts";
import { execute, join, type Queryable, raw, type Sql, sql, type Transactional } from "./sql.ts";

const hashOf = (kind: AddressKind): Sql => sql`suppression_hash(lead.workspace_id, lead.normalised_${raw(kind)})`;

/** The hash of the address of `lead` that `touch` goes to; null for channels without an address. */
export const RECIPIENT_HASH = byAddress(sql`touch.channel`, hashOf);

/**
 * Why `touch` may not go to `lead`, read from the suppressions; null if it may. The columns of the lead miss a
 * suppression that was written concurrently with the lead.
 */
export const SUPPRESSED_NOW = sql`
  (select case max(suppression.reason)
            when 'undeliverable' then 'undeliverable_address' else max(suppression.reason)::text end
     from suppression
    where suppression.workspace_id = lead.workspace_id
      and suppression.hash in (${join(ADDRESS_KINDS.map(hashOf))})
      and (suppression.reason <> 'undeliverable'
           or suppression.kind = ${byAddress(sql`touch.channel`, literal)}::address_kind))`;

/** Fires the triggers that recompute the suppression columns of these leads. */
export async function flagSuppressed(db: Queryable, leadIds: readonly string[]): Promise<void> {
  await execute(db)`
    update lead set suppressed_reason = suppressed_reason
     where id = any(array(select id from lead where id = any(${[...leadIds]}::uuid[]) order by id for no key update))`;
}

const KIND = byAddress(sql`channel`, literal);

/**
 * Suppresses the addresses that touches were sent to, even if their leads have other addresses now. Idempotent; a no-op
 * for touches without an address.
 */
export async function suppressRecipients(
  db: Queryable,
  touchIds: readonly string[],
  { reason, source }: { readonly reason: "undeliverable" | "complained" | "opted_out"; readonly source: string },
  now: Date,
): Promise<void> {
  await execute(db)`
    insert into suppression (workspace_id, hash, reason, kind, since, source)
    select distinct workspace_id, recipient_hash, ${reason}::suppression_reason,
           ${KIND}::address_kind, ${now}::timestamptz, ${source}
      from touch
     where id = any(${[...touchIds]}::uuid[]) and recipient_hash is not null
     order by workspace_id, recipient_hash
        on conflict do nothing`;
}

/**
 * Suppresses the addresses that providers report as undeliverable. Each address has its own transaction, apart from the
 * settlement: a suppression locks all leads of its address, and a settlement must not wait for a lead. After waiting
 * two seconds for a lock, skips that address: its next rejection suppresses it. The others then wait only briefly, so a
 * lead that one workspace holds keeps no address of another from its suppression.
 */
export async function suppressUndeliverable(
  db: Transactional,
  settlements: readonly Settlement[],
  now: Date,
): Promise<void> {
  let lockTimeout = "2s";
  for (const settled of settlements) {
    if (!("undeliverable" in settled)) continue;
    try {
      await db.transaction(async (transaction) => {
        await execute(transaction)`select set_config('lock_timeout', ${lockTimeout}, true)`;
        const why = { reason: "undeliverable", source: "provider" } as const;
        await suppressRecipients(transaction, [settled.id], why, now);
      });
    } catch (thrown) {
      if (!isLockTimeout(thrown)) throw thrown;
      lockTimeout = "50ms";
    }
  }
}
