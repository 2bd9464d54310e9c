import { readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { type BuildFailure, build } from "esbuild";
import { esbuildOptions, PROJECT } from "./bundle.ts";

export interface BundleSize {
  readonly name: string;
  /** Everything that Lambda loads: the code and the files beside it. */
  readonly rawBytes: number;
  /** Size of the upload without the source map. */
  readonly zippedBytes: number;
  readonly zippedMapBytes: number;
}

/** Bundles each function in `from` into `<to>/<name>/index.mjs`, and overwrites it. Throws esbuild's BuildFailure. */
export async function buildFunctions(from: string, to: string): Promise<readonly BundleSize[]> {
  const sources = (await readdir(from)).filter((file) => file.endsWith(".ts")).sort();
  if (sources.length === 0) throw new Error(`no function to bundle in ${from}`);
  await rm(to, { recursive: true, force: true });
  const sizes: BundleSize[] = [];
  for (const source of sources) sizes.push(await buildFunction(join(from, source), to));
  return sizes;
}

/** Bundles one function into `<to>/<name>/index.mjs`. */
export async function buildFunction(entry: string, to: string): Promise<BundleSize> {
  const name = basename(entry, ".ts");
  const folder = join(to, name);
  await build(esbuildOptions(entry, folder));
  const files = await readdir(folder);
  const read = (wanted: readonly string[]) => Promise.all(wanted.map((file) => readFile(join(folder, file))));
  const loaded = await read(files.filter((file) => !file.endsWith(".map")));
  const maps = await read(files.filter((file) => file.endsWith(".map")));
  const sum = (lengths: readonly number[]) => lengths.reduce((total, length) => total + length, 0);
  return {
    name,
    rawBytes: sum(loaded.map(({ length }) => length)),
    zippedBytes: sum(loaded.map(zipped)),
    zippedMapBytes: sum(maps.map(zipped)),
  };
}

function zipped(content: Buffer): number {
  return deflateRawSync(content, { level: 9 }).length;
}

function lineOf({ name, rawBytes, zippedBytes, zippedMapBytes }: BundleSize): string {
  const size = `${kilobytes(rawBytes)} raw, ${kilobytes(zippedBytes)} zipped`;
  return `dist/${name}/  ${size} (and ${kilobytes(zippedMapBytes)} of source map)\n`;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(0)} kB`;
}

/** One line per error: esbuild's own message repeats each error and does not say what to do. */
function explain(thrown: unknown): string {
  const faults = isBuildFailure(thrown) ? thrown.errors.map(({ text, location }) => `${placeOf(location)}${text}`) : [];
  if (faults.length === 0) return thrown instanceof Error ? thrown.message : String(thrown);
  return faults.join("\n  ");
}

function placeOf(location: BuildFailure["errors"][number]["location"]): string {
  return location ? `${location.file}:${location.line}: ` : "";
}

function isBuildFailure(thrown: unknown): thrown is BuildFailure {
  return thrown instanceof Error && "errors" in thrown && Array.isArray(thrown.errors);
}

if (import.meta.main) {
  try {
    const sizes = await buildFunctions(join(PROJECT, "functions"), join(PROJECT, "dist"));
    for (const size of sizes) process.stdout.write(lineOf(size));
  } catch (thrown) {
    process.stderr.write(`cannot bundle the functions:\n  ${explain(thrown)}\n`);
    process.exitCode = 1;
  }
}
