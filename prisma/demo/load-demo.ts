import { databaseNow } from "../../lib/store/clock.ts";
import type { Database, Db } from "../../lib/store/connect.ts";
import { Prisma } from "../../lib/store/generated/client.ts";
import { castLeads, createCast } from "./cast.ts";
import { Chances, type Part } from "./fragments.ts";
import { insertSetting } from "./setting.ts";
import { FILLINGS, type Filling } from "./tables.ts";

export interface DemoOrder {
  readonly leads: number;
  /** The same seed, leads and `now` give the same rows. */
  readonly seed: number;
  /** The instant that all times are relative to; by default the database's clock. */
  readonly now?: Date | undefined;
}

/** Called after each part of a table; `done` of `leads` have their rows. */
export type DemoProgress = (progress: { readonly what: string; readonly done: number; readonly leads: number }) => void;

/** Leads whose rows are written in one statement. */
const PART_SIZE = 50_000;
const HOURS_AT_MOST_MS = 2 * 60 * 60_000;

/**
 * Loads demo data into a migrated database without workspaces, in one transaction. Two loads of one order differ only
 * in `booked_at`, which a trigger stamps. Rethrows database errors, for example if the data exists already.
 */
export async function loadDemo(
  { prisma }: Database,
  order: DemoOrder,
  onProgress: DemoProgress = () => undefined,
): Promise<void> {
  const now = order.now ?? (await databaseNow(prisma));
  await prisma.$transaction((transaction) => fill(transaction, { ...order, now }, onProgress), {
    timeout: HOURS_AT_MOST_MS,
  });
}

async function fill(db: Db, order: Required<DemoOrder> & { now: Date }, onProgress: DemoProgress): Promise<void> {
  // Compiling these long statements takes longer than running them.
  await db.$executeRaw`set local jit = off`;
  await db.$executeRaw`set local work_mem = '64MB'`;
  await insertSetting(db, order.now);
  await createCast(db);
  const write = async ({ what, statement }: Filling) => {
    for (const part of partsOf(order)) {
      onProgress({ what, done: part.first - 1, leads: order.leads });
      await db.$executeRaw(statement(part));
    }
  };
  await write({ what: "stories", statement: castLeads });
  // Otherwise the next statements are planned for an empty table.
  await db.$executeRaw`analyze demo_cast`;
  for (const filling of FILLINGS) await write(filling);
  await db.$executeRaw`analyze lead, follow_up_sequence, follow_up_step, follow_up_instance, touch, task, appointment, notification_event`;
}

function partsOf({ leads, seed, now }: DemoOrder & { now: Date }): readonly Part[] {
  const chances = new Chances(seed);
  return Array.from({ length: Math.ceil(leads / PART_SIZE) }, (_, index) => {
    const first = index * PART_SIZE + 1;
    const last = Math.min(first + PART_SIZE - 1, leads);
    return { first, last, isMember: Prisma.sql`demo_cast.number between ${first}::int and ${last}::int`, now, chances };
  });
}
