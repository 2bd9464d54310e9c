import { randomBytes } from "node:crypto";
import { link, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** What a running server tells of itself in its data folder. */
export interface PostmasterFile {
  readonly text: string;
  /** NaN where the file was cut short. */
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
 * Removes a file whose process is not, or no longer, a server: PostgreSQL itself would take any process of that id for
 * one. A server that has written its own file meanwhile gets it back.
 */
export async function discardPostmasterFile(data: string, stale: PostmasterFile): Promise<void> {
  const file = join(data, "postmaster.pid");
  const aside = `${file}.${randomBytes(4).toString("hex")}`;
  await rename(file, aside);
  if ((await readFile(aside, "utf8")) !== stale.text) await link(aside, file);
  await rm(aside);
}
