import * as z from "zod";
import type { Db } from "./connect.ts";

/** The names in the database that the code relies on. */
export interface ExpectedSchema {
  readonly migrations: readonly string[];
  /** Column names by table. */
  readonly columns: Readonly<Record<string, readonly string[]>>;
  /** Labels by enum type, in their order. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

/** Reads the schema of a migrated database, to generate the expected one. */
export async function readSchema(db: Db): Promise<ExpectedSchema> {
  const migrations = await db.$queryRaw`
    select migration_name from _prisma_migrations
     where finished_at is not null and rolled_back_at is null order by migration_name`;
  const columns = await db.$queryRaw`
    select relname::text as owner, array_agg(attname::text order by attnum) as names
      from pg_attribute join pg_class on pg_class.oid = attrelid
     where relnamespace = current_schema()::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
       and relname <> '_prisma_migrations'
     group by relname order by relname`;
  const labels = await db.$queryRaw`
    select typname::text as owner, array_agg(enumlabel::text order by enumsortorder) as names
      from pg_enum join pg_type on pg_type.oid = enumtypid
     where typnamespace = current_schema()::regnamespace
     group by typname order by typname`;
  return {
    migrations: z
      .array(z.object({ migration_name: z.string() }))
      .parse(migrations)
      .map(({ migration_name }) => migration_name),
    columns: namesByOwner(columns),
    labels: namesByOwner(labels),
  };
}

const namesByOwner = (rows: unknown): Record<string, string[]> =>
  Object.fromEntries(
    z
      .array(z.object({ owner: z.string(), names: z.array(z.string()) }))
      .parse(rows)
      .map(({ owner, names }) => [owner, names]),
  );
