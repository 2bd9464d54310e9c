import * as z from "zod";
import { notPublic } from "./migration-failed.ts";
import { POOL_SIZE } from "./pool.ts";
import { exists, many, one, type Queryable } from "./sql.ts";

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

/**
 * The unsafe settings of this session, each with the statement that fixes it. Reads only system catalogs, so it also works
 * on an empty database. Skips settings that the server version lacks.
 */
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

/**
 * As `unsafeSettings`, for the new sessions of the roles that may write touches: those of the functions, or else their
 * owner. Superusers are left out. A client may set other values when it connects.
 */
export async function unsafeSettingsOfWriters(db: Queryable): Promise<readonly string[]> {
  const found = await many(db, settingRow)`
    with role as (
      select pg_roles.oid, rolname, rolconnlimit, pg_class.relowner = pg_roles.oid as owns
        from pg_roles cross join pg_class
       where pg_class.oid = to_regclass('public.touch') and rolcanlogin and not rolsuper
         and has_table_privilege(pg_roles.oid, pg_class.oid, 'insert')),
    writer as (select * from role where not owns or not exists (select from role as other where not other.owns)),
    -- The value that a new session of the role has: the most specific setting wins.
    assigned as (
      select distinct on (writer.oid, name) writer.oid, split_part(config, '=', 1) as name,
             substr(config, strpos(config, '=') + 1) as value
        from writer
        join pg_db_role_setting as setting on setting.setrole in (0, writer.oid)
         and setting.setdatabase in (0, (select oid from pg_database where datname = current_database()))
       cross join unnest(setting.setconfig) as config, split_part(config, '=', 1) as name
       order by writer.oid, name, setting.setrole = 0, setting.setdatabase = 0),
    effective as (
      select writer.oid, server.name, coalesce(assigned.value,
               case when server.source in ('database', 'user', 'database user', 'client', 'session')
                    then server.boot_val else server.setting || coalesce(server.unit, '') end) as value
        from writer
       cross join pg_settings as server
        left join assigned on assigned.oid = writer.oid and lower(assigned.name) = lower(server.name)
       where server.name = any(${RULES.map(({ name }) => name)}::text[]))
    select effective.name, quote_ident(writer.rolname) as role, writer.rolconnlimit as limit,
           case when effective.name not like '%timeout' then effective.value
                when effective.value ~ '^\\d+$' then (effective.value::numeric / 1000)::text
                else extract(epoch from effective.value::interval)::text end as value,
           case when path.value is null then 'public' else (
             select nspname from unnest(string_to_array(path.value, ',')) with ordinality as part (name, place)
               join pg_namespace on nspname = replace(btrim(part.name, ' "'), '$user', writer.rolname)
              order by place limit 1) end as schema
      from effective
      join writer on writer.oid = effective.oid
      left join assigned as path on path.oid = writer.oid and path.name = 'search_path'
     order by writer.rolname, effective.name`;
  const byRole = Map.groupBy(found, ({ role }) => role);
  return [...byRole.values()].flatMap((settings) => [
    ...ofConnection(settings[0]),
    ...settings.map(canonical).flatMap(ofSetting),
  ]);
}

/** Whether a role may write touches. Superusers are left out, unless this session is one. */
export const hasWriter = (db: Queryable): Promise<boolean> => exists(db)`
  select from pg_roles
   where rolcanlogin and (not rolsuper or rolname = session_user)
     and has_table_privilege(oid, to_regclass('public.touch'), 'insert')`;

/** A stored setting keeps the notation in which it was written. */
function canonical(setting: z.infer<typeof settingRow>): z.infer<typeof settingRow> {
  const value = setting.value.trim().toLowerCase();
  const word = { true: "on", yes: "on", "1": "on", false: "off", no: "off", "0": "off" }[value] ?? value;
  if (setting.name.endsWith("timeout")) return setting;
  return { ...setting, value: setting.name === "DateStyle" ? value.toUpperCase() : word };
}

const connectionsRow = z.object({ most: z.int(), used: z.int() });

/** How many connections the server gives to roles like those of the functions, and how many clients use now. */
export async function readConnections(db: Queryable): Promise<z.infer<typeof connectionsRow>> {
  return await one(db, connectionsRow)`
    select (select sum(case name when 'max_connections' then setting::int else -setting::int end)::int from pg_settings
             where name in ('max_connections', 'superuser_reserved_connections', 'reserved_connections')) as most,
           (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used`;
}
