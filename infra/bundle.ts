import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { AssetHashType, DockerImage } from "aws-cdk-lib";
import { Code } from "aws-cdk-lib/aws-lambda";
import { type BuildOptions, buildSync } from "esbuild";
import { QUERY_COMPILER, stripHolidays, stripTimeZones, unpackQueryCompiler } from "./bundled-packages.ts";

/** The folder that holds package.json; bundle paths are relative to it. */
export const PROJECT = join(import.meta.dirname, "..");

/** Path of a function's source file. */
export function entryOf(name: string): string {
  return join(PROJECT, "functions", `${name}.ts`);
}

/**
 * esbuild options for the stack and for `npm run build`. The output is `<folder>/index.mjs`, chunks that load on
 * demand, and source maps. It includes the AWS SDK, so that a run uses the tested version and not the one in Lambda.
 */
export function esbuildOptions(entry: string, folder: string): BuildOptions {
  return {
    absWorkingDir: PROJECT,
    alias: {
      [QUERY_COMPILER]: unpackQueryCompiler(PROJECT),
      "@aws-sdk/credential-provider-node": join(PROJECT, "infra/credentials-for-bundles.js"),
      "@aws-sdk/credential-providers": join(PROJECT, "infra/credentials-for-bundles.js"),
      // For Node, Prisma names a CommonJS module, which V8 reads twice and esbuild cannot trim.
      "@prisma/client/runtime/client": join(PROJECT, "node_modules/@prisma/client/runtime/client.mjs"),
      "date-holidays": stripHolidays(PROJECT),
      "moment-timezone": stripTimeZones(PROJECT),
      "node:http": join(PROJECT, "infra/http-for-bundles.js"),
    },
    assetNames: "[name]",
    // pg and other CommonJS packages call `require`, which ES modules do not have.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    bundle: true,
    chunkNames: "[name]-[hash]",
    entryPoints: [{ in: entry, out: "index" }],
    // Packages load them in browsers, or on request, and never in Lambda: a browser parser, and pg's native driver.
    external: ["bowser", "pg-native"],
    format: "esm",
    inject: [join(PROJECT, "infra/stacks-for-bundles.ts")],
    loader: { ".wasm": "file" },
    logLevel: "silent",
    mainFields: ["module", "main"],
    minify: true,
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    platform: "node",
    sourcemap: "linked",
    sourcesContent: false,
    // Parsing code costs more than running it, so code that only some runs need is a separate chunk.
    splitting: true,
    target: "node24",
  };
}

/** A function's bundle for upload. It is built during synth, and its asset hash is that of the output. */
export function codeOfFunction(name: string): Code {
  return Code.fromAsset(join(PROJECT, "functions"), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // No container is used. The command only distinguishes the bundles for the CDK.
      image: DockerImage.fromRegistry("unused"),
      command: ["bundle", name],
      local: {
        tryBundle(folder) {
          cpSync(builtOnce(name), folder, { recursive: true });
          return true;
        },
      },
    },
  });
}

/** Files that a function reads at run time, and their paths beside the bundle. */
const BESIDE: Readonly<Record<string, readonly (readonly [from: string, to: string])[]>> = {
  migrate: [
    ["prisma/migrations", "migrations"],
    ["node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm", "schema_engine_bg.wasm"],
  ],
};

const KEPT = join(PROJECT, "node_modules/.cache/backstop/bundles");

/** The folder of the bundle, which is built again only if a source, an option or a package has changed. */
function builtOnce(name: string): string {
  const kept = join(KEPT, `${name}-${digestOfSources()}`);
  if (existsSync(kept)) return kept;
  mkdirSync(KEPT, { recursive: true });
  const old = readdirSync(KEPT)
    .map((folder) => join(KEPT, folder))
    .filter(isOld);
  for (const folder of old) rmSync(folder, { recursive: true, force: true });
  const building = mkdtempSync(join(KEPT, "building-"));
  buildSync(esbuildOptions(entryOf(name), building));
  for (const [from, to] of BESIDE[name] ?? []) cpSync(join(PROJECT, from), join(building, to), { recursive: true });
  try {
    renameSync(building, kept);
  } catch (thrown) {
    // Another process has built the same.
    if (!existsSync(kept)) throw thrown;
    rmSync(building, { recursive: true });
  }
  return kept;
}

/** A synth that runs now may still copy a younger one. */
const isOld = (folder: string): boolean => Date.now() - statSync(folder).mtimeMs > 3_600_000;

/** The inputs of a bundle; the lock file stands for its packages. */
const SOURCES = ["functions", "infra", "lib", "prisma/migrations", "prisma/schema.prisma", "package-lock.json"];

function digestOfSources(): string {
  const digest = createHash("sha256");
  for (const source of SOURCES) {
    const path = join(PROJECT, source);
    const within = statSync(path).isDirectory()
      ? readdirSync(path, { recursive: true, encoding: "utf8" }).sort()
      : [""];
    for (const file of within.map((name) => join(path, name))) {
      if (statSync(file).isFile()) digest.update(file).update(readFileSync(file));
    }
  }
  return digest.digest("hex").slice(0, 32);
}
