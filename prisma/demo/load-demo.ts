import { databaseNow } from "../../lib/store/clock.ts";
import type { Database, Db } from "../../lib/store/connect.ts";
import { Prisma } from "../../lib/store/generated/client.ts";
import { castLeads } from "./cast.ts";
import { Chances } from "./fragments.ts";
import { insertSetting } from "./setting.ts";
import { FILLINGS } from "./tables.ts";

export interface DemoOrder {
  /** How many leads. */
  readonly leads: number;
  /** The same seed, leads and moment give the same rows. */
  readonly seed: number;
  /** The moment that all times are told from; the database's clock where it is not given. */
  readonly now?: Date | undefined;
}

/** Told after each part of a table; `done` of `leads` have their rows. */
export type DemoProgress = (progress: { readonly what: string; readonly done: number; readonly leads: number }) => void;

/** Leads whose rows are written in one statement. */
const PART = 50_000;
const HOURS_AT_MOST_MS = 2 * 60 * 60_000;

/**
 * Loads demo data into a database that has no workspace: whole, or not at all. When a lead became booked is the database's
 * to stamp, and so the only thing that two loadings of one order do not share. Throws what the database throws, for instance where the
 * data is there already.
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

async function fill(
  db: Db,
  { leads, seed, now }: Required<DemoOrder> & { now: Date },
  onProgress: DemoProgress,
): Promise<void> {
  const chances = new Chances(seed);
  // Compiling the one long statement takes longer than running it.
  await db.$executeRaw`set local jit = off`;
  await db.$executeRaw`set local work_mem = '64MB'`;
  await insertSetting(db, now);
  onProgress({ what: "stories", done: 0, leads });
  await castLeads(db, { leads, now, chances });
  for (const { what, statement } of FILLINGS) {
    for (let done = 0; done < leads; done += PART) {
      onProgress({ what, done, leads });
      const inPart = Prisma.sql`demo_cast.number > ${done}::int and demo_cast.number <= ${done + PART}::int`;
      await db.$executeRaw(statement({ inPart, now, chances }));
    }
  }
  // The first run would otherwise be planned for empty tables.
  await db.$executeRaw`analyze lead, follow_up_sequence, follow_up_step, follow_up_instance, touch, task, appointment`;
}
