import * as z from "zod";
import type { Database } from "../../lib/store/connect.ts";
import { databaseNow, execute, one, onPool, type Queryable, raw } from "../../lib/store/sql.ts";
import { demoIdRange } from "./demo-id.ts";
import { type LeadHistory, leadHistory } from "./lead-history.ts";
import * as rowsOf from "./lead-rows.ts";
import { DEMO_WORKSPACE_IDS, settingRows } from "./setting.ts";

export interface DemoOrder {
  readonly leads: number;
  /** The same seed, leads and `now` give the same rows. */
  readonly seed: number;
  /** The instant that all times are relative to: the database's clock, or at most an hour from it. */
  readonly now?: Date | undefined;
}

/** Called before each table of each part; `done` of `leads` have their rows. */
type DemoProgress = (progress: { readonly what: string; readonly done: number; readonly leads: number }) => void;

/** Leads whose rows are inserted together: few round trips, and statements of some 10 MB. */
const PART_SIZE = 10_000;

/**
 * Loads demo data into a migrated database without workspaces, in one transaction. Two loads of one order differ only
 * in `booked_at`, which a trigger stamps. Throws if the data exists already.
 */
export async function loadDemo(
  { prisma, pool }: Database,
  order: DemoOrder,
  onProgress: DemoProgress = () => undefined,
): Promise<void> {
  const now = order.now ?? (await databaseNow(prisma));
  await onPool(pool).transaction((transaction) => fill(transaction, { ...order, now }, onProgress));
}

async function fill(
  db: Queryable,
  { leads, seed, now }: Required<DemoOrder> & { now: Date },
  onProgress: DemoProgress,
) {
  const { workspaces, sequences, steps } = settingRows(now);
  await insert(db, "workspace", workspaces);
  await insert(db, "follow_up_sequence", sequences);
  await insert(db, "follow_up_step", steps);
  for (let done = 0; done < leads; done += PART_SIZE) {
    const part = Array.from({ length: Math.min(PART_SIZE, leads - done) }, (_, index) =>
      leadHistory(done + index + 1, seed, now.getTime()),
    );
    await insertLeads(db, part, now.getTime(), (what) => onProgress({ what, done, leads }));
  }
  await execute(db)`
    analyze lead, follow_up_sequence, follow_up_step, follow_up_instance, touch, task, appointment, notification_event`;
}

/** In chronological order: leads are enrolled first and book later. */
async function insertLeads(db: Queryable, leads: readonly LeadHistory[], now: number, onTable: (what: string) => void) {
  type RowsOf = (lead: LeadHistory, now: number) => readonly object[];
  const fillTable = async (what: string, table: string, rowsOfLead: RowsOf) => {
    onTable(what);
    const rows = leads.flatMap((lead) => rowsOfLead(lead, now));
    await insert(db, table, rows);
  };
  await fillTable("leads", "lead", rowsOf.leadRows);
  await fillTable("instances", "follow_up_instance", rowsOf.instanceRows);
  await fillTable("second instances", "follow_up_instance", rowsOf.secondInstanceRows);
  await fillTable("touches", "touch", rowsOf.touchRows);
  await fillTable("tasks", "task", rowsOf.taskRows);
  const booked = leads.filter(rowsOf.isBookedByHand).map(({ id }) => id);
  await execute(db)`update lead set status = 'meeting-booked' where id = any(${booked}::uuid[])`;
  await fillTable("appointments", "appointment", rowsOf.appointmentRows);
  await fillTable("post-booking instances", "follow_up_instance", rowsOf.postBookingInstanceRows);
  await fillTable("notifications", "notification_event", rowsOf.notificationRows);
}

/** Inserts rows of which each has the same keys, the names of columns. Other columns get their defaults. */
async function insert(db: Queryable, tableName: string, rows: readonly object[]): Promise<void> {
  if (!rows[0]) return;
  const table = raw(tableName);
  const columns = raw(Object.keys(rows[0]).join(", "));
  await execute(db)`
    insert into ${table} (${columns})
    select ${columns} from json_populate_recordset(null::${table}, ${JSON.stringify(rows)}::json)`;
}

/**
 * `demo` means that every workspace and lead belongs to the demo data, so that the database may be cleared. The tables
 * of another application are `other`.
 */
type Contents = "nothing" | "demo" | "other";

const tablesRow = z.object({ workspace: z.boolean(), lead: z.boolean(), tables: z.int() });
const contentsRow = z.object({ workspaces: z.int(), hasOther: z.boolean() });

/** Returns what a database holds, migrated or not. Throws `DatabaseUnreachable`. */
export const contentsOf = async ({ pool }: Database): Promise<Contents> => await contentsOn(onPool(pool));

async function contentsOn(db: Queryable): Promise<Contents> {
  const tables = await one(db, tablesRow)`
    select to_regclass('workspace') is not null as workspace, to_regclass('lead') is not null as lead,
           (select count(*)::int from pg_class
             where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')
               and relname <> '_prisma_migrations') as tables`;
  if (tables.workspace !== tables.lead) return "other";
  if (!tables.lead) return tables.tables === 0 ? "nothing" : "other";
  const [lowest, highest] = demoIdRange("lead");
  const { workspaces, hasOther } = await one(db, contentsRow)`
    select (select count(*)::int from workspace) as workspaces,
           exists (select from workspace where id <> all(${DEMO_WORKSPACE_IDS}::uuid[]))
             or exists (select from lead where id < ${lowest}::uuid)
             or exists (select from lead where id > ${highest}::uuid) as "hasOther"`;
  if (workspaces === 0) return "nothing";
  return hasOther ? "other" : "demo";
}

/** Removes all demo data and runs. Throws Error and removes nothing if the database holds other data. */
export async function clearDemo({ pool }: Database): Promise<void> {
  await onPool(pool).transaction(async (transaction) => {
    await execute(transaction)`lock table workspace, lead in access exclusive mode`;
    if ((await contentsOn(transaction)) === "other")
      throw new Error("the database holds more than demo data; nothing was removed");
    await execute(transaction)`truncate workspace, run cascade`;
  });
}
