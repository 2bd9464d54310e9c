import * as z from "zod";
import type { LeadFacts } from "../domain/due-item.ts";
import { Prisma } from "./generated/client.ts";

/** Twins are leads of one workspace that share an address or number: a message to one also reaches the other. */
interface Shared {
  /** The column in which twins have the same value. */
  readonly address: Prisma.Sql;
  /** The column with the time at which its channel last reached a lead. */
  readonly touchedAt: Prisma.Sql;
  readonly channel: string;
}

const EMAIL: Shared = {
  address: Prisma.sql`normalised_email`,
  touchedAt: Prisma.sql`last_email_at`,
  channel: "email",
};
const PHONE: Shared = { address: Prisma.sql`normalised_phone`, touchedAt: Prisma.sql`last_sms_at`, channel: "sms" };

/** Whether `twin` is a twin of `lead`. */
const isTwin = ({ address }: Shared): Prisma.Sql => Prisma.sql`
  twin.workspace_id = lead.workspace_id and twin.${address} = lead.${address} and twin.id <> lead.id`;

const lastTouched = (shared: Shared): Prisma.Sql => Prisma.sql`
  (select max(coalesce(twin.${shared.touchedAt}, '-infinity')) from lead as twin where ${isTwin(shared)})`;

/** The columns that `twinTouchOf` reads: null without a twin, -infinity if no twin was ever reached. */
export const TWIN_TOUCHES = Prisma.sql`
  ${lastTouched(EMAIL)} as twin_email_at, ${lastTouched(PHONE)} as twin_sms_at`;

const twinStamp = z.date().or(z.literal(Number.NEGATIVE_INFINITY)).nullable();
export const twinTouchColumns = { twin_email_at: twinStamp, twin_sms_at: twinStamp };
const twinTouchRow = z.object(twinTouchColumns);

export function twinTouchOf(row: z.infer<typeof twinTouchRow>): LeadFacts["twinTouchAt"] {
  if (row.twin_email_at === null && row.twin_sms_at === null) return null;
  const reached = (stamp: Date | number | null) => (stamp instanceof Date ? stamp : null);
  return { email: reached(row.twin_email_at), phone: reached(row.twin_sms_at) };
}

/**
 * CTEs that lock all leads at each shared address that one of the touches goes to, each lead once. Skips leads that
 * another transaction holds: see `ALL_TWINS_LOCKED`.
 */
export const lockTwins = (touchIds: readonly string[]): Prisma.Sql => Prisma.sql`
    shared_email as materialized (${sharedBy(EMAIL, touchIds)}),
    shared_phone as materialized (${sharedBy(PHONE, touchIds)}),
    twin_by_email as materialized (${lockAt(Prisma.sql`shared_email`, EMAIL)}),
    twin_by_phone as materialized (${lockAt(Prisma.sql`shared_phone`, PHONE)})`;

const sharedBy = (shared: Shared, touchIds: readonly string[]): Prisma.Sql => Prisma.sql`
      select distinct lead.workspace_id, lead.${shared.address} as address
        from touch
        join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
       where touch.id = any(${[...touchIds]}::uuid[]) and touch.channel = ${shared.channel}::channel
         and exists (select from lead as twin where ${isTwin(shared)})`;

const lockAt = (addresses: Prisma.Sql, shared: Shared): Prisma.Sql => Prisma.sql`
      select twin.id, twin.workspace_id, twin.${shared.address} as address, twin.${shared.touchedAt} as touched_at
        from ${addresses} as shared
        join lead as twin on twin.workspace_id = shared.workspace_id and twin.${shared.address} = shared.address
         for no key update of twin skip locked`;

/**
 * Whether this transaction has locked all leads that share the address that `touch` goes to. If two transactions start
 * twins concurrently, neither waits, and at most one holds them all. Never a join filter: PostgreSQL would then read
 * all leads.
 */
export const ALL_TWINS_LOCKED = Prisma.sql`
  case touch.channel
    when 'email' then not exists (
      select from lead as twin where ${isTwin(EMAIL)} and twin.id not in (select id from twin_by_email))
    when 'sms' then not exists (
      select from lead as twin where ${isTwin(PHONE)} and twin.id not in (select id from twin_by_phone))
    else true end`;

const reachedBy = (twins: Prisma.Sql, shared: Shared): Prisma.Sql => Prisma.sql`
    (select max(twin.touched_at) from ${twins} as twin where ${isLockedTwin(shared)})`;

/** Like `isTwin`, for a row of a CTE of `lockTwins`. */
const isLockedTwin = ({ address }: Shared): Prisma.Sql => Prisma.sql`
  twin.workspace_id = lead.workspace_id and twin.address = lead.${address} and twin.id <> lead.id`;

/** When `lead`, or a locked twin at the address that `touch` goes to, was last reached. */
export const REACHED_AT = Prisma.sql`
  greatest(lead.last_outbound_at,
           case touch.channel when 'email' then ${reachedBy(Prisma.sql`twin_by_email`, EMAIL)}
                              when 'sms' then ${reachedBy(Prisma.sql`twin_by_phone`, PHONE)} end)`;
