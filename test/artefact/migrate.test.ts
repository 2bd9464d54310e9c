import { readdir } from "node:fs/promises";
import { afterEach, beforeAll, beforeEach, describe, expect } from "@jest/globals";
import type pg from "pg";
import { anExample, created } from "../infra/example.ts";
import { createEmptyDatabase, MIGRATIONS, type TestDatabase } from "../support/database.ts";
import { type Artefacts, synthesise } from "../support/lambda/artefacts.ts";
import { REGION } from "../support/lambda/proxied-database.ts";
import { startTokenProxy, type TokenProxy } from "../support/lambda/token-proxy.ts";
import { type LambdaWorker, startWorker } from "../support/lambda/worker.ts";
import { long } from "../support/long.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { openPool } from "../support/use-database.ts";

const KEYS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "a-secret-of-this-test" };
const NAME = "backstop-dev-migrate";

let artefacts: Artefacts;
let folder: string;
let database: TestDatabase;
let sql: pg.Pool;
let door: TokenProxy;
let worker: LambdaWorker;
let ours: readonly string[];

beforeAll(async () => {
  artefacts = await synthesise(anExample(created));
  folder = await temporaryFolder();
  ours = (await readdir(MIGRATIONS, { withFileTypes: true }))
    .filter((one) => one.isDirectory())
    .map(({ name }) => name);
});

/** A database without tables, behind a proxy that requires an RDS token. */
beforeEach(async () => {
  database = await createEmptyDatabase();
  sql = openPool(database.url);
  const rules = { host: "localhost", user: "backstop_migrate", region: REGION, ...KEYS };
  door = await startTokenProxy({ databaseUrl: database.url, rules, folder });
  const { bundle, environment } = artefacts.of(NAME);
  worker = await startWorker({
    bundle,
    functionName: NAME,
    environment: {
      ...environment,
      DATABASE_HOST: "localhost",
      DATABASE_PORT: String(door.port),
      DATABASE_NAME: new URL(database.url).pathname.slice(1),
      AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
      NODE_EXTRA_CA_CERTS: door.certificateFile,
    },
  });
});

afterEach(async () => {
  await worker.close();
  await door.close();
  await sql.end();
  await database.drop();
});

describe("the migrations of the function", () => {
  long.it("are all applied, and none the second time", async () => {
    expect(await worker.invoke({})).toEqual({ kind: "response", body: { applied: [...ours].sort() } });
    expect(await worker.invoke({})).toEqual({ kind: "response", body: { applied: [] } });
    expect(new Set(door.attempts)).toEqual(new Set(["let in"]));
  });

  long.it("fail the deploy if one of them failed before", async () => {
    await worker.invoke({});
    await sql.query("update _prisma_migrations set finished_at = null where migration_name = $1", [
      ours.toSorted().at(-1),
    ]);
    expect(await worker.invoke({})).toMatchObject({ kind: "error", errorType: "MigrationFailed" });
  });

  long.it("do not block a rollback if a migration of a later release failed", async () => {
    await worker.invoke({});
    const later = "20990101000000_of_a_later_release";
    await sql.query(
      `insert into _prisma_migrations (id, checksum, migration_name, started_at, applied_steps_count)
       values (gen_random_uuid(), 'x', $1, now(), 0)`,
      [later],
    );
    expect(await worker.invoke({})).toEqual({ kind: "response", body: { applied: [] } });
    await sql.query(
      "update _prisma_migrations set finished_at = now(), applied_steps_count = 1 where migration_name = $1",
      [later],
    );
    expect(await worker.invoke({})).toEqual({ kind: "response", body: { applied: [] } });
  });
});
