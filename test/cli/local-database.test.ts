import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import pg from "pg";
import { discardLocalDatabase, withDatabase } from "../../cli/local-database.ts";
import { findPostgres, spawnSettings } from "../../cli/postgres-programs.ts";
import { Problem } from "../../cli/problem.ts";
import { isRunning } from "../../cli/process-identity.ts";
import { type EndedProgram, type RunningProgram, startProgram } from "../support/child-process.ts";

const weAreRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

let folder: string;
let data: string;

beforeAll(async () => {
  folder = await makeFolder();
  data = join(folder, "postgres", "data");
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function makeFolder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "backstop-local-"));
  await chmod(made, 0o755);
  return made;
}

const hold = (words: readonly string[] = [folder], uid?: number) =>
  startProgram("test/support/hold-database.ts", words, { uid });

async function holdUntilReady(): Promise<RunningProgram> {
  const holder = hold();
  await holder.says(/postgresql:.*\n/);
  return holder;
}

const serverPid = async () => Number((await readFile(join(data, "postmaster.pid"), "utf8")).split("\n")[0]);

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

const queryOwn = (statement: string) =>
  withDatabase((url) => query(url, statement), { folder, databaseUrl: "", onProgress: () => undefined });

/** Expects one line that says what to do, without a stack. */
function expectProblem({ code, stderr }: EndedProgram, reason: RegExp): void {
  expect(code).toBe(1);
  expect(stderr.split("\n").filter((line) => line.startsWith("backstop:"))).toEqual([expect.stringMatching(reason)]);
  expect(stderr).not.toMatch(/^ +at /m);
}

async function untilGone(pid: number): Promise<void> {
  while (isRunning(pid)) await new Promise((resolve) => setImmediate(resolve));
}

