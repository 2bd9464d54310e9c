import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atEnd } from "./at-end.ts";

/** A new folder that every user may read, removed after the last test of this file. */
export async function temporaryFolder(prefix = "test-"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), prefix));
  atEnd(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  await chmod(folder, 0o755);
  return folder;
}
