import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { Problem } from "../cli/problem.ts";

/** `peers` are not installed: the project has them. `scripts` of the packages do not run. */
const FLAGS = ["--save-exact", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error"];

/**
 * Installs packages that only one command needs, so that `npm ci` does not. Does nothing if the folder has these
 * versions. Throws a Problem if npm fails.
 */
export async function installPackages(folder: string, versions: Readonly<Record<string, string>>): Promise<void> {
  const names = Object.keys(versions);
  const installed = await Promise.all(names.map((name) => installedVersion(folder, name)));
  if (names.every((name, index) => installed[index] === versions[name])) return;
  const packages = names.map((name) => `${name}@${versions[name]}`);
  process.stderr.write(`Installing ${packages.join(" and ")} into ${folder} (once)\n`);
  await mkdir(folder, { recursive: true });
  await runNpm(["install", "--prefix", folder, ...FLAGS, ...packages]);
}

async function installedVersion(folder: string, name: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(folder, "node_modules", name, "package.json"), "utf8");
    return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function runNpm(options: readonly string[]): Promise<void> {
  // npm sets this in scripts. It is then the npm that runs the project, on every system.
  const npm = process.env["npm_execpath"];
  const child = npm
    ? spawn(process.execPath, [npm, ...options], { stdio: ["ignore", "ignore", "inherit"] })
    : spawn("npm", options, { stdio: ["ignore", "ignore", "inherit"], shell: process.platform === "win32" });
  const [code] = await once(child, "exit");
  if (code === 0) return;
  throw new Problem(`npm failed with code ${code} (see above): repeat the command where the npm registry is reachable`);
}