describe("a local database", () => {
  it("is a PostgreSQL 17 that lives as long as the work, and keeps its data for the next time", async () => {
    await queryOwn("CREATE TABLE kept AS SELECT 42 AS answer");
    await expect(stat(join(data, "postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
    expect(
      await queryOwn("SELECT answer, current_setting('server_version_num')::int / 10000 AS version FROM kept"),
    ).toEqual([{ answer: 42, version: 17 }]);
  });

  it("writes to the disk before it says so, and listens to nobody but this machine", async () => {
    const names = ["fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "unix_socket_directories"];
    const settings = await queryOwn(
      names.map((name) => `SELECT current_setting('${name}') AS value`).join(" UNION ALL "),
    );
    expect(settings).toEqual(["on", "on", "on", "127.0.0.1", ""].map((value) => ({ value })));
  });

  it("asks for a password, which is in a file that only its owner may read", async () => {
    expect((await stat(join(folder, "postgres", "password"))).mode & 0o777).toBe(0o600);
    await withDatabase(
      async (url) => {
        await expect(query(url.replace(/:[^:@]*@/, ":guess@"), "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
      },
      { folder, databaseUrl: "", onProgress: () => undefined },
    );
  });

  it("is left when the work fails, and the work's own error is what comes out", async () => {
    const fail = async () => {
      throw new RangeError("the work's own");
    };
    await expect(withDatabase(fail, { folder, databaseUrl: "", onProgress: () => undefined })).rejects.toThrow(
      RangeError,
    );
    await expect(stat(join(data, "postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("starts afresh when it was discarded", async () => {
    const own = await makeFolder();
    const options = { folder: own, databaseUrl: "", onProgress: () => undefined };
    await withDatabase((url) => query(url, "CREATE TABLE gone ()"), options);
    await discardLocalDatabase(options);
    expect(await withDatabase((url) => query(url, "SELECT to_regclass('gone')"), options)).toEqual([
      { to_regclass: null },
    ]);
    await rm(own, { recursive: true });
  });
});

describe("a run that is interrupted", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("by %s ends its PostgreSQL, then itself with code %i, and prints no stack", async (signal, code) => {
    const holder = await holdUntilReady();
    const pid = await serverPid();
    holder.process.kill(signal);
    const ended = await holder.ended;
    expect(ended).toMatchObject({ code, stderr: "Starting PostgreSQL\n" });
    expect(isRunning(pid)).toBe(false);
    await expect(stat(join(data, "postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("leaves nothing behind when it is making its first database", async () => {
    const own = await makeFolder();
    const holder = hold([own]);
    await holder.says(/Making/);
    holder.process.kill("SIGINT");
    expect(await holder.ended).toMatchObject({ code: 130 });
    expect(await readdir(own)).toEqual([]);
    await rm(own, { recursive: true });
  });
});

describe("a run that is killed", () => {
  it("takes its PostgreSQL along, and the next run works", async () => {
    const holder = await holdUntilReady();
    const pid = await serverPid();
    holder.process.kill("SIGKILL");
    await untilGone(pid);
    expect(await queryOwn("SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  });

  it("and whose PostgreSQL lives on is cleared away by the next run", async () => {
    const pid = await startOrphan();
    const told: string[] = [];
    const options = { folder, databaseUrl: "", onProgress: (line: string) => told.push(line) };
    expect(await withDatabase((url) => query(url, "SELECT answer FROM kept"), options)).toEqual([{ answer: 42 }]);
    expect(told).toContain(`Ending the PostgreSQL that a killed run left behind (process ${pid})`);
    expect(isRunning(pid)).toBe(false);
  });

  it("while its first database is half made, is no hindrance: the next run makes it anew and clears up", async () => {
    const own = await makeFolder();
    const killed = hold([own]);
    await killed.says(/Making/);
    killed.process.kill("SIGKILL");
    await killed.ended;
    const next = hold([own]);
    await next.says(/postgresql:.*\n/);
    expect(await readdir(own)).toEqual(["postgres"]);
    next.process.kill("SIGINT");
    await next.ended;
    await rm(own, { recursive: true });
  });

  it("leaves a file that names a process of somebody else by now, which is let alone", async () => {
    await writeFile(join(data, "postmaster.pid"), `${process.pid}\n${data}\n0\n5432\n\n127.0.0.1\n\nready   \n`);
    expect(await queryOwn("SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  });
});

/** Starts a server with our owner setting, of which the owner does not run. Returns its pid. */
async function startOrphan(): Promise<number> {
  const programs = await findPostgres(() => undefined);
  const flags = ["-c", "listen_addresses=", "-c", `unix_socket_directories=${data}`, "-c", "backstop.owner=4194304:1"];
  const orphan = spawn(programs.binaries.postgres, ["-D", data, ...flags], {
    ...spawnSettings(programs),
    stdio: "pipe",
  });
  for await (const chunk of orphan.stderr) {
    if (String(chunk).includes("ready to accept connections")) break;
  }
  return orphan.pid ?? Number.NaN;
}

describe("somebody else", () => {
  it("who uses the same database is named, and goes on undisturbed", async () => {
    const first = await holdUntilReady();
    expectProblem(await hold().ended, new RegExp(`process ${first.process.pid} is using the database`));
    expect(isRunning(await serverPid())).toBe(true);
    first.process.kill("SIGINT");
    expect(await first.ended).toMatchObject({ code: 130 });
  });

  it("who starts at the same moment gets either the database or that answer, on the very first run too", async () => {
    const own = await makeFolder();
    const holders = [hold([own]), hold([own]), hold([own])];
    const answers = await Promise.all(holders.map((holder) => holder.says(/postgresql:.*\n|backstop:.*\n/)));
    const winners = holders.filter((_, index) => answers[index]?.includes("postgresql:"));
    expect(winners).toHaveLength(1);
    for (const holder of holders) {
      if (winners.includes(holder)) continue;
      expectProblem(await holder.ended, new RegExp(`process ${winners[0]?.process.pid} is using the database`));
    }
    winners[0]?.process.kill("SIGINT");
    expect(await winners[0]?.ended).toMatchObject({ code: 130 });
    await rm(own, { recursive: true });
  });

  it("who has the port is told of where one was asked for", async () => {
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as { port: number };
    expectProblem(await hold([folder, "--port", String(port)]).ended, new RegExp(`port ${port} on 127.0.0.1 is taken`));
    listener.close();
  });
});

it("ends with one line when PostgreSQL dies in the middle of the work, and the next run recovers", async () => {
  const holder = await holdUntilReady();
  process.kill(await serverPid(), "SIGKILL");
  expectProblem(await holder.ended, /PostgreSQL was ended by SIGKILL in the middle of the work/);
  expect(await queryOwn("SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

it("says which folder may not be written", async () => {
  const closed = await makeFolder();
  await chmod(closed, 0o555);
  const ended = await hold([join(closed, ".local")], weAreRoot ? NOBODY : undefined).ended;
  expectProblem(ended, new RegExp(`${closed}/.local/postgres may not be written by this user`));
  await rm(closed, { recursive: true });
});

it("moves aside what is no database, and makes one", async () => {
  const own = await makeFolder();
  await mkdir(join(own, "postgres"));
  await writeFile(join(own, "postgres", "notes.txt"), "precious");
  await withDatabase((url) => query(url, "SELECT 1"), { folder: own, databaseUrl: "", onProgress: () => undefined });
  const [, aside] = (await readdir(own)).sort();
  expect(await readFile(join(own, String(aside), "notes.txt"), "utf8")).toBe("precious");
  await rm(own, { recursive: true });
});

it.each(["nonsense", "mysql://me@localhost/x", "//localhost/x"])(
  "refuses %s as DATABASE_URL before any work",
  async (url) => {
    const work = async () => "worked";
    await expect(withDatabase(work, { databaseUrl: url, onProgress: () => undefined })).rejects.toThrow(Problem);
  },
);

(weAreRoot ? describe : describe.skip)("as root", () => {
  it("says which folder the postgres user may not enter", async () => {
    const closed = await makeFolder();
    await chmod(closed, 0o700);
    expectProblem(await hold([join(closed, "checkout", ".local")]).ended, new RegExp(`may not enter ${closed}:`));
    await rm(closed, { recursive: true });
  });

  it("goes on with the database of an ordinary user, who can use it afterwards", async () => {
    const own = await makeFolder();
    await chown(own, NOBODY, NOBODY);
    for (const uid of [NOBODY, undefined, NOBODY]) {
      const holder = hold([own], uid);
      await holder.says(/postgresql:.*\n/);
      holder.process.kill("SIGINT");
      expect(await holder.ended).toMatchObject({ code: 130 });
    }
    await rm(own, { recursive: true });
  });
});
