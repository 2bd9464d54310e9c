import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import type { HeldLock } from "../lib/run/ports.ts";
import { overlapLock } from "../lib/store/runs.ts";
import {
  addBystanders,
  addFollowedLead,
  addSequence,
  addWorkspace,
  LONG_AGO,
  rowsOf,
  type Sequence,
} from "./support/factories.ts";
import { accept, clockAt, openRunner, type Runner } from "./support/run.ts";
import { until } from "./support/transactions.ts";
import { openPool, useDatabase } from "./support/use-database.ts";

const { database, sql } = await useDatabase();
const bystanders = await addBystanders(sql);
let first: Runner;
let second: Runner;
let workspaceId: string;
let chase: Sequence;

/** Two workers with a pool each, and an empty workspace. */
beforeEach(async () => {
  first = openRunner(database.url);
  second = openRunner(database.url);
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
});

afterEach(async () => {
  await first.close();
  await second.close();
});

const LONGEST_INVOCATION_MS = 15 * 60_000;

const addDue = async (count: number): Promise<void> => {
  for (let number = 0; number < count; number++) await addFollowedLead(sql, workspaceId, chase.id);
};

async function addBooked(): Promise<string> {
  const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
  await sql.query("update lead set status = 'meeting-booked' where id = $1", [leadId]);
  return instanceId;
}

async function statusOf(instanceId: string): Promise<string | undefined> {
  const { rows } = await sql.query<{ status: string }>("select status from follow_up_instance where id = $1", [
    instanceId,
  ]);
  return rows[0]?.status;
}

/** Server processes that hold an advisory lock in this database. */
async function lockPids(): Promise<readonly number[]> {
  const { rows } = await sql.query<{ pid: number }>(
    `select pid from pg_locks
      where locktype = 'advisory' and granted
        and database = (select oid from pg_database where datname = current_database())`,
  );
  return rows.map(({ pid }) => pid);
}

const untilFree = () => until("the lock is free", async () => ((await lockPids()).length === 0 ? true : undefined));

const terminate = (pid: number) => sql.query("select pg_terminate_backend($1)", [pid]);

async function take(runner: Runner): Promise<HeldLock> {
  const held = await runner.ports.lock.tryAcquire();
  if (!held) throw new Error("the lock was not free");
  return held;
}

/** A gate that blocks a provider until the test opens it. */
function gate() {
  const opened = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const pass = async () => {
    reached.resolve();
    await opened.promise;
  };
  return { pass, reached: reached.promise, open: () => opened.resolve() };
}

const LOCKED = {
  statusCode: 200,
  success: true,
  skipped: true,
  reason: "locked",
  snoozed: null,
  resumed: null,
  enrichmentResumed: null,
  repaired: null,
  results: null,
  recovered: null,
};

