import type pg from "pg";
import * as z from "zod";
import { SchemaOutOfDate, UnsafeDatabaseSettings } from "../run/ports.ts";
import type { Database, Db } from "./connect.ts";
import { translateErrors } from "./database-errors.ts";
import { EXPECTED_SCHEMA } from "./expected-schema.ts";
import { POOL_SIZE } from "./pool.ts";
import { unsafeSettings } from "./role-settings.ts";
import { many, onPool, type Queryable, type Transactional } from "./sql.ts";

/**
 * A gate that names the migrations, columns and labels that the database lacks for this build. Later migrations and
 * their additions are fine. Columns and labels cost ten times as much to check as migrations: after they pass once, a
 * process repeats them only after something was missing. Settings come first, because they decide which schema is
 * visible. Throws UnsafeDatabaseSettings and DatabaseUnreachable.
 */
export function schemaGate(
  { pool }: Pick<Database, "pool">,
  expected: ExpectedSchema = EXPECTED_SCHEMA,
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

/** The migrations, tables and columns that the database lacks for this build; all migrations if it has none. */
export async function missingSchema(db: Transactional): Promise<readonly string[]> {
  try {
    return await db.transaction(async (part) => [
      ...(await missingMigrations(part, EXPECTED_SCHEMA)),
      ...(await missingNames(part, EXPECTED_SCHEMA)),
    ]);
  } catch (thrown) {
    if (thrown instanceof SchemaOutOfDate) return EXPECTED_SCHEMA.migrations.map((name) => `migration ${name}`);
    throw thrown;
  }
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

/**
 * A gate that checks the role's session settings, because some silently weaken a guarantee. Throws
 * UnsafeDatabaseSettings, which names each setting and the statement that fixes it, or DatabaseUnreachable.
 */
function settingsGate(pool: pg.Pool): () => Promise<void> {
  let severalConnections = false;
  return async () => {
    const unsafe = await unsafeSettings(onPool(pool));
    if (unsafe.length > 0) throw new UnsafeDatabaseSettings(unsafe);
    if (severalConnections) return;
    if (!(await translateErrors(hasTwoConnections(pool)))) throw new UnsafeDatabaseSettings([POOL_OF_ONE]);
    severalConnections = true;
  };
}

const POOL_OF_ONE =
  "the pooler provides one connection at a time, but a run holds one for its lock and uses others: " +
  `increase its pool (pgbouncer: default_pool_size) to ${POOL_SIZE} or more`;

const PATIENCE_MS = 5_000;

/**
 * Whether a second connection works while the first has an open transaction. A pooler with one connection blocks it.
 */
async function hasTwoConnections(pool: pg.Pool): Promise<boolean> {
  const first = await pool.connect();
  try {
    await first.query("begin");
    return await answersInTime(pool);
  } finally {
    await first.query("rollback").then(
      () => first.release(),
      () => first.release(true),
    );
  }
}

async function answersInTime(pool: pg.Pool): Promise<boolean> {
  const second = await pool.connect();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), PATIENCE_MS);
  });
  const answer = second.query("select").then(() => true);
  const answered = await Promise.race([answer, late]).finally(() => clearTimeout(timer));
  if (!answered) answer.catch(() => undefined);
  second.release(!answered);
  return answered;
}
