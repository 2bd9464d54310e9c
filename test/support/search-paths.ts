import pg from "pg";
import { openPool } from "./use-database.ts";

/** A search_path of a client that writes to our tables. It decides what unqualified names mean. */
export interface SearchPath {
  readonly name: string;
  /** Whether an unqualified name finds our table; false: another table; null: none. */
  readonly findsOurs: boolean | null;
  /** Runs once in the database, before the first connection with this path. */
  readonly prepare?: string;
  /** Runs on each new connection. */
  readonly onConnect?: string;
}

const OUR_TABLES = `
  select relname as name from pg_class
   where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_prisma_migrations'`;

/** Creates a table with the name and columns of each of ours. `what` is the kind of table or the schema. */
const shadowTables = (what: string): string => `
  do $$
  declare ours record;
  begin
    for ours in ${OUR_TABLES} loop
      execute format('create ${what}%1$I (like public.%1$I)', ours.name);
    end loop;
  end $$;`;

/** Another application with the same names of tables, enum types and functions, and of two built-in functions. */
const ANOTHER_APPLICATION = `
  create schema crm;
  ${shadowTables("table crm.")}
  do $$
  declare ours record;
  begin
    for ours in select typname as name from pg_type where typnamespace = 'public'::regnamespace and typtype = 'e' loop
      execute format('create type crm.%I as enum (%L)', ours.name, 'of another application');
    end loop;
    for ours in
      select proname as name, pg_get_function_identity_arguments(oid) as given, prorettype::regtype as result
        from pg_proc where pronamespace = 'public'::regnamespace
    loop
      execute format('create function crm.%I(%s) returns %s language plpgsql as %L', ours.name, ours.given, ours.result,
                     'begin raise exception ''the function of another application was called''; end');
    end loop;
  end $$;
  create function crm.gen_random_uuid() returns uuid language sql return '00000000-0000-0000-0000-000000000000'::uuid;
  create function crm.clock_timestamp() returns timestamptz language sql return '2001-01-01'::timestamptz;`;

export const SEARCH_PATHS: readonly SearchPath[] = [
  { name: "the names are ours", findsOurs: true },
  {
    name: "a temporary table stands before each of ours",
    findsOurs: false,
    onConnect: shadowTables("temporary table "),
  },
  {
    name: "another application comes first",
    findsOurs: false,
    prepare: ANOTHER_APPLICATION,
    onConnect: "set search_path = crm, public, pg_catalog",
  },
  { name: "no schema is searched", findsOurs: null, onConnect: "set search_path = ''" },
];

/** Like `openPool`, under this search path. Runs `prepare` first. */
export async function openPoolUnder({ prepare, onConnect }: SearchPath, url: string): Promise<pg.Pool> {
  if (prepare) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(prepare);
    await client.end();
  }
  return openPool(url, onConnect ? { onConnect: (client) => client.query(onConnect) } : {});
}