describe("two invocations at once", () => {
  it("run the steps once: the other completes booked leads and reports the lock's holder and its start", async () => {
    await addDue(1);
    const { pass, reached, open } = gate();
    first.channel.answer = async (touch) => {
      await pass();
      return accept(touch);
    };
    const running = first.run({}, { requestId: "the-first" });
    await reached;
    const booked = await addBooked();
    await addDue(1);
    const untouched = await rowsOf(sql, bystanders);

    const skipped = await second.run({}, { requestId: "the-second" });

    const { rows } = await sql.query<{ id: string; started_at: Date; deadline_at: Date }>(
      "select id, started_at, deadline_at from run where request_id = 'the-first'",
    );
    expect(skipped).toMatchObject({ ...LOCKED, backstop: { completedCount: 1, byWorkspace: { [workspaceId]: 1 } } });
    expect(skipped.heldBy).toEqual({
      runId: rows[0]?.id,
      requestId: "the-first",
      pid: (await lockPids())[0],
      since: rows[0]?.started_at.toISOString(),
      deadlineAt: rows[0]?.deadline_at.toISOString(),
    });
    expect(await statusOf(booked)).toBe("completed");
    expect(second.channel.sent).toEqual([]);
    expect(await rowsOf(sql, bystanders)).toEqual(untouched);

    open();
    expect(await running).toMatchObject({ success: true, skipped: false, results: { delivery: { sent: 1 } } });
    expect(await second.run()).toMatchObject({ skipped: false, results: { delivery: { sent: 1 } } });
  });

  it("run the steps in exactly one of five", async () => {
    await addDue(1);
    const runners = Array.from({ length: 5 }, () => openRunner(database.url));
    const { pass, open } = gate();
    let ended = 0;
    const runs = runners.map(async (runner) => {
      runner.channel.answer = async (touch) => {
        await pass();
        return accept(touch);
      };
      const report = await runner.run();
      ended += 1;
      if (ended === 4) open();
      return report;
    });
    const reports = await Promise.all(runs);
    expect(reports.filter(({ skipped }) => skipped)).toHaveLength(4);
    expect(reports.filter(({ results }) => results !== null)).toHaveLength(1);
    expect(runners.flatMap(({ channel }) => channel.sent)).toHaveLength(1);
    await Promise.all(runners.map((runner) => runner.close()));
  });

  it("run the steps twice if one ends before the other starts", async () => {
    await addDue(1);
    expect(await first.run({ workspaceId })).toMatchObject({ skipped: false, results: { delivery: { sent: 1 } } });
    await addDue(1);
    expect(await second.run({ workspaceId })).toMatchObject({ skipped: false, results: { delivery: { sent: 1 } } });
  });
});

describe("a holder that dies", () => {
  it("lets the next run in if the server ended its connection", async () => {
    await addDue(1);
    const held = await take(first);
    expect(await second.run({ workspaceId })).toMatchObject({ ...LOCKED, heldBy: { pid: held.pid } });
    await terminate(held.pid);
    await until("the holder has noticed", async () => (held.isHeld() ? undefined : true));
    await held.release();
    expect(await second.run({ workspaceId })).toMatchObject({ skipped: false, results: { delivery: { sent: 1 } } });
  });

  it("lets the next run in after kill -9", async () => {
    await addDue(1);
    const { child, pid } = await holdInAnotherProcess();
    expect(await second.run({ workspaceId })).toMatchObject({ ...LOCKED, heldBy: { pid, runId: null } });
    child.kill("SIGKILL");
    await once(child, "exit");
    await untilFree();
    expect(await second.run({ workspaceId })).toMatchObject({ skipped: false, results: { delivery: { sent: 1 } } });
  });

  async function holdInAnotherProcess(): Promise<{ child: ChildProcess; pid: number }> {
    const script = `
      const { openDatabase } = await import("./lib/store/connect.ts");
      const { storePorts } = await import("./lib/store/follow-up-store.ts");
      const { lock } = storePorts(openDatabase({ connectionString: process.env.DATABASE_URL }));
      process.stdout.write(String((await lock.tryAcquire())?.pid));`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      env: { ...process.env, DATABASE_URL: database.url },
      stdio: ["ignore", "pipe", "inherit"],
    });
    for await (const output of child.stdout) return { child, pid: Number(output) };
    throw new Error("the process ended before it had the lock");
  }
});

describe("a connection of the lock that is lost in the middle of a run", () => {
  it("stops new work, and is reported as a failure", async () => {
    await addDue(100);
    let held: HeldLock | undefined;
    const { lock } = first.ports;
    const watched = {
      ...lock,
      tryAcquire: async () => {
        held = await lock.tryAcquire();
        return held;
      },
    };
    first.channel.answer = async (touch) => {
      if (held?.isHeld()) {
        await terminate(held.pid);
        await until("the run has noticed", async () => (held?.isHeld() ? undefined : true));
      }
      return accept(touch);
    };

    const report = await first.run({ workspaceId }, { lock: watched, settings: { batchSize: 60, sendsAtOnce: 1 } });

    expect(report).toMatchObject({ success: false, statusCode: 500, reason: "lock_lost" });
    expect(report.errors).toEqual([expect.stringMatching(/the connection that held the overlap lock died/)]);
    // The call in flight completes; nothing else is started or claimed.
    expect(report.results).toMatchObject({ due: 1, delivery: { sent: 1 }, backlog: 99 });
    expect(first.channel.sent).toHaveLength(1);

    expect(await second.run({ workspaceId })).toMatchObject({ success: true, results: { delivery: { sent: 99 } } });
    expect(second.channel.sent).toHaveLength(99);
  });

  it("does not happen in a run with a live connection", async () => {
    await addDue(100);
    const report = await first.run({ workspaceId }, { settings: { batchSize: 60, sendsAtOnce: 1 } });
    expect(report).toMatchObject({ success: true, results: { due: 100, delivery: { sent: 100 }, backlog: 0 } });
    expect(report.reason).toBeUndefined();
  });
});

