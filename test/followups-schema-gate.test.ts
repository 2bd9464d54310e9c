import { once } from "node:events";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import type { Report } from "../lib/run/report.ts";
import { EXPECTED_SCHEMA } from "../lib/store/expected-schema.ts";
import { createDatabase, type TestDatabase } from "./support/database.ts";
import { addFollowedLead, addSequence, addWorkspace, everyRow, type Sequence } from "./support/factories.ts";
import { accept, openRunner, type Runner } from "./support/run.ts";
import { openPool } from "./support/use-database.ts";

let database: TestDatabase;
let sql: pg.Pool;
let runner: Runner;
let chase: Sequence;
let workspaceId: string;

/** One database per test, because schema changes are not undone. Adds four due steps and one booking. */
beforeEach(async () => {
  database = await createDatabase();
  sql = openPool(database.url);
  runner = openRunner(database.url);
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
  for (let number = 0; number < 4; number++) await addFollowedLead(sql, workspaceId, chase.id);
  const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
  await sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
});

afterEach(async () => {
  await runner.close();
  await sql.end();
  await database.drop();
});

const NO_STEPS = {
  runId: null,
  backstop: null,
  snoozed: null,
  resumed: null,
  enrichmentResumed: null,
  repaired: null,
  results: null,
  recovered: null,
  notificationDigests: null,
};
const TABLES = "20261129000000_tables";
const LAWS = "20261129000100_laws";

describe("a database that lacks something the code was built with", () => {
  it.each<[string, string, readonly string[]]>([
    [
      "a migration that was not applied",
      `delete from _prisma_migrations where migration_name = '${LAWS}'`,
      [`migration ${LAWS}`],
    ],
    [
      "a migration that was rolled back",
      `update _prisma_migrations set rolled_back_at = now() where migration_name = '${TABLES}'`,
      [`migration ${TABLES}`],
    ],
    [
      "a migration that did not finish",
      `update _prisma_migrations set finished_at = null where migration_name = '${LAWS}'`,
      [`migration ${LAWS}`],
    ],
    [
      "the whole history",
      "drop table _prisma_migrations",
      EXPECTED_SCHEMA.migrations.map((name) => `migration ${name}`),
    ],
    ["a column", "alter table lead drop column company", ["column lead.company"]],
    ["a renamed column", "alter table touch rename provider_id to external_id", ["column touch.provider_id"]],
    [
      "a table",
      "drop table intake_event",
      ["workspace_id", "event_id", "detail_type", "occurred_at", "received_at", "outcome"].map(
        (column) => `column intake_event.${column}`,
      ),
    ],
    ["a label", "delete from pg_enum where enumlabel = 'lead_snoozed'", ["label paused_reason.lead_snoozed"]],
    ["a renamed label", "alter type touch_status rename value 'expired' to 'late'", ["label touch_status.expired"]],
    [
      "a renamed type",
      "alter type digest_channel rename to digest_way",
      ["email", "webhook"].map((label) => `label digest_channel.${label}`),
    ],
    [
      "several things at once",
      `alter table lead drop column company; delete from _prisma_migrations where migration_name = '${LAWS}'`,
      [`migration ${LAWS}`, "column lead.company"],
    ],
  ])("stops the run before it writes or sends anything: %s", async (_, statement, missing) => {
    await sql.query(statement);
    const before = await everyRow(sql);

    const report = await runner.run({ trigger: "schedule" });

    expect(report).toMatchObject({ statusCode: 503, success: false, reason: "schema_out_of_date", ...NO_STEPS });
    expect([...(report.missing ?? [])].sort()).toEqual([...missing].sort());
    // The text names the first eight, so that it stays readable.
    for (const name of missing.slice(0, 8)) expect(report.errors.join()).toContain(name);
    expect(runner.channel.sent).toEqual([]);
    expect(await everyRow(sql)).toEqual(before);
  });

  it("is the only one that is stopped: as it was migrated, it is written to and sent from", async () => {
    const report = await runner.run({ trigger: "schedule" });
    expect(report).toMatchObject({ statusCode: 200, success: true, backstop: { completedCount: 1 } });
    expect(runner.channel.sent).toHaveLength(4);
  });
});

describe("a database that is ahead of the code", () => {
  it.each([
    [
      "a later migration",
      `insert into _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       values ('later', 'later', '20990101000000_later', now(), 1)`,
    ],
    [
      "a later migration that failed",
      `insert into _prisma_migrations (id, checksum, migration_name, applied_steps_count)
       values ('later', 'later', '20990101000000_later', 0)`,
    ],
    [
      "a migration that failed before it was applied",
      `insert into _prisma_migrations (id, checksum, migration_name, rolled_back_at, applied_steps_count)
       values ('first attempt', 'first', '${LAWS}', now(), 0)`,
    ],
    ["a column more", "alter table lead add column nickname text"],
    ["a column more in every table that is written", "alter table touch add column cost int not null default 0"],
    ["a table more", "create table invoice (id int)"],
    ["a label more", "alter type lead_status add value 'won'"],
  ])("is used as usual: %s", async (_, statement) => {
    await sql.query(statement);
    expect(await runner.run()).toMatchObject({ statusCode: 200, success: true, results: { delivery: { sent: 4 } } });
  });
});

