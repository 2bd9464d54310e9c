import { z } from "zod";
import type { Database, Db } from "../../lib/store/connect.ts";
import { translateErrors } from "../../lib/store/database-errors.ts";
import { demoIdRange } from "./fragments.ts";
import { DEMO_WORKSPACE_IDS } from "./setting.ts";

/** `demo` means that every workspace and lead belongs to the demo data, so that the database may be cleared. */
export type Contents = "nothing" | "demo" | "other";

const tablesRow = z.object({ workspace: z.boolean(), lead: z.boolean() });
const contentsRow = z.object({ workspaces: z.int(), strangers: z.boolean() });

/** Returns what a database holds, migrated or not. Throws `DatabaseUnreachable`. */
export async function contentsOf(db: Db): Promise<Contents> {
  const found = await translateErrors(db.$queryRaw`
    select to_regclass('workspace') is not null as workspace, to_regclass('lead') is not null as lead`);
  const tables = z.tuple([tablesRow]).parse(found)[0];
  if (tables.workspace !== tables.lead) return "other";
  return tables.lead ? await contentsOfTables(db) : "nothing";
}

async function contentsOfTables(db: Db): Promise<Contents> {
  const [lowest, highest] = demoIdRange("lead");
  const rows = await translateErrors(db.$queryRaw`
    select (select count(*)::int from workspace) as workspaces,
           exists (select from workspace where id <> all(${[...DEMO_WORKSPACE_IDS]}::uuid[]))
             or exists (select from lead where id < ${lowest}::uuid)
             or exists (select from lead where id > ${highest}::uuid) as strangers`);
  const { workspaces, strangers } = z.tuple([contentsRow]).parse(rows)[0];
  if (workspaces === 0) return "nothing";
  return strangers ? "other" : "demo";
}

/** Removes all demo data and runs. Throws Error and removes nothing if the database holds other data. */
export async function clearDemo({ prisma }: Database): Promise<void> {
  await prisma.$transaction(async (transaction) => {
    await transaction.$executeRaw`lock table workspace, lead in access exclusive mode`;
    if ((await contentsOf(transaction)) === "other")
      throw new Error("the database holds more than demo data; nothing was removed");
    await transaction.$executeRaw`truncate workspace, run cascade`;
  });
}
