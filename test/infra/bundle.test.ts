import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { App, Stack } from "aws-cdk-lib";
import { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { build, type Metafile } from "esbuild";
import { buildFunction, buildFunctions } from "../../infra/build.ts";
import { entryOf, esbuildOptions, PROJECT } from "../../infra/bundle.ts";
import { codeOf } from "../../infra/worker-function.ts";
import { startWorker } from "../support/lambda/worker.ts";
import { long } from "../support/long.ts";
import { cdkJson } from "./example.ts";

let folder: string;

beforeAll(async () => {
  // Inside the project, so that the sources resolve its packages.
  await mkdir(join(PROJECT, ".local"), { recursive: true });
  folder = await mkdtemp(join(PROJECT, ".local", "bundle-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the bundle of a function", () => {
  it("is an ES module with a source map, even if a package calls require", async () => {
    const source = 'import pg from "pg";\nexport const handler = async () => new pg.Pool().totalCount;\n';
    const [size] = await buildFunctions(await functionsWith({ "probe.ts": source }), join(folder, "dist"));
    const bundle = await readFile(join(folder, "dist/probe/index.mjs"), "utf8");
    expect(bundle).toContain("createRequire");
    expect(bundle).toContain("//# sourceMappingURL=index.mjs.map");
    expect(size).toMatchObject({ name: "probe", rawBytes: Buffer.byteLength(bundle) });
    expect(size?.zippedBytes).toBeLessThan(size?.rawBytes ?? 0);
    const { handler } = (await import(join(folder, "dist/probe/index.mjs"))) as { handler: () => Promise<number> };
    expect(await handler()).toBe(0);
  });

  it("names lines of the sources in stacks, also of code that is loaded later; without a map, its own lines", async () => {
    const functions = await functionsWith({
      "later.ts": 'export function fail() {\n  return new Error("later");\n}\n',
      "probe.ts": `const first = new Error("first");
export const handler = async () => {
  const { fail } = await import("./later.ts");
  return [first.stack, fail().stack];
};
`,
    });
    await buildFunctions(functions, join(folder, "stacks"));
    const bundle = join(folder, "stacks/probe");
    const [first, later] = await stacksOf(bundle);
    expect(first).toMatch(/^Error: first\n {4}at .*\/probe\.ts:1:15\)/);
    expect(later).toMatch(/^Error: later\n {4}at \w+ \(.*\/later\.ts:2:10\)\n {4}at .*\/probe\.ts:4:24\)/);
    for (const file of await readdir(bundle)) if (file.endsWith(".map")) await rm(join(bundle, file));
    const [unmapped] = await stacksOf(bundle);
    expect(unmapped).toMatch(/^Error: first\n {4}at .*\/index\.mjs:\d+:\d+/);
  });

  it("is built for every function, and older bundles are deleted", async () => {
    const source = "export const handler = () => 1;\n";
    await buildFunctions(await functionsWith({ "gone.ts": source }), join(folder, "all"));
    const sizes = await buildFunctions(
      await functionsWith({ "one.ts": source, "two.ts": source }),
      join(folder, "all"),
    );
    expect(sizes.map(({ name }) => name)).toEqual(["one", "two"]);
    await expect(readFile(join(folder, "all/gone/index.mjs"))).rejects.toThrow("ENOENT");
  });

  it("fails if a source imports a missing package", async () => {
    const functions = await functionsWith({ "broken.ts": 'import "no-such-package";\n' });
    await expect(buildFunctions(functions, join(folder, "broken"))).rejects.toThrow(
      'Could not resolve "no-such-package"',
    );
  });

  long.it("is identical if the stack builds it", async () => {
    // As deep as the folder that keeps bundles: source maps name their sources by relative paths.
    const beside = await mkdtemp(join(PROJECT, "node_modules/.cache/backstop/test-"));
    await buildFunction(entryOf("followups"), beside);
    const app = new App({ context: cdkJson.context, outdir: join(folder, "cdk.out") });
    new LambdaFunction(new Stack(app, "OneFunction"), "Function", codeOf("followups"));
    const { directory } = app.synth();
    const [asset = "no asset"] = (await readdir(directory)).filter((name) => name.startsWith("asset."));
    const built = await fingerprints(join(beside, "followups"));
    await rm(beside, { recursive: true });
    expect(built.has("index.mjs")).toBe(true);
    expect(await fingerprints(join(directory, asset))).toEqual(built);
  });
});

describe("the bundle of the follow-ups function", () => {
  long.it("loads no provider client at startup", async () => {
    const outputs = await outputsOf("followups");
    const readAtStart = packagesOf(outputs, (kind) => kind === "import-statement");
    const readEver = packagesOf(outputs, () => true);
    for (const client of ["@aws-sdk/client-sesv2", "nodemailer"]) {
      expect(readEver).toContain(client);
      expect(readAtStart).not.toContain(client);
    }
    expect(readAtStart).toContain("@prisma/client");
  });
});

describe("the bundle of a function that records no run", () => {
  it.each(["intake", "operate"])("contains no query compiler, half of a bundle's size: %s", async (name) => {
    const files = Object.keys(await outputsOf(name)).join();
    expect(files).toContain("index.mjs");
    expect(files).not.toContain("query-compiler");
  });
});

describe("the bundle of the migration", () => {
  it("contains the driver and not Prisma's client", async () => {
    const packages = packagesOf(await outputsOf("migrate"), () => true);
    expect(packages).toContain("pg");
    expect(packages).not.toContain("@prisma/client");
  });
});

async function outputsOf(name: string): Promise<Metafile["outputs"]> {
  const options = {
    ...esbuildOptions(entryOf(name), join(folder, "parts")),
    metafile: true as const,
    sourcemap: false as const,
    write: false,
  };
  return (await build(options)).metafile.outputs;
}

/** The packages in the entry files and in the files that they import, limited to import kinds that `counts` accepts. */
function packagesOf(outputs: Metafile["outputs"], counts: (kind: string) => boolean): readonly string[] {
  const names = Object.keys(outputs);
  const reached = new Set(names.filter((name) => name.endsWith("/index.mjs")));
  for (const name of reached) {
    for (const { path, kind, external } of outputs[name]?.imports ?? [])
      if (!external && counts(kind)) reached.add(path);
  }
  const sources = [...reached].flatMap((name) => Object.keys(outputs[name]?.inputs ?? {}));
  return [...new Set(sources.map((source) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1] ?? ""))];
}

/** The stacks that a bundle returns under AWS's runtime client. */
async function stacksOf(bundle: string): Promise<readonly string[]> {
  const worker = await startWorker({ bundle, environment: {} });
  try {
    const answer = await worker.invoke({});
    return answer.kind === "response" ? (answer.body as readonly string[]) : [];
  } finally {
    await worker.close();
  }
}

async function functionsWith(sources: Readonly<Record<string, string>>): Promise<string> {
  const functions = await mkdtemp(join(folder, "functions-"));
  for (const [name, source] of Object.entries(sources)) await writeFile(join(functions, name), source);
  return functions;
}

/** The hash of every file in a folder. */
async function fingerprints(of: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(of)).sort();
  const contents = await Promise.all(names.map((name) => readFile(join(of, name))));
  return new Map(
    names.map((name, index) => [
      name,
      createHash("sha256")
        .update(contents[index] ?? "")
        .digest("hex"),
    ]),
  );
}