describe("a lock that is still taken after its holder's deadline", () => {
  const deadline = new Date("2035-01-08T09:00:00Z");
  const pastDeadline = (ms: number) => clockAt(deadline.getTime() + ms);

  it("does not stop the work once that is more than five seconds ago, and is reported", async () => {
    await addDue(1);
    const held = await take(first);
    const { rows } = await sql.query<{ id: string }>(
      `insert into run (trigger, request_id, started_at, deadline_at, lock_pid)
       values ('schedule', 'half-open', clock_timestamp(), $1, $2) returning id`,
      [deadline, held.pid],
    );
    const holder = { runId: rows[0]?.id, requestId: "half-open", pid: held.pid, deadlineAt: deadline.toISOString() };

    const early = await second.run({ workspaceId }, pastDeadline(5_000));
    expect(early).toMatchObject({ ...LOCKED, heldBy: holder });
    expect(early.staleLock).toBeUndefined();

    const late = await second.run({ workspaceId }, pastDeadline(5_001));
    expect(late).toMatchObject({
      success: true,
      skipped: false,
      staleLock: holder,
      results: { delivery: { sent: 1 } },
    });
    expect(late.heldBy).toBeUndefined();
    await held.release();
  });
});

describe("a connection that breaks during the lock query", () => {
  it("is not held, and does not end the process", async () => {
    const pool = openPool(database.url);
    pool.once("acquire", (client) => setImmediate(() => client.emit("error", new Error("the server has gone away"))));
    const held = await overlapLock(pool).tryAcquire();
    expect(held?.isHeld()).toBe(false);
    await held?.release();
    await pool.end();
  });
});

/** Start of that server process's transaction, truncated to seconds. */
async function secondOfStart(pid: number): Promise<Date> {
  const { rows } = await sql.query<{ since: Date }>(
    "select date_trunc('second', xact_start) as since from pg_stat_activity where pid = $1",
    [pid],
  );
  return rows[0]?.since ?? new Date(0);
}

describe("a holder of another database role", () => {
  let other: Runner;
  const role = `backstop_${process.pid}`;

  beforeEach(async () => {
    await sql.query(`create role ${role} login password 'a'`);
    await sql.query(`grant select, insert, update, delete on all tables in schema public to ${role}`);
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: "a" });
    other = openRunner(url.href);
  });
  afterEach(async () => {
    await other.close();
    await sql.query(`drop owned by ${role}`);
    await sql.query(`drop role ${role}`);
  });

  it("is reported with its start, even if the role may not see the start of its transaction", async () => {
    const held = await take(first);
    const since = await secondOfStart(held.pid);
    const { rows } = await other.ports.database.pool.query<{ xact_start: Date | null }>(
      "select xact_start from pg_stat_activity where pid = $1",
      [held.pid],
    );
    expect(rows).toEqual([{ xact_start: null }]);
    const report = await other.run({ workspaceId });
    expect(report).toMatchObject({ ...LOCKED, heldBy: { pid: held.pid, since: since.toISOString() } });
    await held.release();
  });

  it("is known by its row in run", async () => {
    const { pass, reached, open } = gate();
    first.channel.answer = async (touch) => {
      await pass();
      return accept(touch);
    };
    await addDue(1);
    const running = first.run({ workspaceId }, { requestId: "of-another-role" });
    await reached;
    expect(await other.run({ workspaceId })).toMatchObject({ ...LOCKED, heldBy: { requestId: "of-another-role" } });
    open();
    await running;
  });

  it("does not stop the work for longer than any invocation lasts", async () => {
    const held = await take(first);
    const since = await secondOfStart(held.pid);
    const at = (ms: number) => clockAt(since.getTime() + ms);
    expect(await other.run({ workspaceId }, at(LONGEST_INVOCATION_MS))).toMatchObject(LOCKED);
    expect(await other.run({ workspaceId }, at(LONGEST_INVOCATION_MS + 60_000))).toMatchObject({
      success: true,
      staleLock: { pid: held.pid },
    });
    await held.release();
  });
});

