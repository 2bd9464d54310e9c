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
 * CTEs that lock the twins at the address that each touch goes to, as `twin (touch_id, id, touched_at)`. Skips twins
 * that another transaction holds: see `ALL_TWINS_LOCKED`.
 */
export const lockTwins = (touchIds: readonly string[]): Prisma.Sql => Prisma.sql`
    twin_by_email as materialized (${lockBy(EMAIL, touchIds)}),
    twin_by_phone as materialized (${lockBy(PHONE, touchIds)}),
    twin as materialized (select * from twin_by_email union all select * from twin_by_phone)`;

const lockBy = (shared: Shared, touchIds: readonly string[]): Prisma.Sql => Prisma.sql`
      select touch.id as touch_id, twin.id, twin.${shared.touchedAt} as touched_at
        from touch
        join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
        join lead as twin on ${isTwin(shared)}
       where touch.id = any(${[...touchIds]}::uuid[]) and touch.channel = ${shared.channel}::channel
         for no key update of twin skip locked`;

/**
 * Whether this transaction has locked all leads that share the address that `touch` goes to. If two transactions start
 * twins concurrently, neither waits, and at most one holds them all.
 */
export const ALL_TWINS_LOCKED = Prisma.sql`
  case touch.channel
    when 'email' then not exists (select from lead as twin where ${isTwin(EMAIL)} and ${notLocked()})
    when 'sms' then not exists (select from lead as twin where ${isTwin(PHONE)} and ${notLocked()})
    else true end`;

function notLocked(): Prisma.Sql {
  return Prisma.sql`not exists (select from twin as locked where locked.touch_id = touch.id and locked.id = twin.id)`;
}

/** When `lead`, or a locked twin at the address that `touch` goes to, was last reached. */
export const REACHED_AT = Prisma.sql`
  greatest(lead.last_outbound_at, (select max(twin.touched_at) from twin where twin.touch_id = touch.id))`;
