import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { LEAD_STATUSES, PAUSED_REASONS } from "../../lib/domain/labels.ts";
import { type Database, openDatabase } from "../../lib/store/connect.ts";
import { clearDemo, contentsOf, type DemoOrder, loadDemo } from "../../prisma/demo/load-demo.ts";
import { createDatabase, createEmptyDatabase, type TestDatabase } from "../support/database.ts";
import { addLead, addWorkspace, everyRow } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { openPool } from "../support/use-database.ts";

/** Close to the database's clock, which determines whether a meeting is over. */
const NOW = new Date();
const ORDER: DemoOrder = { leads: 3_000, seed: 1, now: NOW };
const LIVE = "status in ('active', 'paused')";

interface Loaded {
  readonly database: Database;
  readonly sql: pg.Pool;
  drop(): Promise<void>;
}

async function openOn(created: TestDatabase): Promise<Loaded> {
  const database = openDatabase({ connectionString: created.url });
  const sql = openPool(created.url);
  const drop = async () => {
    await database.close();
    await sql.end();
    await created.drop();
  };
  return { database, sql, drop };
}

async function load(order: DemoOrder): Promise<Loaded> {
  const loaded = await openOn(await createDatabase());
  await loadDemo(loaded.database, order);
  return loaded;
}

async function fingerprintsOf(order: DemoOrder): Promise<Readonly<Record<string, string>>> {
  const { sql, drop } = await load(order);
  const found: Record<string, string> = {};
  for (const table of ["workspace", "lead", "follow_up_step", "follow_up_instance", "touch", "task", "appointment"]) {
    // The database's clock stamps when a lead became booked.
    found[table] = await singleValue(
      sql,
      `
      select md5(string_agg((to_jsonb(loaded) - 'booked_at' - 'orphan_since')::text, '' order by id)) as value from "${table}" as loaded`,
    );
  }
  await drop();
  return found;
}

async function singleValue<Value = string>(sql: pg.Pool, query: string): Promise<Value> {
  const { rows } = await sql.query<{ value: Value }>(query);
  if (!rows[0]) throw new Error("the query returned no row");
  return rows[0].value;
}

const countOf = async (sql: pg.Pool, from: string): Promise<number> =>
  Number(await singleValue(sql, `select count(*) as value from ${from}`));

let demo: Loaded;

beforeAll(async () => {
  demo = await load(ORDER);
});

afterAll(() => demo.drop());

