import { chmod, mkdtemp, readdir, readFile, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isRunning } from "../../cli/postgres/programs.ts";

const PREFIX = "backstop-tests-";
const MEMORY = "/dev/shm";
const ENOUGH_BYTES = 4 * 1024 ** 3;

/** The folder for the files of test runs: in memory where possible, which creates databases ten times faster. */
export async function parentOfRunFolders(): Promise<string> {
  const mounts = await readFile("/proc/mounts", "utf8").catch(() => "");
  const mounted = mounts.split("\n").some((line) => line.includes(` ${MEMORY} tmpfs `) && !line.includes("noexec"));
  if (!mounted) return tmpdir();
  const { bavail, bsize } = await statfs(MEMORY);
  return bavail * bsize > ENOUGH_BYTES ? MEMORY : tmpdir();
}

/** Creates the folder for the temporary files of this test run, and removes those of killed runs. */
export async function makeRunFolder(parent: string): Promise<string> {
  const names = (await readdir(parent)).filter((name) => name.startsWith(PREFIX));
  const killed = names.filter((name) => !isRunning(Number.parseInt(name.slice(PREFIX.length), 10)));
  for (const name of killed) await removeRunFolder(join(parent, name));
  const folder = await mkdtemp(join(parent, `${PREFIX}${process.pid}-`));
  await chmod(folder, 0o755);
  return folder;
}

export async function removeRunFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
