import type pg from "pg";
import * as z from "zod";
import { UnsafeDatabaseSettings } from "../run/ports.ts";
import { POOL_SIZE } from "./connect.ts";
import { translateErrors } from "./database-errors.ts";
import { notPublic } from "./migration-failed.ts";

/**
 * A gate that checks the role's session settings, because some silently weaken a guarantee. Throws
 * UnsafeDatabaseSettings, which names each setting and the statement that fixes it, or DatabaseUnreachable.
 */
export function settingsGate(pool: pg.Pool): () => Promise<void> {
  let severalConnections = false;
  return async () => {
    const unsafe = await translateErrors(unsafeSettings(pool));
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

const settingRows = z.array(
  z.object({ name: z.string(), value: z.string(), role: z.string(), schema: z.string().nullable(), limit: z.int() }),
);

/** Reads only system catalogs, so it also works on an empty database. Skips settings that the server version lacks. */
async function unsafeSettings(pool: pg.Pool): Promise<readonly string[]> {
  const { rows } = await pool.query(
    `select name, case when name like '%timeout' then extract(epoch from value::interval)::text else value end as value,
            quote_ident(session_user) as role, current_schema() as schema,
            (select case when rolsuper then -1 else rolconnlimit end from pg_roles where rolname = session_user) as limit
       from unnest($1::text[]) as name, current_setting(name, true) as value
      where value is not null`,
    [RULES.map(({ name }) => name)],
  );
  const found = settingRows.parse(rows);
  return [...ofConnection(found[0]), ...found.flatMap(ofSetting)];
}

function ofSetting({ name, value, role }: z.infer<typeof settingRows>[number]): readonly string[] {
  const rule = RULES.find((one) => one.name === name);
  if (!rule || rule.isSafe(value)) return [];
  const unit = name.endsWith("timeout") ? " s" : "";
  return [`${name} is ${value}${unit}, so ${rule.danger}: ALTER ROLE ${role} SET ${name} = ${rule.safe}`];
}

function ofConnection(found: z.infer<typeof settingRows>[number] | undefined): readonly string[] {
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
