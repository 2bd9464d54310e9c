import * as z from "zod";
import type { LeadFacts } from "../domain/due-item.ts";
import { ADDRESS_KINDS, type AddressKind } from "../domain/labels.ts";
import { byAddress, channelsTo, lastTouchTo, literal } from "./columns.ts";
import { join, raw, type Sql, sql } from "./sql.ts";

// Twins are leads of one workspace that share an address or number: a message to one also reaches the other.

const TWIN = sql`twin`;
const eachKind = (fragment: (kind: AddressKind) => Sql): Sql => join(ADDRESS_KINDS.map(fragment));
const addressOf = (kind: AddressKind): Sql => raw(`normalised_${kind}`);
/** The CTE of the shared addresses, and that of the locked twins. */
const sharedAt = (kind: AddressKind): Sql => raw(`shared_${kind}`);
const twinsAt = (kind: AddressKind): Sql => raw(`twin_by_${kind}`);

/** Whether `twin` is a twin of `lead`. */
const isTwin = (kind: AddressKind): Sql => sql`
  twin.workspace_id = lead.workspace_id and twin.${addressOf(kind)} = lead.${addressOf(kind)} and twin.id <> lead.id`;

/** The columns that `twinTouchOf` reads: null without a twin, -infinity if no twin was ever reached. */
export const TWIN_TOUCHES = eachKind(
  (kind) => sql`
  (select max(coalesce(${lastTouchTo(kind, TWIN)}, '-infinity')) from lead as twin where ${isTwin(kind)})
    as ${raw(columnOf(kind))}`,
);

type TwinColumn = `twin_${AddressKind}_at`;
function columnOf(kind: AddressKind): TwinColumn {
  return `twin_${kind}_at`;
}

const twinStamp = z.date().or(z.literal(Number.NEGATIVE_INFINITY)).nullable();
export const twinTouchColumns = { twin_email_at: twinStamp, twin_phone_at: twinStamp } satisfies Record<
  TwinColumn,
  unknown
>;

export function twinTouchOf(row: Readonly<Record<TwinColumn, z.infer<typeof twinStamp>>>): LeadFacts["twinTouchAt"] {
  if (row.twin_email_at === null && row.twin_phone_at === null) return null;
  return { email: reached(row.twin_email_at), phone: reached(row.twin_phone_at) };
}

const reached = (stamp: Date | number | null): Date | null => (stamp instanceof Date ? stamp : null);

/**
 * CTEs that lock all leads at each shared address that one of the touches goes to, each lead once. Skips leads that
 * another transaction holds: see `ALL_TWINS_LOCKED`.
 */
export const lockTwins = (touchIds: readonly string[]): Sql =>
  eachKind(
    (kind) => sql`
    ${sharedAt(kind)} as materialized (${sharedBy(kind, touchIds)}),
    ${twinsAt(kind)} as materialized (${lockAt(kind)})`,
  );

const sharedBy = (kind: AddressKind, touchIds: readonly string[]): Sql => sql`
      select distinct lead.workspace_id, lead.${addressOf(kind)} as address
        from touch
        join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
       where touch.id = any(${[...touchIds]}::uuid[]) and touch.channel in (${join(channelsTo(kind).map(literal))})
         and exists (select from lead as twin where ${isTwin(kind)})`;

const lockAt = (kind: AddressKind): Sql => sql`
      select twin.id, twin.workspace_id, twin.${addressOf(kind)} as address, ${lastTouchTo(kind, TWIN)} as touched_at
        from ${sharedAt(kind)} as shared
        join lead as twin on twin.workspace_id = shared.workspace_id and twin.${addressOf(kind)} = shared.address
         for no key update of twin skip locked`;

/**
 * Whether this transaction has locked all leads that share the address that `touch` goes to. If two transactions start
 * twins concurrently, neither waits, and at most one holds them all. Never a join filter: PostgreSQL would then read
 * all leads.
 */
export const ALL_TWINS_LOCKED = byAddress(
  sql`touch.channel`,
  (kind) => sql`not exists (
      select from lead as twin where ${isTwin(kind)} and twin.id not in (select id from ${twinsAt(kind)}))`,
  sql`true`,
);

const reachedBy = (kind: AddressKind): Sql => sql`
    (select max(twin.touched_at) from ${twinsAt(kind)} as twin where ${isLockedTwin(kind)})`;

/** Like `isTwin`, for a row of a CTE of `lockTwins`. */
const isLockedTwin = (kind: AddressKind): Sql => sql`
  twin.workspace_id = lead.workspace_id and twin.address = lead.${addressOf(kind)} and twin.id <> lead.id`;

/** When `lead`, or a locked twin at the address that `touch` goes to, was last reached. */
export const REACHED_AT = sql`
  greatest(lead.last_outbound_at, ${byAddress(sql`touch.channel`, reachedBy)})`;
