import * as z from "zod";
import { SchemaOutOfDate } from "../run/ports.ts";
import type { Database } from "./connect.ts";
import { EXPECTED_SCHEMA } from "./expected-schema.ts";
import type { ExpectedSchema } from "./read-schema.ts";
import { settingsGate } from "./settings-gate.ts";
import { many, onPool, type Queryable } from "./sql.ts";

/**
 * A gate that names the migrations, columns and labels that the database lacks for this build. Later migrations and
 * their additions are fine. Columns and labels cost ten times as much to check as migrations: after they pass once, a
 * process repeats them only after something was missing. Settings come first, because they decide which schema is
 * visible. Throws UnsafeDatabaseSettings and DatabaseUnreachable.
 */
export function schemaGate(
  { pool }: Pick<Database, "pool">,
  expected = EXPECTED_SCHEMA,
): () => Promise<readonly string[]> {
  const db = onPool(pool);
  const requireSafeSettings = settingsGate(pool);
  let namesWereThere = false;
  return async () => {
    await requireSafeSettings();
    try {
      const missing = await missingMigrations(db, expected);
      if (missing.length === 0 && namesWereThere) return [];
      const all = [...missing, ...(await missingNames(db, expected))];
      namesWereThere = all.length === 0;
      return all;
    } catch (thrown) {
      if (thrown instanceof SchemaOutOfDate) return expected.migrations.map((name) => `migration ${name}`);
      throw thrown;
    }
  };
}

const missingRow = z.object({ missing: z.string() });

async function missingMigrations(db: Queryable, { migrations }: ExpectedSchema): Promise<readonly string[]> {
  const rows = await many(db, missingRow)`
    select 'migration ' || name as missing from unnest(${[...migrations]}::text[]) as name
     where name not in (
       select migration_name from _prisma_migrations where finished_at is not null and rolled_back_at is null)`;
  return rows.map(({ missing }) => missing);
}

async function missingNames(db: Queryable, { columns, labels }: ExpectedSchema): Promise<readonly string[]> {
  const names = [...namesOf("column", columns), ...namesOf("label", labels)];
  const rows = await many(db, missingRow)`
    select unnest(${names}::text[]) as missing
    except all
    select 'column ' || relname || '.' || attname
      from pg_class join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
     where relnamespace = current_schema()::regnamespace and relname = any(${Object.keys(columns)}::text[])
    except all
    select 'label ' || typname || '.' || enumlabel
      from pg_type join pg_enum on enumtypid = pg_type.oid
     where typnamespace = current_schema()::regnamespace and typname = any(${Object.keys(labels)}::text[])`;
  return rows.map(({ missing }) => missing);
}

const namesOf = (kind: string, byOwner: Readonly<Record<string, readonly string[]>>): readonly string[] =>
  Object.entries(byOwner).flatMap(([owner, names]) => names.map((name) => `${kind} ${owner}.${name}`));