describe("the demo data", () => {
  long.it("is identical for the same seed, leads and time", async () => {
    const small = { ...ORDER, leads: 400 };
    expect(await fingerprintsOf(small)).toEqual(await fingerprintsOf(small));
  });

  it("differs for another seed", async () => {
    const first = await fingerprintsOf({ ...ORDER, leads: 400 });
    const second = await fingerprintsOf({ ...ORDER, leads: 400, seed: 2 });
    for (const table of ["lead", "follow_up_instance", "touch", "appointment"]) {
      expect(second[table]).not.toBe(first[table]);
    }
  });

  it("has the ordered number of leads, in three workspaces of different time zones", async () => {
    expect(await countOf(demo.sql, "lead")).toBe(3_000);
    const { rows } = await demo.sql.query(
      "select time_zone from workspace where exists (select from lead where workspace_id = workspace.id) order by id",
    );
    expect(rows.map((row) => row.time_zone)).toEqual(["America/Los_Angeles", "Europe/Berlin", "Pacific/Auckland"]);
  });

  it("has instances of every status, paused for every reason, and leads of every status", async () => {
    const labelsOf = async (query: string) => (await demo.sql.query(query)).rows.map((row) => row.label);
    expect(await labelsOf("select distinct status::text as label from follow_up_instance order by 1")).toEqual([
      "active",
      "cancelled",
      "completed",
      "paused",
    ]);
    const reasons = await labelsOf(
      "select distinct paused_reason::text as label from follow_up_instance where paused_reason is not null",
    );
    expect(reasons.sort()).toEqual([...PAUSED_REASONS].sort());
    const statuses = await labelsOf("select distinct status::text as label from lead");
    expect(statuses.sort()).toEqual([...LEAD_STATUSES].sort());
  });

  it("has about 8 % booked leads that a sequence still chases, by status and by appointment", async () => {
    const chased = `lead join follow_up_instance as instance on instance.lead_id = lead.id
                     where is_booked and not post_booking and instance.${LIVE}`;
    const leads = await singleValue<string>(demo.sql, `select count(distinct lead.id) as value from ${chased}`);
    expect(Number(leads)).toBeGreaterThan(200);
    expect(Number(leads)).toBeLessThan(280);
    expect(
      await countOf(demo.sql, `${chased} and lead.status <> 'meeting-booked' and booked_until is not null`),
    ).toBeGreaterThan(20);
    expect(
      await countOf(demo.sql, `${chased} and lead.status = 'meeting-booked' and booked_until is null`),
    ).toBeGreaterThan(100);
  });

  it("has live post-booking instances of booked leads", async () => {
    expect(
      await countOf(demo.sql, `follow_up_instance where lead_booked and post_booking and ${LIVE}`),
    ).toBeGreaterThan(50);
  });

  it("stamps each lead with the time of its last touch", async () => {
    const wrong = `lead left join (
        select lead_id, max(claimed_at) as latest from touch where status in ('sent', 'unknown', 'sending') group by 1
      ) as reached on lead_id = lead.id
      where last_inbound_at is null and last_outbound_at is distinct from latest`;
    expect(await countOf(demo.sql, wrong)).toBe(0);
    expect(await countOf(demo.sql, "lead where last_outbound_at is not null")).toBeGreaterThan(1_000);
  });

  it("has no past event with a future time", async () => {
    const moment = `'${NOW.toISOString()}'::timestamptz`;
    for (const past of [
      `lead where greatest(created_at, last_inbound_at, last_outbound_at, opted_out_at) > ${moment}`,
      `follow_up_instance where greatest(created_at, completed_at) > ${moment}`,
      `touch where greatest(claimed_at, sent_at) > ${moment}`,
      `task where greatest(created_at, done_at) > ${moment}`,
    ]) {
      expect([past, await countOf(demo.sql, past)]).toEqual([past, 0]);
    }
  });

  it("uses only reserved addresses and numbers", async () => {
    expect(await countOf(demo.sql, "lead where email !~ '^[a-z]+\\.[a-z]+\\.[0-9]+@example\\.(com|net|org)$'")).toBe(0);
    expect(await countOf(demo.sql, "lead where phone !~ '^\\+1[0-9]{3}55501[0-9]{2}$'")).toBe(0);
  });

  it("is loaded in one transaction", async () => {
    const before = await everyRow(demo.sql);
    await expect(loadDemo(demo.database, { ...ORDER, leads: 100 })).rejects.toThrow();
    expect(await everyRow(demo.sql)).toEqual(before);
  });
});

describe("the contents of a database", () => {
  it("are nothing without tables or workspaces, and demo after loading", async () => {
    const empty = await openOn(await createEmptyDatabase());
    expect(await contentsOf(empty.database)).toBe("nothing");
    await empty.drop();
    const migrated = await openOn(await createDatabase());
    expect(await contentsOf(migrated.database)).toBe("nothing");
    await loadDemo(migrated.database, { ...ORDER, leads: 50 });
    expect(await contentsOf(migrated.database)).toBe("demo");
    await migrated.drop();
  });

  it("are other with one more workspace or lead, and clearing then removes nothing", async () => {
    for (const table of ["workspace", "lead"]) {
      const { database, sql, drop } = await load({ ...ORDER, leads: 50 });
      if (table === "workspace") await addWorkspace(sql);
      else await addLead(sql, await singleValue(sql, "select id as value from workspace limit 1"));
      const before = await everyRow(sql);
      expect(await contentsOf(database)).toBe("other");
      await expect(clearDemo(database)).rejects.toThrow("nothing was removed");
      expect(await everyRow(sql)).toEqual(before);
      await drop();
    }
  });

  it("are nothing after the demo is cleared", async () => {
    const { database, sql, drop } = await load({ ...ORDER, leads: 50 });
    await clearDemo(database);
    expect(await contentsOf(database)).toBe("nothing");
    expect(await countOf(sql, "touch")).toBe(0);
    await drop();
  });
});
