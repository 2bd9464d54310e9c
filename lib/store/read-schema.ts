import * as z from "zod";
import type { Db } from "./connect.ts";
import { many } from "./sql.ts";

/** The names in the database that the code relies on. */
export interface ExpectedSchema {
  readonly migrations: readonly string[];
  /** Column names by table. */
  readonly columns: Readonly<Record<string, readonly string[]>>;
  /** Labels by enum type, in their order. */
  readonly labels: Readonly<Record<string, readonly string[]>>;
}

const ownerRow = z.object({ owner: z.string(), names: z.array(z.string()) });

/** Reads the schema of a migrated database, to generate the expected one. */
export async function readSchema(db: Db): Promise<ExpectedSchema> {
  const migrations = await many(db, z.object({ name: z.string() }))`
    select migration_name as name from _prisma_migrations
     where finished_at is not null and rolled_back_at is null order by migration_name`;
  const columns = await many(db, ownerRow)`
    select relname::text as owner, array_agg(attname::text order by attnum) as names
      from pg_attribute join pg_class on pg_class.oid = attrelid
     where relnamespace = current_schema()::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
       and relname <> '_prisma_migrations'
     group by relname order by relname`;
  const labels = await many(db, ownerRow)`
    select typname::text as owner, array_agg(enumlabel::text order by enumsortorder) as names
      from pg_enum join pg_type on pg_type.oid = enumtypid
     where typnamespace = current_schema()::regnamespace
     group by typname order by typname`;
  return {
    migrations: migrations.map(({ name }) => name),
    columns: namesByOwner(columns),
    labels: namesByOwner(labels),
  };
}

const namesByOwner = (rows: readonly z.infer<typeof ownerRow>[]): Record<string, string[]> =>
  Object.fromEntries(rows.map(({ owner, names }) => [owner, names]));
