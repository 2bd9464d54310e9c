import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import type pg from "pg";
import { rolesStatement } from "../../infra/created-database.ts";
import { migrate } from "../../lib/store/migrate.ts";
import { createEmptyDatabase, MIGRATIONS, type TestDatabase } from "../support/database.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { openRunner } from "../support/run.ts";
import { openPool } from "../support/use-database.ts";

const suffix = randomBytes(6).toString("hex");
const [runner, migrator] = [`run_${suffix}`, `migrate_${suffix}`];
let database: TestDatabase;
let sql: pg.Pool;

beforeAll(async () => {
  database = await createEmptyDatabase();
  sql = openPool(database.url);
  // RDS has this role; its members log in with a token.
  await sql.query("do $$ begin create role rds_iam; exception when duplicate_object then null; end $$");
});

afterAll(async () => {
  await sql.query(`drop owned by ${runner}, ${migrator}`);
  await sql.query(`drop role ${runner}, ${migrator}`);
  await sql.end();
  await database.drop();
});

async function urlOf(role: string): Promise<string> {
  await sql.query(`alter role ${role} password 'of-this-test'`);
  const url = new URL(database.url);
  Object.assign(url, { username: role, password: "of-this-test" });
  return url.href;
}

it("creates two roles, also when run twice: one migrates and the other runs", async () => {
  const statement = rolesStatement({ database: new URL(database.url).pathname.slice(1), runner, migrator });
  await sql.query(statement);
  await sql.query(statement);
  const { applied } = await migrate({ connectionString: await urlOf(migrator) }, { directory: MIGRATIONS });
  expect(applied.length).toBeGreaterThan(0);

  const workspaceId = await addWorkspace(sql);
  const { id } = await addSequence(sql, workspaceId);
  await addFollowedLead(sql, workspaceId, id);
  const running = openRunner(await urlOf(runner));
  expect(await running.run({ trigger: "schedule" })).toMatchObject({
    success: true,
    results: { delivery: { sent: 1 } },
  });
  await running.close();

  const asRunner = openPool(await urlOf(runner));
  await expect(asRunner.query("drop table touch")).rejects.toThrow("must be owner");
  await expect(asRunner.query("create table mine (id int)")).rejects.toThrow("permission denied");
  await asRunner.end();
});
