import * as z from "zod";
import { lockFacts } from "./facts/apply-once.ts";
import { endSuppressed } from "./facts/instances.ts";
import { type LeadKeys, lockSharing, notationsOf } from "./person.ts";
import { storedInstantOrNull } from "./rows.ts";
import { execute, many, one, type Queryable, raw, type Sql, sql } from "./sql.ts";
import { type Notations, notationsAsHashes, recipientsOf, suppress } from "./suppressions.ts";

/** The rows about a person in one table. */
interface PersonalTable {
  /** Orders the rows, as text. */
  readonly key: Sql;
  readonly rows: (lead: LeadKeys & Notations) => Sql;
  /** Whether an erasure deletes the rows. */
  readonly erased: boolean;
}

const ID = sql`id::text`;
const ofLead = ({ id, workspaceId }: LeadKeys): Sql =>
  sql`workspace_id = ${workspaceId}::uuid and lead_id = ${id}::uuid`;
const touchIds = ({ id }: LeadKeys): Sql => sql`array(
  select touch.id from follow_up_instance as own join touch on touch.instance_id = own.id
   where own.lead_id = ${id}::uuid)`;

/** All tables with data about a person, children before parents. A test compares them with the foreign keys. */
const PERSONAL_TABLES = {
  notification_event: {
    key: ID,
    rows: (lead) => sql`
      workspace_id = ${lead.workspaceId}::uuid
      and (lead_id = ${lead.id}::uuid or touch_id = any(${touchIds(lead)}))`,
    erased: true,
  },
  task: { key: ID, rows: ofLead, erased: true },
  transient_bounce: {
    key: sql`encode(hash, 'hex') || cause`,
    rows: (lead) => sql`
      workspace_id = ${lead.workspaceId}::uuid
      and (hash in (select hash from (${notationsAsHashes(lead.workspaceId, lead)}) as own)
           or hash in (select recipient_hash from touch where id = any(${touchIds(lead)})))`,
    erased: true,
  },
  offered_time: { key: sql`touch_id::text || ' ' || starts_at::text`, rows: ofLead, erased: true },
  touch: { key: ID, rows: (lead) => sql`id = any(${touchIds(lead)})`, erased: true },
  reopening: { key: ID, rows: ofLead, erased: true },
  follow_up_instance: { key: ID, rows: ({ id }) => sql`lead_id = ${id}::uuid`, erased: true },
  appointment: { key: ID, rows: ofLead, erased: true },
  placed_order: { key: ID, rows: ofLead, erased: false },
  suppression: {
    key: sql`encode(hash, 'hex') || reason`,
    rows: (lead) => sql`
      workspace_id = ${lead.workspaceId}::uuid
      and hash in (select hash from (${notationsAsHashes(lead.workspaceId, lead)}) as own)`,
    erased: false,
  },
  lead: { key: ID, rows: ({ id }) => sql`id = ${id}::uuid`, erased: true },
} as const satisfies Readonly<Record<string, PersonalTable>>;

type PersonalTableName = keyof typeof PERSONAL_TABLES;
export const PERSONAL_TABLE_NAMES = Object.keys(PERSONAL_TABLES) as PersonalTableName[];

/** Rows per page, and their size. A Lambda answer holds 6 MB, in which a character may take twice its length. */
const PAGE = { rows: 500, bytes: 2_000_000 };

const dataRow = z.object({ key: z.string(), data: z.record(z.string(), z.json()) });

/** The rows of one table about a lead whose key comes after `after`, as stored: at most 500 or 2 MB, at least one. */
export async function readPersonalRows(
  db: Queryable,
  lead: LeadKeys,
  { table, after }: { readonly table: PersonalTableName; readonly after: string },
): Promise<readonly z.infer<typeof dataRow>[]> {
  const { key, rows } = PERSONAL_TABLES[table];
  return await many(db, dataRow)`
    with given as (
      select (${key}) collate "C" as key, to_jsonb(stored) as data
        from ${raw(`"${table}"`)} as stored
       where ${rows({ ...lead, ...(await notationsOf(db, lead)) })}),
    measured as (
      select key, data, row_number() over page as place, sum(octet_length(data::text)) over page as bytes
        from given where key > ${after} window page as (order by key))
    select key, data from measured
     where place = 1 or (place <= ${PAGE.rows} and bytes <= ${PAGE.bytes})
     order by key`;
}

