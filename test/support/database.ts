import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { migrate } from "../../lib/store/migrate.ts";

/** A database that only one test uses. */
export interface TestDatabase {
  readonly url: string;
  /** Drops the database and its remaining connections. */
  drop(): Promise<void>;
}

export const MIGRATIONS = fileURLToPath(new URL("../../prisma/migrations", import.meta.url));

/** A clone of the migrated template: all tables and laws, no rows. */
export function createDatabase(): Promise<TestDatabase> {
  return createFrom(required("BACKSTOP_TEST_TEMPLATE"));
}

/** A database without any tables, for tests of the migrations themselves. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return createFrom("template0");
}

/** The administrative URL of the server that all tests share. */
export function serverUrl(): string {
  return required("BACKSTOP_TEST_SERVER");
}

/** Migrates the template database that tests clone. Returns its name. */
export async function prepareTemplate(server: string): Promise<string> {
  const name = randomName("template");
  await administer(server, `CREATE DATABASE ${name} TEMPLATE template0`);
  try {
    await migrate({ connectionString: urlOf(server, name) }, { directory: MIGRATIONS });
  } catch (error) {
    await administer(server, dropStatement(name));
    throw error;
  }
  return name;
}

export async function dropTemplate(): Promise<void> {
  await drop(required("BACKSTOP_TEST_TEMPLATE"));
}

async function createFrom(template: string): Promise<TestDatabase> {
  const name = randomName("test");
  await administer(serverUrl(), `CREATE DATABASE ${name} TEMPLATE ${template}`);
  return { url: urlOf(serverUrl(), name), drop: () => drop(name) };
}

const dropStatement = (name: string) => `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`;
const drop = (name: string) => administer(serverUrl(), dropStatement(name));

async function administer(server: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** Random, so that two test runs on one server do not collide. */
const randomName = (kind: string) => `backstop_${kind}_${randomBytes(8).toString("hex")}`;

function urlOf(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = `/${database}`;
  return url.href;
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: tests run through jest, whose global setup sets it`);
  return value;
}
