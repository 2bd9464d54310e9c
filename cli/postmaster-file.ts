import { randomBytes } from "node:crypto";
import { link, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** The lock file that a running server keeps in its data folder. */
export interface PostmasterFile {
  readonly text: string;
  /** NaN if the file is incomplete. */
  readonly pid: number;
  readonly ready: boolean;
}

export async function readPostmasterFile(data: string): Promise<PostmasterFile | undefined> {
  try {
    const text = await readFile(join(data, "postmaster.pid"), "utf8");
    const lines = text.split("\n");
    return { text, pid: Number.parseInt(lines[0] ?? "", 10), ready: lines[7]?.trim() === "ready" };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Removes a stale file: PostgreSQL does not start while any process has the id in it. Restores the file if a server has
 * written a new one in between.
 */
export async function discardPostmasterFile(data: string, stale: PostmasterFile): Promise<void> {
  const file = join(data, "postmaster.pid");
  const aside = `${file}.${randomBytes(4).toString("hex")}`;
  await rename(file, aside);
  if ((await readFile(aside, "utf8")) !== stale.text) await link(aside, file);
  await rm(aside);
}
