import { once } from "node:events";
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "@jest/globals";
import pg from "pg";
import { discardLocalDatabase, withDatabase } from "../../../cli/postgres/local-database.ts";
import { isRunning } from "../../../cli/postgres/programs.ts";
import { Problem } from "../../../cli/problem.ts";
import { type EndedProgram, type RunningProgram, startProgram } from "../../support/child-process.ts";
import { long } from "../../support/long.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const weAreRoot = process.getuid?.() === 0;
const NOBODY = 65_534;

let folder: string;
let data: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder, "postgres", "data");
  await queryOwn("CREATE TABLE kept AS SELECT 42 AS answer");
});

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

describe("a local database", () => {
  it("is a PostgreSQL 17 that runs as long as the work and keeps its data", async () => {
    await expect(stat(join(data, "postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
    expect(
      await queryOwn("SELECT answer, current_setting('server_version_num')::int / 10000 AS version FROM kept"),
    ).toEqual([{ answer: 42, version: 17 }]);
  });

  it("commits durably and listens on this machine only", async () => {
    const names = ["fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "unix_socket_directories"];
    const settings = await queryOwn(
      names.map((name) => `SELECT current_setting('${name}') AS value`).join(" UNION ALL "),
    );
    expect(settings).toEqual(["on", "on", "on", "127.0.0.1", ""].map((value) => ({ value })));
  });

  it("requires a password, which is in a file that only its owner may read", async () => {
    expect((await stat(join(folder, "postgres", "password"))).mode & 0o777).toBe(0o600);
    await withDatabase(
      async (url) => {
        await expect(query(url.replace(/:[^:@]*@/, ":guess@"), "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
      },
      { folder, databaseUrl: "", onProgress: () => undefined },
    );
  });

  long.it("stops when the work fails, and throws the work's own error", async () => {
    const fail = async () => {
      throw new RangeError("the work's own");
    };
    await expect(withDatabase(fail, { folder, databaseUrl: "", onProgress: () => undefined })).rejects.toThrow(
      RangeError,
    );
    await expect(stat(join(data, "postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  long.it("is empty after it was discarded", async () => {
    const own = await temporaryFolder();
    const options = { folder: own, databaseUrl: "", onProgress: () => undefined };
    await withDatabase((url) => query(url, "CREATE TABLE gone ()"), options);
    await discardLocalDatabase(options);
    expect(await withDatabase((url) => query(url, "SELECT to_regclass('gone')"), options)).toEqual([
      { to_regclass: null },
    ]);
    await rm(own, { recursive: true });
  });
});

describe("an interrupted command", () => {
  long.it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("stops its PostgreSQL after %s and exits with code %i, without a stack", async (signal, code) => {
    const holder = await holdUntilReady();
    const pid = await serverPid();
    holder.process.kill(signal);
    const ended = await holder.ended;
    expect(ended).toMatchObject({ code, stderr: "Starting PostgreSQL\n" });
    expect(isRunning(pid)).toBe(false);
    await expect(stat(join(data, "postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("leaves no files when it was creating its first database", async () => {
    const own = await temporaryFolder();
    const holder = hold([own]);
    await holder.says(/Creating/);
    holder.process.kill("SIGINT");
    expect(await holder.ended).toMatchObject({ code: 130 });
    expect(await readdir(own)).toEqual([]);
    await rm(own, { recursive: true });
  });
});

describe("after kill -9 of a command", () => {
  long.it("the next command stops the server that still runs, says so, and reads the data", async () => {
    const holder = await holdUntilReady();
    const pid = await serverPid();
    holder.process.kill("SIGKILL");
    await holder.ended;
    expect(isRunning(pid)).toBe(true);
    const lines: string[] = [];
    const options = { folder, databaseUrl: "", onProgress: (line: string) => lines.push(line) };
    expect(await withDatabase((url) => query(url, "SELECT answer FROM kept"), options)).toEqual([{ answer: 42 }]);
    expect(lines).toContain(`Stopping the PostgreSQL server that a killed command left running (process ${pid})`);
    expect(isRunning(pid)).toBe(false);
  });

  long.it("one of two commands that start at once gets the database, the other a message", async () => {
    const killed = await holdUntilReady();
    const pid = await serverPid();
    killed.process.kill("SIGKILL");
    await killed.ended;
    await expectOneWinner(folder, [hold(), hold()]);
    expect(isRunning(pid)).toBe(false);
  });

  long.it(
    "during the creation of the first database, the next command creates it again and removes the rest",
    async () => {
      const own = await temporaryFolder();
      const killed = hold([own]);
      await killed.says(/Creating/);
      killed.process.kill("SIGKILL");
      await killed.ended;
      const next = hold([own]);
      await next.says(/postgresql:.*\n/);
      expect(await readdir(own)).toEqual(["postgres"]);
      next.process.kill("SIGINT");
      await next.ended;
      await rm(own, { recursive: true });
    },
  );

  it("a lock file that names a foreign process does not stop the next command, nor the process", async () => {
    await writeFile(join(data, "postmaster.pid"), `${process.pid}\n${data}\n0\n5432\n\n127.0.0.1\n\nready   \n`);
    expect(await queryOwn("SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  });

  long.it("an incomplete lock file does not stop the next command", async () => {
    await writeFile(join(data, "postmaster.pid"), "");
    expect(await queryOwn("SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  });
});

/** Expects one command to open the database, and each other one to name the process that uses it. */
async function expectOneWinner(own: string, holders: readonly RunningProgram[]): Promise<void> {
  const answers = await Promise.all(holders.map((holder) => holder.says(/postgresql:.*\n|backstop:.*\n/)));
  const [winner, ...more] = holders.filter((_, index) => answers[index]?.includes("postgresql:"));
  expect([winner === undefined, more]).toEqual([false, []]);
  for (const holder of holders) {
    if (holder === winner) continue;
    expectProblem(await holder.ended, new RegExp(`process ${winner?.process.pid} uses the database in ${own}`));
  }
  winner?.process.kill("SIGINT");
  expect(await winner?.ended).toMatchObject({ code: 130 });
}

describe("a second command on the same database", () => {
  long.it("names the process of the first, which continues", async () => {
    const first = await holdUntilReady();
    expectProblem(await hold().ended, new RegExp(`process ${first.process.pid} uses the database`));
    expect(isRunning(await serverPid())).toBe(true);
    first.process.kill("SIGINT");
    expect(await first.ended).toMatchObject({ code: 130 });
  });

  long.it("that starts at the same moment gets the database or that message, also on the first run", async () => {
    const own = await temporaryFolder();
    await expectOneWinner(own, [hold([own]), hold([own]), hold([own])]);
    await rm(own, { recursive: true });
  });
});

it("reports that the requested port is in use", async () => {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as { port: number };
  expectProblem(await hold([folder, "--port", String(port)]).ended, new RegExp(`port ${port} on 127.0.0.1 is in use`));
  listener.close();
});

it("stops the server when the process exits in the middle of the work", async () => {
  const holder = hold([folder, "--exit"]);
  await holder.says(/postgresql:.*\n/);
  expect(await holder.ended).toMatchObject({ code: 3 });
  await expect(stat(join(data, "postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
});

long.it(
  "ends with one line when PostgreSQL dies in the middle of the work, and the next command recovers",
  async () => {
    const holder = await holdUntilReady();
    process.kill(await serverPid(), "SIGKILL");
    expectProblem(await holder.ended, /PostgreSQL ended while the command was running/);
    expect(await queryOwn("SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  },
);

it("names the folder that it may not write", async () => {
  const closed = await temporaryFolder();
  await chmod(closed, 0o555);
  const ended = await hold([join(closed, ".local")], weAreRoot ? NOBODY : undefined).ended;
  expectProblem(ended, new RegExp(`this user may not write ${closed}/.local/postgres`));
  await rm(closed, { recursive: true });
});

long.it("moves a folder without a database aside, and creates one", async () => {
  const own = await temporaryFolder();
  await mkdir(join(own, "postgres"));
  await writeFile(join(own, "postgres", "notes.txt"), "precious");
  await withDatabase((url) => query(url, "SELECT 1"), { folder: own, databaseUrl: "", onProgress: () => undefined });
  const [, aside] = (await readdir(own)).sort();
  expect(await readFile(join(own, String(aside), "notes.txt"), "utf8")).toBe("precious");
  await rm(own, { recursive: true });
});

it.each(["nonsense", "mysql://me@localhost/x", "//localhost/x"])(
  "rejects %s as DATABASE_URL before any work",
  async (url) => {
    const work = async () => "worked";
    await expect(withDatabase(work, { databaseUrl: url, onProgress: () => undefined })).rejects.toThrow(Problem);
  },
);

(weAreRoot ? describe : describe.skip)("as root", () => {
  it("names the folder that the postgres user may not enter", async () => {
    const closed = await temporaryFolder();
    await chmod(closed, 0o700);
    expectProblem(await hold([join(closed, "checkout", ".local")]).ended, new RegExp(`may not enter ${closed}:`));
    await rm(closed, { recursive: true });
  });

  long.it("uses the database of an ordinary user, who can use it afterwards", async () => {
    const own = await temporaryFolder();
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
