import { randomBytes } from "node:crypto";
import type pg from "pg";
import { createDatabase } from "../database.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { until } from "../transactions.ts";
import { openPool } from "../use-database.ts";
import { startTokenProxy, type TokenProxy } from "./token-proxy.ts";

const KEYS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "a-secret-of-this-test" };
export const REGION = "eu-central-1";
export const USER = "backstop_run";
const LOOK_USER = "backstop_look";

/** A test database behind a proxy that requires TLS and tokens, with the environment to reach it. */
export interface ProxiedDatabase {
  /** Connects as the owner, without the proxy. */
  readonly sql: pg.Pool;
  readonly url: string;
  readonly proxy: TokenProxy;
  readonly environment: Readonly<Record<string, string>>;
  /** The environment of a function that may only read, through a proxy of its own. */
  readonly lookEnvironment: () => Promise<Readonly<Record<string, string>>>;
  /** Kills all connections of the function. Returns their number. */
  killConnections(): Promise<number>;
  drop(): Promise<void>;
}

/** The proxy's role has exactly the permissions that docs/deploy.md grants to the function's user. */
export async function createProxiedDatabase(): Promise<ProxiedDatabase> {
  const database = await createDatabase();
  const sql = openPool(database.url);
  const runner = await makeSignIn(database.url, sql, { user: USER, privileges: "select, insert, update, delete" });
  const signIns = [runner];
  return {
    sql,
    url: database.url,
    proxy: runner.proxy,
    environment: runner.environment,
    async lookEnvironment() {
      const reader = await makeSignIn(database.url, sql, { user: LOOK_USER, privileges: "select" });
      signIns.push(reader);
      return reader.environment;
    },
    async killConnections() {
      const killed = await sql.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [
        runner.role,
      ]);
      await until("the function's side has been told", async () => (runner.proxy.open() === 0 ? true : undefined));
      return killed.rowCount ?? 0;
    },
    async drop() {
      for (const { proxy, role } of signIns) {
        await proxy.close();
        await sql.query(`drop owned by ${role}`);
        await sql.query(`drop role ${role}`);
      }
      await sql.end();
      await database.drop();
    },
  };
}

interface SignIn {
  readonly user: string;
  readonly privileges: string;
}

/** A role with these privileges on all tables, and a proxy that signs in as it when it gets a token of the user. */
async function makeSignIn(databaseUrl: string, sql: pg.Pool, { user, privileges }: SignIn) {
  const role = `backstop_role_${randomBytes(6).toString("hex")}`;
  const password = randomBytes(12).toString("hex");
  const name = new URL(databaseUrl).pathname.slice(1);
  await sql.query(`create role ${role} login password '${password}'`);
  await sql.query(`grant connect on database ${name} to ${role}`);
  await sql.query(`grant usage on schema public to ${role}`);
  await sql.query(`grant ${privileges} on all tables in schema public to ${role}`);
  const asRole = new URL(databaseUrl);
  Object.assign(asRole, { username: role, password });
  const folder = await temporaryFolder();
  const rules = { host: "localhost", user, region: REGION, ...KEYS };
  const proxy = await startTokenProxy({ databaseUrl: asRole.href, rules, folder });
  const environment = {
    DATABASE_HOST: "localhost",
    DATABASE_PORT: String(proxy.port),
    DATABASE_NAME: name,
    DATABASE_USER: user,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
    NODE_EXTRA_CA_CERTS: proxy.certificateFile,
  };
  return { role, proxy, environment };
}