describe("a holder that left no row in run", () => {
  it("is reported by its server process and the second in which it took the lock", async () => {
    const held = await take(first);
    const since = await secondOfStart(held.pid);
    const report = await second.run({ workspaceId });
    const deadlineAt = new Date(since.getTime() + LONGEST_INVOCATION_MS).toISOString();
    const heldBy = { pid: held.pid, since: since.toISOString(), runId: null, deadlineAt };
    expect(report).toMatchObject({ ...LOCKED, heldBy });
    await held.release();
  });

  it("does not stop the work for longer than any invocation lasts", async () => {
    await addDue(1);
    const held = await take(first);
    const { rows } = await sql.query<{ now: Date }>("select now()");
    const at = (ms: number) => clockAt((rows[0]?.now.getTime() ?? 0) + ms);
    expect(await second.run({ workspaceId }, at(LONGEST_INVOCATION_MS))).toMatchObject(LOCKED);
    expect(await second.run({ workspaceId }, at(LONGEST_INVOCATION_MS + 60_000))).toMatchObject({
      success: true,
      staleLock: { pid: held.pid, runId: null },
    });
    await held.release();
  });

  it("is not taken for a run that ended, or for one that died long ago with a process of the same number", async () => {
    const held = await take(first);
    await sql.query(
      `insert into run (trigger, request_id, started_at, deadline_at, lock_pid, finished_at, success)
       values ('schedule', 'died', $1, $1, $2, null, null), ('schedule', 'ended', now(), now(), $2, now(), true)`,
      [LONG_AGO, held.pid],
    );
    expect(await second.run({ workspaceId })).toMatchObject({ ...LOCKED, heldBy: { runId: null, requestId: null } });
    await held.release();
  });
});

describe("the lock is free again, and no transaction is left open,", () => {
  const leftOpen = async () => {
    const { rows } = await sql.query(
      "select pid from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'",
    );
    return { rows, locks: await lockPids() };
  };
  const NOTHING = { rows: [], locks: [] };

  it("after a success", async () => {
    expect(await first.run({ workspaceId })).toMatchObject({ success: true });
    expect(await leftOpen()).toEqual(NOTHING);
  });

  it("after a failed step, however often", async () => {
    const broken = { ...first.ports.store, findDueWorkspaces: () => Promise.reject(new Error("the step is broken")) };
    for (let run = 0; run < 6; run++) {
      expect(await first.run({ workspaceId }, { store: broken })).toMatchObject({ success: false, statusCode: 500 });
    }
    expect(await leftOpen()).toEqual(NOTHING);
    expect(await first.run({ workspaceId })).toMatchObject({ success: true });
  });

  it("after an error outside of the steps, however often", async () => {
    const broken = { ...first.ports.runs, start: () => Promise.reject(new Error("no row can be written")) };
    for (let run = 0; run < 6; run++) {
      const report = await first.run({ workspaceId }, { runs: broken });
      expect(report).toMatchObject({ success: false, statusCode: 500, errors: ["no row can be written"] });
    }
    expect(await leftOpen()).toEqual(NOTHING);
    expect(await first.run({ workspaceId })).toMatchObject({ success: true });
  });

  it("after a run that found it taken", async () => {
    const held = await take(first);
    for (let run = 0; run < 6; run++) expect(await second.run({ workspaceId })).toMatchObject(LOCKED);
    await held.release();
    expect(await leftOpen()).toEqual(NOTHING);
  });
});
