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
  const names = [
    ...expected.migrations.map((name) => `migration ${name}`),
    ...namesOf("column", expected.columns),
    ...namesOf("label", expected.labels),
  ];
  try {
    const rows = await told(db.$queryRaw`
      select unnest(${names}::text[]) as missing
      except all
      select 'migration ' || migration_name
        from _prisma_migrations where finished_at is not null and rolled_back_at is null
      except all
      select 'column ' || relname || '.' || attname
        from pg_class join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
       where relnamespace = current_schema()::regnamespace and relname = any(${Object.keys(expected.columns)}::text[])
      except all
      select 'label ' || typname || '.' || enumlabel
        from pg_type join pg_enum on enumtypid = pg_type.oid
       where typnamespace = current_schema()::regnamespace and typname = any(${Object.keys(expected.labels)}::text[])`);
    return z
      .array(z.object({ missing: z.string() }))
      .parse(rows)
      .map(({ missing }) => missing);
  } catch (thrown) {
    if (thrown instanceof SchemaOutOfDate) return expected.migrations.map((name) => `migration ${name}`);
    throw thrown;
  }
}

const namesOf = (kind: string, byOwner: Readonly<Record<string, readonly string[]>>): readonly string[] =>
  Object.entries(byOwner).flatMap(([owner, names]) => names.map((name) => `${kind} ${owner}.${name}`));