type Erasure =
  | { readonly outcome: "sending"; readonly until: Date }
  | {
      readonly outcome: "erased";
      /** Deleted rows by table. */
      readonly deleted: Readonly<Record<string, number>>;
      /** Ended sequences: the lead's own, and those of other leads with its address or number. */
      readonly ended: number;
      /** Other leads with the address or number. */
      readonly others: number;
    };

/**
 * Deletes all rows about a lead, after it has been opted out. The suppression hashes of its address, its number and
 * the addresses of its touches stay, so that no later lead with one of them enters a sequence. Orders about it keep
 * who and when, and lose the rest.
 *
 * Does nothing while a provider call for the lead may be open: a touch is `sending` and its lease has not ended. Waits
 * for a claim that holds the lead; after that, nothing can start.
 */
export async function eraseRowsOf(db: Queryable, lead: LeadKeys, now: Date): Promise<Erasure> {
  const { id, workspaceId } = lead;
  await lockFacts(db, workspaceId);
  const notations = await notationsOf(db, lead);
  const sharing = await lockSharing(db, lead, notations);
  const touches = await lockTouches(db, id);
  const until = await sendingUntil(db, touches, now);
  if (until !== null) return { outcome: "sending", until };
  const addresses = sql`${notationsAsHashes(workspaceId, notations)} union ${recipientsOf(workspaceId, touches)}`;
  await suppress(db, { addresses, reason: "opted_out", source: "erasure", since: now });
  const { ended } = await endSuppressed(db, { workspaceId, leadIds: [id], now });
  await scrubOrders(db, lead);
  const deleted = await deleteRows(db, { ...lead, ...notations });
  return { outcome: "erased", deleted, ended, others: sharing.length - 1 };
}

/** Locks the instances of a lead, then their touches, and returns the touches. */
async function lockTouches(db: Queryable, leadId: string): Promise<readonly string[]> {
  await execute(db)`select from follow_up_instance where lead_id = ${leadId}::uuid order by id for update`;
  const touches = await many(db, z.object({ id: z.guid() }))`
    select id from touch
     where instance_id = any(array(select id from follow_up_instance where lead_id = ${leadId}::uuid))
     order by id
       for update`;
  return touches.map(({ id }) => id);
}

async function sendingUntil(db: Queryable, touches: readonly string[], now: Date): Promise<Date | null> {
  const { until } = await one(db, z.object({ until: storedInstantOrNull }))`
    select max(recheck_at) as until from touch
     where id = any(${[...touches]}::uuid[]) and status = 'sending' and recheck_at > ${now}`;
  return until;
}

/** Also orders about a row of the lead, such as a touch: their answers may name it. */
async function scrubOrders(db: Queryable, lead: LeadKeys): Promise<void> {
  await execute(db)`
    with named as materialized (
      select ${lead.id}::text as id
      union all select id::text from follow_up_instance where lead_id = ${lead.id}::uuid
      union all select id::text from touch where id = any(${touchIds(lead)})
      union all select id::text from task where ${ofLead(lead)})
    update placed_order
       set lead_id = null, reason = 'erased with the lead', input_hash = sha256(id::text::bytea), answer = 'null'
     where workspace_id = ${lead.workspaceId}::uuid
       and (lead_id = ${lead.id}::uuid or exists (select from named where position(named.id in answer::text) > 0))`;
}

async function deleteRows(db: Queryable, lead: LeadKeys & Notations): Promise<Readonly<Record<string, number>>> {
  const deleted: Record<string, number> = {};
  for (const [table, { rows, erased }] of Object.entries(PERSONAL_TABLES)) {
    if (erased) deleted[table] = await execute(db)`delete from ${raw(`"${table}"`)} where ${rows(lead)}`;
  }
  return deleted;
}
