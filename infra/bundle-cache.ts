import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes a source file for bundles into a cache below `project`, and returns its path. */
export function placeInCache(project: string, name: string, content: Buffer | string): string {
  const folder = join(project, "node_modules", ".cache", "backstop");
  mkdirSync(folder, { recursive: true });
  // An atomic rename, so that a concurrent build never reads a partial file.
  const aside = mkdtempSync(join(folder, "making-"));
  writeFileSync(join(aside, name), content);
  renameSync(join(aside, name), join(folder, name));
  rmSync(aside, { recursive: true });
  return join(folder, name);
}
