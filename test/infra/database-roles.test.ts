import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { PROJECT } from "../../infra/bundle.ts";
import { rolesStatement } from "../../infra/created-database.ts";
import { migrate } from "../../lib/store/migrate.ts";
import { createEmptyDatabase, MIGRATIONS, type TestDatabase } from "../support/database.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { openRunner } from "../support/run.ts";
import { openPool } from "../support/use-database.ts";

interface Roles {
  readonly database: string;
  readonly runner: string;
  readonly reader: string;
  readonly migrator: string;
}

/** How people make and remove the roles, in the order of the page: first the SQL that makes them. */
const [BY_HAND = "", REMOVAL = ""] = sqlOf(await readFile(join(PROJECT, "docs/deploy.md"), "utf8"));

/** How people add the user of `look` to a database that has the other two. */
const [UPGRADE = ""] = sqlOf(await readFile(join(PROJECT, "docs/upgrade-and-recover.md"), "utf8"));

/** With it, PostgreSQL 16 and later add an inheriting membership to each role that the administrator creates. */
const SELF_GRANT = "alter role %I set createrole_self_grant = 'set, inherit'";

describe.each([
  { name: "the statement of the stack", statementOf: rolesStatement, repeatable: true },
  { name: "the SQL of the page", statementOf: (roles: Roles) => named(BY_HAND, roles), repeatable: false },
])("$name, run by an administrator who is not a superuser", ({ statementOf, repeatable }) => {
  const suffix = randomBytes(6).toString("hex");
  const [administrator, runner, migrator] = [`admin_${suffix}`, `run_${suffix}`, `migrate_${suffix}`];
  const reader = `look_${suffix}`;
  let database: TestDatabase;
  let superuser: pg.Pool;
  let admin: pg.Pool;
  let version: number;
  let roles: Roles;

  beforeAll(async () => {
    database = await createEmptyDatabase();
    superuser = openPool(database.url);
    roles = { database: new URL(database.url).pathname.slice(1), runner, reader, migrator };
    version = await majorVersion(superuser);
    await makeAdministrator();
    admin = openPool(await urlOf(administrator));
    await admin.query(statementOf(roles));
  });

  afterAll(async () => {
    await admin.query(named(REMOVAL, roles));
    await admin.end();
    await superuser.query(`alter database ${roles.database} owner to current_user`);
    await superuser.query(`drop owned by ${administrator}; drop role ${administrator}`);
    await superuser.end();
    await database.drop();
  });

  /** As on RDS: owns the database, may create roles, may grant `rds_iam`, whose members sign in with a token. */
  async function makeAdministrator(): Promise<void> {
    await superuser.query("do $$ begin create role rds_iam; exception when duplicate_object then null; end $$");
    await superuser.query(`create role ${administrator} login createrole`);
    await superuser.query(`alter database ${roles.database} owner to ${administrator}`);
    if (version < 16) return;
    await superuser.query(`grant rds_iam to ${administrator} with admin true, inherit false, set false`);
    await superuser.query(SELF_GRANT.replace("%I", administrator));
  }

  async function urlOf(role: string): Promise<string> {
    await superuser.query(`alter role ${role} password 'of-this-test'`);
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: "of-this-test" });
    return url.href;
  }

  /** RDS refuses the password of a role for which this is true. */
  const signsInWithTokens = async (role: string) => {
    const { rows } = await superuser.query("select pg_has_role($1, 'rds_iam', 'USAGE') as usage", [role]);
    return rows[0].usage;
  };

  it("makes roles that sign in with tokens, and leaves the administrator its password", async () => {
    for (const role of [runner, reader, migrator]) expect(await signsInWithTokens(role)).toBe(true);
    expect(await signsInWithTokens(administrator)).toBe(false);
  });

  it("leaves no membership in the roles but the one that PostgreSQL 16 adds and does not revoke", async () => {
    const { rows } = await superuser.query(
      `select to_jsonb(membership) - '{oid,roleid,member,grantor}'::text[] as options
         from pg_auth_members as membership
        where member = $1::regrole and roleid = any($2::text[]::regrole[])`,
      [administrator, [runner, reader, migrator]],
    );
    const onlyAdmin = { options: { admin_option: true, inherit_option: false, set_option: false } };
    expect(rows).toEqual(version < 16 ? [] : [onlyAdmin, onlyAdmin, onlyAdmin]);
  });

  it("lets one migrate and the other run, and the administrator do what the runbook says", async () => {
    const { applied } = await migrate({ connectionString: await urlOf(migrator) }, { directory: MIGRATIONS });
    expect(applied.length).toBeGreaterThan(0);
    const workspaceId = await addWorkspace(admin);
    const { id } = await addSequence(admin, workspaceId);
    await addFollowedLead(admin, workspaceId, id);

    const running = openRunner(await urlOf(runner));
    expect(await running.run({ trigger: "schedule" })).toMatchObject({
      success: true,
      results: { delivery: { sent: 1 } },
    });
    await running.close();

    expect((await admin.query("select report from run")).rowCount).toBe(1);
    expect((await admin.query("update workspace set paused_at = now()")).rowCount).toBe(1);
    const asRunner = openPool(await urlOf(runner));
    await expect(asRunner.query("drop table touch")).rejects.toThrow("must be owner");
    await expect(asRunner.query("create table mine (id int)")).rejects.toThrow("permission denied");
    await asRunner.end();
  });

  it("lets the third read everything and write nothing, in tables that a later migration adds too", async () => {
    const [asMigrator, asReader] = [openPool(await urlOf(migrator)), openPool(await urlOf(reader))];
    await asMigrator.query("create table later (id int)");
    for (const table of ["workspace", "lead", "placed_order", "_prisma_migrations", "later"])
      await asReader.query(`select from ${table}`);
    for (const write of [
      "update workspace set paused_at = null",
      "delete from touch",
      "insert into later values (1)",
      "select from workspace for update",
      "create table mine (id int)",
      "truncate later",
    ])
      await expect(asReader.query(write)).rejects.toThrow(/permission denied|must be owner/);
    const asRunner = openPool(await urlOf(runner));
    expect((await asRunner.query("insert into later values (1)")).rowCount).toBe(1);
    for (const pool of [asMigrator, asReader, asRunner]) await pool.end();
  });

  it("gives a database of two users the third, by the SQL of the page about upgrades", async () => {
    await superuser.query(`drop owned by ${reader}; drop role ${reader}`);
    await admin.query(named(UPGRADE, roles));
    expect(await signsInWithTokens(reader)).toBe(true);
    expect(await signsInWithTokens(administrator)).toBe(false);
    const [asMigrator, asReader] = [openPool(await urlOf(migrator)), openPool(await urlOf(reader))];
    await asMigrator.query("create table latest (id int)");
    for (const table of ["workspace", "_prisma_migrations", "latest"]) await asReader.query(`select from ${table}`);
    await expect(asReader.query("delete from touch")).rejects.toThrow("permission denied");
    for (const pool of [asMigrator, asReader]) await pool.end();
  });

  if (!repeatable) return;

  it("may be run again, and gives another runner and another reader the tables that exist", async () => {
    const another = { ...roles, runner: `${runner}_2`, reader: `${reader}_2` };
    await admin.query(statementOf(another));
    await admin.query(statementOf(another));
    const asAnother = openPool(await urlOf(another.runner));
    expect((await asAnother.query("select from workspace for update")).rowCount).toBe(1);
    await asAnother.end();
    const asReader = openPool(await urlOf(another.reader));
    expect((await asReader.query("select from workspace")).rowCount).toBe(1);
    await expect(asReader.query("select from workspace for update")).rejects.toThrow("permission denied");
    await asReader.end();
    expect(await signsInWithTokens(administrator)).toBe(false);
    const both = `${another.runner}, ${another.reader}`;
    await superuser.query(`drop owned by ${both}; drop role ${both}`);
  });

  it("changes nothing if the administrator would inherit from rds_iam through another role", async () => {
    const another = { ...roles, runner: `${runner}_3` };
    const team = `team_${suffix}`;
    await admin.query(`create role ${another.runner} login`);
    await superuser.query(`create role ${team}; grant ${another.runner} to ${team}; grant ${team} to ${administrator}`);
    await expect(admin.query(statementOf(another))).rejects.toThrow("RDS would refuse its password");
    expect(await signsInWithTokens(administrator)).toBe(false);
    expect(await signsInWithTokens(another.runner)).toBe(false);
    await superuser.query(`drop role ${team}, ${another.runner}`);
  });
});

const majorVersion = async (sql: pg.Pool): Promise<number> =>
  Math.floor(
    (await sql.query("select current_setting('server_version_num')::int as version")).rows[0].version / 10_000,
  );

/** The SQL blocks of a page. */
function sqlOf(page: string): readonly string[] {
  return [...page.matchAll(/^ *```sql\n([\s\S]*?)^ *```$/gm)].map(([, sql = ""]) => sql);
}

/** The SQL with the names of a test in place of those of the page. */
const named = (sql: string, { database, runner, reader, migrator }: Roles): string =>
  sql
    .replaceAll("DATABASE backstop ", `DATABASE ${database} `)
    .replaceAll("backstop_run", runner)
    .replaceAll("backstop_look", reader)
    .replaceAll("backstop_migrate", migrator);
