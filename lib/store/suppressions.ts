import { ADDRESS_KINDS, type AddressKind, type SuppressionReason } from "../domain/labels.ts";
import type { Settlement } from "../run/delivery-ports.ts";
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

/**
 * The columns of `lead` for leads with one of the hashes: a SELECT of lead, hash and kind. `hashes` is an array that
 * depends on no other row; only then PostgreSQL uses the indexes `lead_email_hash` and `lead_phone_hash`.
 */
export const leadsWithHash = (hashes: Sql): Sql =>
  join(
    ADDRESS_KINDS.map(
      (kind) => sql`
      select lead.id, lead.opted_in_at, lead.opted_in_by_text_at, ${hashOf(kind)} as hash, ${literal(kind)}::address_kind as kind
        from lead
       where lead.normalised_${raw(kind)} is not null and ${hashOf(kind)} = any(${hashes})`,
    ),
    " union all ",
  );

const KIND = byAddress(sql`touch.channel`, literal);

/** A SELECT of workspace_id, hash and kind: the addresses and numbers that touches of a workspace were sent to. */
export const recipientsOf = (workspaceId: string | null, touchIds: readonly string[]): Sql => sql`
  select touch.workspace_id, touch.recipient_hash as hash, ${KIND}::address_kind as kind
    from touch
   where touch.id = any(${[...touchIds]}::uuid[]) and touch.recipient_hash is not null
     and (${workspaceId}::uuid is null or touch.workspace_id = ${workspaceId}::uuid)`;

/** Addresses and numbers, normalised. */
export interface Notations {
  readonly emails: readonly string[];
  readonly phones: readonly string[];
}

/** A SELECT of workspace_id, hash and kind: addresses and numbers in these forms. */
export const notationsAsHashes = (workspaceId: string, { emails, phones }: Notations): Sql => sql`
  select distinct ${workspaceId}::uuid as workspace_id, suppression_hash(${workspaceId}::uuid, notation) as hash,
         kind::address_kind
    from (select unnest(${[...emails]}::text[]) as notation, 'email' as kind
          union all
          select unnest(${[...phones]}::text[]), 'phone') as given`;

interface ToSuppress {
  /** A SELECT of workspace_id, hash and kind. */
  readonly addresses: Sql;
  /** A SELECT of the same columns: every form of the address, if it has several. An opt-in may have used any. */
  readonly notations?: Sql;
  readonly reason: SuppressionReason;
  /** `text`: an opt-out by text, which a later text takes back. */
  readonly source: "provider" | "erasure" | "fact" | "text";
  /** When it happened. */
  readonly since: Date;
}

/**
 * Suppresses addresses and numbers, also of future leads. Idempotent, in any order of arrival: the latest time counts. A
 * later opt-in of a lead with the address takes back everything except a complaint. One by text takes back opt-outs by
 * text and bounces of a number.
 */
export async function suppress(db: Queryable, given: ToSuppress): Promise<void> {
  const { addresses, notations, reason, source, since } = given;
  const hashes = sql`array(select hash from (${notations ?? addresses}) as form)`;
  const byText = sql`${source} = 'text' or (${reason} = 'undeliverable' and kind = 'phone')`;
  await execute(db)`
    with opt_in as materialized (
      select hash, kind from (${leadsWithHash(hashes)}) as lead
       where greatest(opted_in_at, case when ${byText} then opted_in_by_text_at end) > ${since}::timestamptz
         and ${reason} <> 'complained')
    insert into suppression (workspace_id, hash, reason, kind, since, source)
    select distinct on (address.workspace_id, address.hash)
           address.workspace_id, address.hash, ${reason}::suppression_reason, address.kind, ${since}::timestamptz, ${source}
      from (${addresses}) as address
     where not exists (
       select from opt_in where ${notations ? sql`opt_in.kind = address.kind` : sql`opt_in.hash = address.hash`})
     order by address.workspace_id, address.hash
        on conflict (workspace_id, hash, reason) do update
       set since = greatest(excluded.since, suppression.since),
           source = case suppression.source when 'text' then excluded.source else suppression.source end
     where excluded.since > suppression.since or (suppression.source = 'text' and excluded.source <> 'text')`;
}

/**
 * Suppresses the addresses that providers report as undeliverable. Each address has its own transaction, apart from
 * the settlement. A suppression locks all leads of its address, and a settlement must not wait for a lead. After
 * waiting two seconds for a lock, skips that address: its next rejection suppresses it. The others then wait only
 * briefly, so a lead that one workspace holds delays no address of another.
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
        const addresses = recipientsOf(null, [settled.id]);
        const why = { reason: "undeliverable", source: "provider", since: now } as const;
        await suppress(transaction, { addresses, ...why });
      });
    } catch (thrown) {
      if (!isLockTimeout(thrown)) throw thrown;
      lockTimeout = "50ms";
    }
  }
}
