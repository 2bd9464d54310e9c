import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { migrateDatabase } from "../cli/commands/migrate.ts";
import { discardLocalDatabase, LOCAL_FOLDER, withDatabase } from "../cli/postgres/local-database.ts";
import { type BundleSize, buildFunctions } from "../infra/build.ts";
import { PROJECT } from "../infra/bundle.ts";
import { NODE_OPTIONS } from "../infra/worker-function.ts";
import { type LambdaWorker, startWorker } from "../test/support/lambda/worker.ts";
import {
  at,
  checkTargets,
  figureOf,
  formatFigure,
  millisecondsOf,
  print,
  printTable,
  progress,
  ratioOf,
  runRounds,
} from "./figures.ts";

const FOLDER = join(LOCAL_FOLDER, "bench");
const ROUNDS = 9;
const WARM_INVOCATIONS = 20;
const EMPTY = "empty";
const FOLLOW_UPS = "followups";
/** The handler to start where a bundle has several. */
const HANDLERS: Readonly<Record<string, string>> = { operate: "look" };
const NOTHING_DUE = { trigger: "schedule" };

/** Milliseconds of one function: `init` and `first` per round, `warm` per invocation. */
interface Samples {
  readonly init: number[];
  readonly first: number[];
  readonly warm: number[];
}

/** Measures bundle sizes, and cold starts in comparison with an empty function. */
export async function benchColdStart(options: { keep: boolean }): Promise<boolean> {
  const own = { databaseUrl: "", folder: FOLDER, onProgress: progress };
  try {
    return await withDatabase(async (url) => {
      await migrateDatabase(url, { onProgress: progress });
      return await measureOn(url);
    }, own);
  } finally {
    if (!options.keep) await discardLocalDatabase(own);
  }
}

async function measureOn(databaseUrl: string): Promise<boolean> {
  const folder = await mkdtemp(join(FOLDER, "coldstart-"));
  try {
    const sizes = await buildFunctions(join(PROJECT, "functions"), join(folder, "dist"));
    await addEmptyFunction(join(folder, "dist", EMPTY));
    const names = [EMPTY, ...sizes.map(({ name }) => name)];
    const samples = new Map(names.map((name): [string, Samples] => [name, { init: [], first: [], warm: [] }]));
    progress(`${ROUNDS} rounds of each function: ${names.join(", ")}`);
    await runRounds(
      ROUNDS,
      [...samples].map(
        ([name, own]) =>
          () =>
            measure(
              { bundle: join(folder, "dist", name), handler: `index.${HANDLERS[name] ?? "handler"}` },
              own,
              databaseUrl,
              name === EMPTY || name === FOLLOW_UPS,
            ),
      ),
    );
    return printResults(sizes, samples);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function addEmptyFunction(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "index.mjs"), "export const handler = async () => ({});\n");
}

/** One cold start. Functions that need more than a database are only loaded, not invoked. */
async function measure(
  code: { readonly bundle: string; readonly handler: string },
  samples: Samples,
  databaseUrl: string,
  invoked: boolean,
): Promise<void> {
  const worker = await startWorker({ ...code, environment: environmentOf(databaseUrl) });
  try {
    samples.init.push(await worker.initialised);
    if (!invoked) return;
    samples.first.push(await millisecondsOf(() => invoke(worker)));
    for (let count = 0; count < WARM_INVOCATIONS; count++)
      samples.warm.push(await millisecondsOf(() => invoke(worker)));
  } finally {
    await worker.close();
  }
}

async function invoke(worker: LambdaWorker): Promise<void> {
  const answer = await worker.invoke(NOTHING_DUE);
  if (answer.kind === "error") throw new Error(`the function failed with ${answer.errorType}: ${answer.errorMessage}`);
}

/** Enough to load every function. AWS is never called, because nothing is due and no event arrives. */
function environmentOf(databaseUrl: string): Readonly<Record<string, string>> {
  const { hostname, port, pathname, username } = new URL(databaseUrl);
  return {
    DATABASE_URL: databaseUrl,
    DATABASE_HOST: hostname,
    DATABASE_PORT: port,
    DATABASE_NAME: pathname.slice(1),
    DATABASE_USER: username,
    EMAIL_TRANSPORT: "ses",
    EVENT_BUS_NAME: "bench",
    CONNECTION_SECRETS_PREFIX: "backstop/bench",
    INTAKE_DEAD_LETTERS_URL: "http://127.0.0.1:1/111111111111/refused-events",
    LOG_LEVEL: "ERROR",
    NODE_OPTIONS,
    AWS_ACCESS_KEY_ID: "bench",
    AWS_SECRET_ACCESS_KEY: "bench",
  };
}

/** Returns true if all targets are met. */
function printResults(sizes: readonly BundleSize[], samples: ReadonlyMap<string, Samples>): boolean {
  print(
    `Node ${process.version}, ${cpus().length} cores, ${ROUNDS} rounds. Times are medians in milliseconds, with the range in brackets.\n`,
  );
  const kilobytes = (bytes: number) => (bytes / 1_000).toFixed(0);
  printTable(
    ["bundle", "raw, kB", "zipped, kB", "source map zipped, kB"],
    sizes.map(({ name, rawBytes, zippedBytes, zippedMapBytes }) => [
      name,
      ...[rawBytes, zippedBytes, zippedMapBytes].map(kilobytes),
    ]),
  );
  const empty = of(samples, EMPTY);
  printTable(
    ["function", "init", "init / empty", "first invocation", "warm, nothing due"],
    [...samples].map(([name, { init, first, warm }]) => [
      name,
      formatFigure(figureOf(init)),
      formatFigure(ratioOf(init, empty.init)),
      first.length > 0 ? formatFigure(figureOf(first)) : "",
      warm.length > 0 ? formatFigure(figureOf(warm)) : "",
    ]),
  );
  print("Init: from the start of the process, with the runtime client, to its first request for an event.\n");
  const bundle = at(
    sizes.filter(({ name }) => name === FOLLOW_UPS),
    0,
  );
  return checkTargets([
    { what: "followups bundle, zipped MB", measured: bundle.zippedBytes / 1e6, atMost: 1.3 },
    {
      what: "followups init / empty init",
      measured: ratioOf(of(samples, FOLLOW_UPS).init, empty.init).median,
      atMost: 4,
    },
  ]);
}

function of(samples: ReadonlyMap<string, Samples>, name: string): Samples {
  const found = samples.get(name);
  if (!found) throw new Error(`${name} was not measured`);
  return found;
}
