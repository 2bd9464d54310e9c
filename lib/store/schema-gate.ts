import type pg from "pg";
import * as z from "zod";
import { SchemaOutOfDate, UnsafeDatabaseSettings } from "../run/ports.ts";
import type { Database, Db } from "./connect.ts";
import { translateErrors } from "./database-errors.ts";
import { EXPECTED_SCHEMA } from "./expected-schema.ts";
import { notPublic } from "./migration-failed.ts";
import { POOL_SIZE } from "./pool-size.ts";
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

/** What the database lacks for this build; all migrations if it has none. */
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

/** Lambda's maximum timeout (https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html). */
const LONGEST_RUN_SECONDS = 15 * 60;

interface SettingRule {
  readonly name: string;
  readonly isSafe: (value: string) => boolean;
  readonly safe: string;
  /** The consequence of an unsafe value. */
  readonly danger: string;
}

const is = (expected: string) => (value: string) => value === expected;
/** A timeout in seconds; 0 means none. */
const outlastsARun = (value: string) => Number(value) === 0 || Number(value) >= LONGEST_RUN_SECONDS;

const RULES: readonly SettingRule[] = [
  {
    name: "default_transaction_isolation",
    isSafe: is("read committed"),
    safe: "'read committed'",
    danger: "statements would miss data that was committed after their transaction started",
  },
  {
    name: "default_transaction_read_only",
    isSafe: is("off"),
    safe: "off",
    danger: "the engine cannot write",
  },
  {
    name: "synchronous_commit",
    isSafe: (value) => value !== "off",
    safe: "on",
    danger: "a server crash could undo the claim of a touch that was sent",
  },
  {
    name: "session_replication_role",
    isSafe: is("origin"),
    safe: "origin",
    danger: "the triggers that enforce the laws do not run",
  },
  {
    name: "idle_in_transaction_session_timeout",
    isSafe: outlastsARun,
    safe: "0",
    danger: "a run would lose its overlap lock",
  },
  {
    name: "transaction_timeout",
    isSafe: outlastsARun,
    safe: "0",
    danger: "a run would lose its overlap lock",
  },
  {
    name: "DateStyle",
    isSafe: (value) => value.startsWith("ISO"),
    safe: "'ISO, MDY'",
    danger: "the engine cannot parse timestamps",
  },
  {
    name: "array_nulls",
    isSafe: is("on"),
    safe: "on",
    danger: "missing values are stored as the text NULL",
  },
];

const settingRow = z.object({
  name: z.string(),
  value: z.string(),
  role: z.string(),
  schema: z.string().nullable(),
  limit: z.int(),
});

/** Reads only system catalogs, so it also works on an empty database. Skips settings that the server version lacks. */
export async function unsafeSettings(db: Queryable): Promise<readonly string[]> {
  const found = await many(db, settingRow)`
    select name, case when name like '%timeout' then extract(epoch from value::interval)::text else value end as value,
           quote_ident(session_user) as role, current_schema() as schema,
           (select case when rolsuper then -1 else rolconnlimit end from pg_roles where rolname = session_user) as limit
      from unnest(${RULES.map(({ name }) => name)}::text[]) as name, current_setting(name, true) as value
     where value is not null`;
  return [...ofConnection(found[0]), ...found.flatMap(ofSetting)];
}

function ofSetting({ name, value, role }: z.infer<typeof settingRow>): readonly string[] {
  const rule = RULES.find((one) => one.name === name);
  if (!rule || rule.isSafe(value)) return [];
  const unit = name.endsWith("timeout") ? " s" : "";
  return [`${name} is ${value}${unit}, so ${rule.danger}: ALTER ROLE ${role} SET ${name} = ${rule.safe}`];
}

function ofConnection(found: z.infer<typeof settingRow> | undefined): readonly string[] {
  if (!found) return [];
  const { schema, role, limit } = found;
  const tooFew = `the role may have ${limit} connections, but a run uses ${POOL_SIZE}`;
  return [
    ...(schema === "public" ? [] : [notPublic(schema, role)]),
    ...(limit >= 0 && limit < POOL_SIZE ? [`${tooFew}: ALTER ROLE ${role} CONNECTION LIMIT -1`] : []),
  ];
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
