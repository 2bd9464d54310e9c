import * as z from "zod";
import { SchemaOutOfDate } from "../run/ports.ts";
import { EXPECTED_SCHEMA } from "./expected-schema.ts";
import { told } from "./faults.ts";
import type { Queryable } from "./queryable.ts";

/**
 * Names what the database lacks of the schema that this code was built with: migrations that are not applied, columns
 * and labels that somebody dropped. Later migrations, and what they add, are fine.
 */
export async function missingSchema(db: Queryable, expected = EXPECTED_SCHEMA): Promise<readonly string[]> {
  const columns = Object.entries(expected.columns).flatMap(([table, names]) =>
    names.map((name) => [table, name] as const),
  );
  const labels = Object.entries(expected.labels).flatMap(([type, names]) => names.map((name) => [type, name] as const));
  try {
    const rows = await told(db.$queryRaw`
      select 'migration ' || name as missing
        from unnest(${[...expected.migrations]}::text[]) as name
       where not exists (
         select from _prisma_migrations
          where migration_name = name and finished_at is not null and rolled_back_at is null)
      union all
      select 'column ' || table_name || '.' || name
        from unnest(${columns.map(([table]) => table)}::text[], ${columns.map(([, name]) => name)}::text[])
               as expected (table_name, name)
       where not exists (
         select from pg_attribute
          where attrelid = to_regclass(quote_ident(table_name)) and attname = name and not attisdropped)
      union all
      select 'label ' || type_name || '.' || name
        from unnest(${labels.map(([type]) => type)}::text[], ${labels.map(([, name]) => name)}::text[])
               as expected (type_name, name)
       where not exists (
         select from pg_enum where enumtypid = to_regtype(quote_ident(type_name)) and enumlabel = name)`);
    return z
      .array(z.object({ missing: z.string() }))
      .parse(rows)
      .map(({ missing }) => missing);
  } catch (thrown) {
    if (thrown instanceof SchemaOutOfDate) return expected.migrations.map((name) => `migration ${name}`);
    throw thrown;
  }
}
