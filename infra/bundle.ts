import { cpSync } from "node:fs";
import { join } from "node:path";
import { AssetHashType, DockerImage } from "aws-cdk-lib";
import { Code } from "aws-cdk-lib/aws-lambda";
import { type BuildOptions, buildSync } from "esbuild";
import { stripHolidays } from "./holidays.ts";
import { QUERY_COMPILER, unpackQueryCompiler } from "./query-compiler.ts";

/** The folder that holds package.json; every path of a bundle starts here. */
export const PROJECT = join(import.meta.dirname, "..");

/** The path of the source file of one function. */
export function entryOf(name: string): string {
  return join(PROJECT, "functions", `${name}.ts`);
}

/**
 * How a function is bundled, by the stack and by `npm run build` alike: `<folder>/index.mjs`, the parts that are loaded when they are
 * needed, and their source maps. The AWS SDK is put in, so that a run uses the version that was tested and not the one that Lambda
 * happens to carry.
 */
export function esbuildOptions(entry: string, folder: string): BuildOptions {
  return {
    absWorkingDir: PROJECT,
    alias: {
      [QUERY_COMPILER]: unpackQueryCompiler(PROJECT),
      "@aws-sdk/credential-provider-node": join(PROJECT, "infra/credentials-for-bundles.js"),
      "@aws-sdk/credential-providers": join(PROJECT, "infra/credentials-for-bundles.js"),
      "date-holidays": stripHolidays(PROJECT),
      // The holidays ask it for a zone or two and for years near this one, not for all zones since 1880.
      "moment-timezone": join(
        PROJECT,
        "node_modules/moment-timezone/builds/moment-timezone-with-data-10-year-range.min.js",
      ),
      "node:http": join(PROJECT, "infra/http-for-bundles.js"),
    },
    assetNames: "[name]",
    // pg and other CommonJS packages call require, which an ES module does not have.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    bundle: true,
    chunkNames: "[name]-[hash]",
    entryPoints: [{ in: entry, out: "index" }],
    // pg tries the native driver only when asked to; Lambda has none.
    external: ["pg-native"],
    format: "esm",
    loader: { ".wasm": "file" },
    logLevel: "silent",
    mainFields: ["module", "main"],
    minify: true,
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    platform: "node",
    sourcemap: "linked",
    sourcesContent: false,
    // Reading a megabyte of code costs more than running it: what only some runs need is a file of its own.
    splitting: true,
    target: "node24",
  };
}

/** The bundle of a function as the stack uploads it; made when the stack is synthesised, and known by what came out. */
export function codeOfFunction(name: string): Code {
  return Code.fromAsset(join(PROJECT, "functions"), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // Nothing is made in a container. The command tells the library which bundle this is.
      image: DockerImage.fromRegistry("unused"),
      command: ["bundle", name],
      local: {
        tryBundle(folder) {
          buildSync(esbuildOptions(entryOf(name), folder));
          for (const [from, to] of BESIDE[name] ?? [])
            cpSync(join(PROJECT, from), join(folder, to), { recursive: true });
          return true;
        },
      },
    },
  });
}

/** What a function reads while it runs, and where it lies beside the bundle. */
const BESIDE: Readonly<Record<string, readonly (readonly [from: string, to: string])[]>> = {
  migrate: [
    ["prisma/migrations", "migrations"],
    ["node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm", "schema_engine_bg.wasm"],
  ],
};
