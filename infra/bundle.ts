import { join } from "node:path";
import { type BundlingOptions, OutputFormat } from "aws-cdk-lib/aws-lambda-nodejs";
import type { BuildOptions } from "esbuild";
import { QUERY_COMPILER, unpackQueryCompiler } from "./query-compiler.ts";

/** The folder that holds package.json; every path of a bundle starts here. */
export const PROJECT = join(import.meta.dirname, "..");

/** The path of the source file of one function. */
export function entryOf(name: string): string {
  return join(PROJECT, "functions", `${name}.ts`);
}

/** What both ways of bundling share. A change here changes what runs in AWS and what `npm run build` makes alike. */
const BUNDLE = {
  target: "node24",
  // pg and other CommonJS packages call require, which an ES module does not have.
  banner: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
  // pg tries the native driver only when asked to; Lambda has none.
  external: ["pg-native"] as string[],
  mainFields: ["module", "main"] as string[],
  minify: true,
  // Errors are told apart by the name of their class, in logs and in reports.
  keepNames: true,
  sourcesContent: false,
  loader: { ".wasm": "file" },
  assetNames: "[name]",
} as const;

/**
 * The bundle as the cloud development kit wants it said. Naming the external modules also puts the AWS SDK in, so that a run
 * uses the version that was tested and not the one that Lambda happens to carry.
 */
export function bundlingOfFunctions(): BundlingOptions {
  const { banner, external, mainFields, minify, keepNames, sourcesContent, target, loader, assetNames } = BUNDLE;
  return {
    banner,
    esbuildArgs: { [`--alias:${QUERY_COMPILER}`]: unpackQueryCompiler(PROJECT), "--asset-names": assetNames },
    externalModules: external,
    format: OutputFormat.ESM,
    keepNames,
    loader,
    mainFields,
    minify,
    sourceMap: true,
    sourcesContent,
    target,
  };
}

/** The bundle of `migrate`, with what it reads while it runs: the migrations, and Prisma's engine that applies them. */
export function bundlingOfMigrate(): BundlingOptions {
  const engine = "node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm";
  const copies = [
    [join(PROJECT, "prisma", "migrations"), "migrations"],
    [join(PROJECT, engine), "schema_engine_bg.wasm"],
  ] as const;
  return {
    ...bundlingOfFunctions(),
    commandHooks: {
      beforeBundling: () => [],
      beforeInstall: () => [],
      // Node copies alike on every system.
      afterBundling: (_, output) =>
        copies.map(([from, to]) => {
          const paths = [from, join(output, to)].map((path) => JSON.stringify(path.replaceAll("\\", "/")).slice(1, -1));
          return `node -e "fs.cpSync('${paths[0]}', '${paths[1]}', { recursive: true })"`;
        }),
    },
  };
}

/** The same bundle as esbuild wants it said: `<folder>/index.mjs` and its source map. */
export function esbuildOptions(entry: string, folder: string): BuildOptions {
  const { banner, ...shared } = BUNDLE;
  return {
    ...shared,
    absWorkingDir: PROJECT,
    alias: { [QUERY_COMPILER]: unpackQueryCompiler(PROJECT) },
    banner: { js: banner },
    bundle: true,
    entryPoints: [entry],
    format: "esm",
    logLevel: "silent",
    outfile: join(folder, "index.mjs"),
    platform: "node",
    sourcemap: "linked",
  };
}
