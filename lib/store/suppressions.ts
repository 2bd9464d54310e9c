import type { Settlement } from "../run/store-ports.ts";
import { isLockTimeout } from "./database-errors.ts";
import { execute, type Queryable, sql, type Transactional } from "./sql.ts";

/** The hash of the address of `lead` that `touch` goes to; null for channels without an address. */
export const RECIPIENT_HASH = sql`
  case touch.channel when 'email' then suppression_hash(lead.workspace_id, lead.normalised_email)
                     when 'sms' then suppression_hash(lead.workspace_id, lead.normalised_phone) end`;

/**
 * Why `touch` may not go to `lead`, read from the suppressions; null if it may. The columns of the lead miss a
 * suppression that was written concurrently with the lead.
 */
export const SUPPRESSED_NOW = sql`
  (select case max(suppression.reason)
            when 'undeliverable' then 'undeliverable_address' else max(suppression.reason)::text end
     from suppression
    where suppression.workspace_id = lead.workspace_id
      and suppression.hash in (suppression_hash(lead.workspace_id, lead.normalised_email),
                               suppression_hash(lead.workspace_id, lead.normalised_phone))
      and (suppression.reason <> 'undeliverable'
           or suppression.kind = case touch.channel when 'email' then 'email' when 'sms' then 'phone' end::address_kind))`;

/** Fires the triggers that recompute the suppression columns of these leads. */
export async function flagSuppressed(db: Queryable, leadIds: readonly string[]): Promise<void> {
  await execute(db)`
    update lead set suppressed_reason = suppressed_reason
     where id = any(array(select id from lead where id = any(${[...leadIds]}::uuid[]) order by id for no key update))`;
}

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
           case channel when 'sms' then 'phone' else 'email' end::address_kind, ${now}::timestamptz, ${source}
      from touch
     where id = any(${[...touchIds]}::uuid[]) and recipient_hash is not null
     order by workspace_id, recipient_hash
        on conflict do nothing`;
}

/**
 * Suppresses the addresses that providers report as undeliverable. Each address has its own transaction, apart from the
 * settlement: a suppression locks all leads of its address, and a settlement must not wait for a lead. After waiting
 * two seconds for a lock, skips that address and all after it; their next rejection suppresses them.
 */
export async function suppressUndeliverable(
  db: Transactional,
  settlements: readonly Settlement[],
  now: Date,
): Promise<void> {
  for (const settled of settlements) {
    if (!("undeliverable" in settled)) continue;
    try {
      await db.transaction(async (transaction) => {
        await execute(transaction)`set local lock_timeout = '2s'`;
        const why = { reason: "undeliverable", source: "provider" } as const;
        await suppressRecipients(transaction, [settled.touchId], why, now);
      });
    } catch (thrown) {
      if (isLockTimeout(thrown)) return;
      throw thrown;
    }
  }
}
