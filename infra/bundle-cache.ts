import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes a file that bundles are made of into a cache below `project`, and answers its path. */
export function placeInCache(project: string, name: string, content: Buffer | string): string {
  const folder = join(project, "node_modules", ".cache", "backstop");
  mkdirSync(folder, { recursive: true });
  // Moved into place whole: two builds at once do not read each other's halves.
  const aside = mkdtempSync(join(folder, "making-"));
  writeFileSync(join(aside, name), content);
  renameSync(join(aside, name), join(folder, name));
  rmSync(aside, { recursive: true });
  return join(folder, name);
}
