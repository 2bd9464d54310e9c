import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as z from "zod";
import { Problem } from "../../cli/problem.ts";
import { progress } from "../print.ts";
import { FOLDER } from "../server.ts";

/** Job queues to compare with. The bench installs them, so that they are no dependency of the project. */
const PEERS = { "graphile-worker": "0.18.0", "pg-boss": "12.38.0" } as const;
export type PeerName = keyof typeof PEERS;

const PEERS_FOLDER = join(FOLDER, "peers");

/** `graphile-worker 0.18.0` */
export const peerTitle = (name: PeerName): string => `${name} ${PEERS[name]}`;

/** Installs missing peers. Throws a Problem if npm fails. */
export async function installPeers(): Promise<void> {
  const names = Object.keys(PEERS) as PeerName[];
  const installed = await Promise.all(names.map(async (name) => (await installedVersion(name)) === PEERS[name]));
  if (installed.every(Boolean)) return;
  const packages = names.map((name) => `${name}@${PEERS[name]}`);
  progress(`Installing ${packages.join(" and ")} into ${PEERS_FOLDER} (once)`);
  await mkdir(PEERS_FOLDER, { recursive: true });
  const flags = [
    "--prefix",
    PEERS_FOLDER,
    "--save-exact",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ];
  await runNpm(["install", ...flags, ...packages]);
}

/** Imports an installed peer. The caller declares the types that it uses. */
export async function importPeer<Module>(name: PeerName): Promise<Module> {
  const file = createRequire(join(PEERS_FOLDER, "package.json")).resolve(name);
  return (await import(pathToFileURL(file).href)) as Module;
}

async function installedVersion(name: PeerName): Promise<string | undefined> {
  try {
    const text = await readFile(join(PEERS_FOLDER, "node_modules", name, "package.json"), "utf8");
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
  throw new Problem(
    `npm could not install what the engine is compared with (${code}): see above, and run this again where the npm registry can be reached`,
  );
}
