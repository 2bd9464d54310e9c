import { createRequire } from "node:module";
import { join } from "node:path";
import { placeInCache } from "./bundle-cache.ts";

/** What Prisma's client imports: a WebAssembly file as a text of base64, which a zip cannot make small again. */
export const QUERY_COMPILER = "@prisma/client/runtime/query_compiler_small_bg.postgresql.wasm-base64.mjs";

const READ_BESIDE_THE_BUNDLE = `import { readFileSync } from "node:fs";
import file from "./query-compiler.wasm";
export const wasm = readFileSync(new URL(file, import.meta.url)).toString("base64");
`;

/**
 * Unpacks the query compiler into a cache below `project` and answers the module that bundles import in its place: it reads the file
 * that lies beside the bundle, where the first query asks for it. Saves a quarter of a megabyte, and the parsing of the text.
 */
export function unpackQueryCompiler(project: string): string {
  const { wasm } = createRequire(join(project, "package.json"))(QUERY_COMPILER.replace(/mjs$/, "js")) as {
    wasm: string;
  };
  placeInCache(project, "query-compiler.wasm", Buffer.from(wasm, "base64"));
  return placeInCache(project, "query-compiler.mjs", READ_BESIDE_THE_BUNDLE);
}
