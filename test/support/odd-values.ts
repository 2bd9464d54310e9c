import type { Sql } from "./factories.ts";

/** A writable column, as the catalog describes it. */
export interface Column {
  readonly table: string;
  readonly name: string;
  /** For example `timestamp(3) with time zone`; an array ends with `[]`. */
  readonly type: string;
  readonly nullable: boolean;
  /** Empty if the type is not an enum. */
  readonly labels: readonly string[];
}

/** Part of every odd text. No report may contain it. */
export const MARK = "q7zMark";

/** The columns of `workspace` and of all tenant tables. Read from the catalog, so that new ones are included. */
export async function tenantColumns(sql: Sql): Promise<readonly Column[]> {
  const { rows } = await sql.query<Column>(`
    select relname as table, attname as name, format_type(atttypid, atttypmod) as type, not attnotnull as nullable,
           array(select enumlabel::text from pg_enum where enumtypid = atttypid order by enumsortorder) as labels
      from pg_class
      join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped and attgenerated = ''
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and (relname = 'workspace' or exists (
         select from pg_attribute as key
          where key.attrelid = pg_class.oid and key.attname = 'workspace_id' and not key.attisdropped))
     order by relname, attnum`);
  return rows;
}

/** The label that `ADD_UNKNOWN_LABELS` adds to each enum. */
export const UNKNOWN_LABEL = "not known yet";

/** Adds a label to each enum that this code does not know, as in a database with later migrations. */
export const ADD_UNKNOWN_LABELS = `
  do $$
  declare known record;
  begin
    for known in select oid::regtype as name from pg_type where typnamespace = 'public'::regnamespace and typtype = 'e' loop
      execute format('alter type %s add value %L', known.name, '${UNKNOWN_LABEL}');
    end loop;
  end $$;`;

export const INSTANTS = [
  "-infinity",
  "infinity",
  "4713-01-01 00:00:00Z BC",
  "0001-01-01 00:00:00Z",
  "9999-12-31 23:59:59.999Z",
  "275760-09-13 00:00:00.001Z",
  "294276-12-31 23:59:59.999Z",
];
const DAYS = ["-infinity", "infinity", "4713-01-01 BC", "9999-12-31", "5874897-12-31"];

export const TEXTS = [
  "",
  " ",
  `${MARK}\r\nBcc: other@example.test`,
  `\u0001\u001b[2J\u007f\u0085${MARK}`,
  `\u202e\u200b\ufeff\u2066${MARK}\u2028\ufffe`,
  `Mars/${MARK}`,
  "PST",
  "__proto__",
  `'"\\;{}[]$1%s${MARK}\\u0000`,
  `{{ lead.${MARK} | shout }}`,
  `first@example.test, ${MARK}@example.test`,
  MARK.repeat(15_000),
];

/** Odd values by type name without precision, as input text for the database. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  text: TEXTS,
  uuid: [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "11111111-1111-1111-1111-111111111111",
  ],
  smallint: ["-32768", "-1", "0", "1", "32767"],
  integer: ["-2147483648", "-1", "0", "1", "36500", "2147483647"],
  bigint: ["-9223372036854775808", "-1", "0", "1", "9007199254740993", "9223372036854775807"],
  "double precision": ["NaN", "-Infinity", "Infinity", "-0", "1e308"],
  numeric: ["NaN", "-1e1000", "1e1000", "0.1"],
  boolean: ["true", "false"],
  bytea: ["\\x", "\\x00", `\\x${"ff".repeat(1_000)}`],
  date: DAYS,
  "time without time zone": ["00:00", "23:59:59", "24:00"],
  "timestamp with time zone": INSTANTS,
  jsonb: ["null", "{}", "[]", '"text"', "1e400", `${"[".repeat(500)}${"]".repeat(500)}`],
  "smallint[]": ["{}", "{NULL}", "{1,NULL}", "{{1,2},{3,4}}", "[0:1]={1,2}", "{1,1,1}", "{-32768,32767}"],
  "integer[]": ["{}", "{NULL}", "{1,NULL}", "{{1,2},{3,4}}", "[0:1]={1,2}", "{-2147483648,2147483647}"],
  "date[]": ["{}", "{NULL}", "{{2030-01-07}}", "[0:0]={2030-12-24}", ...DAYS.map((day) => `{"${day}"}`)],
  "timestamp with time zone[]": ["{}", "{NULL}", "{{2030-01-08}}", ...INSTANTS.map((instant) => `{"${instant}"}`)],
  "placeholder_kind[]": ["{}", "{NULL}", "{{html,braces}}", "[0:0]={html}", `{"${UNKNOWN_LABEL}"}`],
  "text[]": ["{}", "{NULL}", "{{a,b}}", ...TEXTS.map((text) => JSON.stringify([text]).replace(/^\[(.*)\]$/su, "{$1}"))],
};

/** The odd values of a column. Throws for an unknown type: then add its values above. */
export function oddValuesOf({ table, name, type, nullable, labels }: Column): readonly (string | null)[] {
  const values = labels.length > 0 ? labels : VALUES[type.replace(/\([\d,]+\)/u, "")];
  if (!values) throw new Error(`${table}.${name}: no odd values of the type ${type} are known`);
  return nullable ? [...values, null] : values;
}

export interface Odd {
  readonly column: Column;
  readonly value: string | null;
}

/** The odd value in readable form, truncated. */
export function spell({ column, value }: Odd): string {
  const text = value === null ? "null" : JSON.stringify(value);
  return `${column.table}.${column.name} = ${text.length > 60 ? `${text.slice(0, 60)}… (${text.length} characters)` : text}`;
}

/**
 * Writes the value into each row of the tenant that the database's constraints allow. Returns the number of rows
 * written; the other rows stay unchanged.
 */
export async function writeOdd(sql: Sql, tenant: string, { column, value }: Odd): Promise<number> {
  const key = column.table === "workspace" ? "id" : "workspace_id";
  const { rows } = await sql.query<{ written: number }>("select pg_temp.write_odd($1, $2, $3, $4, $5, $6) as written", [
    column.table,
    column.name,
    column.type,
    key,
    tenant,
    value,
  ]);
  return rows[0]?.written ?? 0;
}

/** Creates the function that `writeOdd` calls. Run it on the same connection. */
export const WRITE_ODD = `
  create function pg_temp.write_odd(
    wanted text, attribute text, type text, key text, tenant uuid, value text) returns int language plpgsql as $$
  declare
    place tid;
    written int := 0;
  begin
    for place in execute format('select ctid from public.%I where %I = %L', wanted, key, tenant) loop
      begin
        execute format('update public.%I set %I = %L::%s where ctid = %L', wanted, attribute, value, type, place);
        written := written + 1;
      exception
        when integrity_constraint_violation or data_exception then null;
      end;
    end loop;
    return written;
  end $$;`;