describe("a database that cannot be reached", () => {
  const withUrl = (change: (url: URL) => void): string => {
    const url = new URL(database.url);
    url.password = "a-secret";
    change(url);
    return url.href;
  };

  async function runOn(url: string): Promise<Report> {
    const lost = openRunner(url);
    const report = await lost.run({ trigger: "schedule" });
    expect(lost.channel.sent).toEqual([]);
    await lost.close();
    return report;
  }

  function expectUnreachable(report: Report): void {
    expect(report).toMatchObject({ statusCode: 503, success: false, reason: "database_unreachable", ...NO_STEPS });
    expect(report.missing).toBeUndefined();
    expect(report.errors).toEqual([expect.stringMatching(/^the database cannot be reached: /)]);
    expect(JSON.stringify(report)).not.toContain("a-secret");
  }

  it("is not reported as out of date if the connection is refused", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const port = String(portOf(server));
    server.close();
    await once(server, "close");
    expectUnreachable(await runOn(withUrl((url) => Object.assign(url, { hostname: "127.0.0.1", port }))));
  });

  it("is not reported as out of date if it does not exist", async () => {
    expectUnreachable(await runOn(withUrl((url) => Object.assign(url, { pathname: "/not_there" }))));
  });

  it("is not reported as out of date if the role is unknown", async () => {
    expectUnreachable(await runOn(withUrl((url) => Object.assign(url, { username: "stranger" }))));
  });

  it("is not reported as out of date if the server hangs up", async () => {
    const server = net.createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const port = String(portOf(server));
    expectUnreachable(await runOn(withUrl((url) => Object.assign(url, { hostname: "127.0.0.1", port }))));
    server.close();
  });

  it("is not reported as out of date if it stops before the schema is read", async () => {
    const line = await openLine(database.url);
    const far = openRunner(line.url);
    const missingSchema = async () => {
      await line.cut();
      return far.ports.missingSchema();
    };
    expectUnreachable(await far.run({ trigger: "schedule" }, { missingSchema }));
    await far.close();
  });

  it("is not reported as out of date if it stops during a run, and the finished work is reported", async () => {
    const line = await openLine(database.url);
    const far = openRunner(line.url);
    far.channel.answer = async (touch) => {
      await line.cut();
      return accept(touch);
    };
    const report = await far.run({ trigger: "schedule" });
    expect(report).toMatchObject({
      statusCode: 503,
      success: false,
      reason: "database_unreachable",
      backstop: { completedCount: 1 },
      results: { due: 4, claimed: 4, delivery: { sent: 0, unknown: 4 } },
    });
    expect(report.missing).toBeUndefined();
    await far.close();
    const { rows } = await sql.query("select status, count(*)::int from touch group by status");
    expect(rows).toEqual([{ status: "sending", count: 4 }]);
  });
});

describe("a loss after the gate was passed", () => {
  const losing = (statement: string) => {
    let lost = false;
    runner.channel.answer = async (touch) => {
      if (!lost) {
        lost = true;
        await sql.query(statement);
      }
      return accept(touch);
    };
    return runner.run({ trigger: "schedule" }, { settings: { batchSize: 2, sendsAtOnce: 2 } });
  };

  const FIRST_BATCH = { due: 2, claimed: 2 };

  it.each([
    [
      "a column that the next claim reads",
      "alter table follow_up_step drop column needs_approval",
      "needs_approval",
      2,
    ],
    ["a table that the next claim writes", "alter table touch rename to tap", "touch", 0],
    ["a column that the end of a sending writes", "alter table touch drop column sent_at", "sent_at", 0],
    ["a label that the end of a sending writes", "alter type touch_status rename value 'sent' to 'gone'", "sent", 0],
  ])("of %s is reported as out of date, with the results of the steps that ran", async (_, statement, name, sent) => {
    const report = await losing(statement);
    expect(report).toMatchObject({
      statusCode: 503,
      success: false,
      reason: "schema_out_of_date",
      backstop: { completedCount: 1 },
      snoozed: { checked: 0 },
      results: { ...FIRST_BATCH, delivery: { sent, unknown: 2 - sent } },
    });
    expect(report.missing?.join()).toContain(name);
    expect(runner.channel.sent).toHaveLength(2);
    const { rows } = await sql.query("select success, report ->> 'reason' as reason from run");
    expect(rows).toEqual([{ success: false, reason: "schema_out_of_date" }]);
  });

  it("does no harm if the run does not need it", async () => {
    expect(await losing("drop table intake_event")).toMatchObject({
      statusCode: 200,
      success: true,
      results: { due: 4, delivery: { sent: 4 } },
    });
  });
});

function portOf(server: net.Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return address.port;
}

/** A proxy to the database. `cut` breaks every connection and refuses new ones. */
async function openLine(url: string): Promise<{ readonly url: string; cut(): Promise<void> }> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(Number(port || 5432), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = Object.assign(new URL(url), { hostname: "127.0.0.1", port: String(portOf(server)) });
  return {
    url: near.href,
    async cut() {
      if (!server.listening) return;
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}
