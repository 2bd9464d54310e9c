import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import * as z from "zod";
import { esbuildOptions } from "../infra/bundle.ts";
import { NODE_OPTIONS } from "../infra/worker-function.ts";
import { FOLDER, printMachine, withBenchServer } from "./database.ts";
import { at, checkTargets, count, figureOf, formatFigure, print, printTable, progress, ratioOf } from "./figures.ts";
import { loadPopulations, type Population } from "./forecast/population.ts";

/** The number of live instances that the targets apply to. */
const TARGET_INSTANCES = 100_000;
const ROUNDS = 3;
/** Below V8's default for the 1,769 MB of the function `look`, which is half of the memory. */
const HEAP_LIMIT = "--max-old-space-size=800";
const PROCESS = fileURLToPath(new URL("./forecast/process.ts", import.meta.url));

const measured = z.object({
  milliseconds: z.number(),
  cpuMs: z.number(),
  atStart: z.number(),
  peak: z.number(),
  bytes: z.int(),
  digest: z.string(),
});
type Measured = z.infer<typeof measured>;

interface Case extends Population {
  readonly asked: "forecast" | "sequences";
  readonly rounds: Measured[];
}

/** The forecast of 14 days at three sizes, with and without a daily cap, and that of an edit. */
export async function benchForecast({ instances, keep }: { readonly instances: number; readonly keep: boolean }) {
  const sizes = [instances / 10, instances / 2, instances];
  const populations = [false, true].flatMap((capped) =>
    sizes.map((size): Population => ({ name: `${capped ? "Capped" : "Open"} ${size}`, instances: size, capped })),
  );
  return await withBenchServer({ keep }, async (serverUrl) => {
    const database = await loadPopulations(serverUrl, populations);
    try {
      await printMachine({ ...database, instances });
      const cases = populations.flatMap((population): Case[] => [
        { ...population, asked: "forecast", rounds: [] },
        { ...population, asked: "sequences", rounds: [] },
      ]);
      await measureCases(database.url, cases);
      printCases(cases);
      return instances !== TARGET_INSTANCES || checkCases(cases);
    } finally {
      await database.close();
    }
  });
}

/** Each in a process of its own, bundled like the functions and with their memory settings. */
async function measureCases(databaseUrl: string, cases: readonly Case[]): Promise<void> {
  const folder = join(FOLDER, "forecast-process");
  await build(esbuildOptions(PROCESS, folder));
  const now = new Date().toISOString();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { name, asked, rounds } of cases) {
      progress(`${name}: ${asked}, round ${round + 1} of ${ROUNDS}`);
      const child = fork(join(folder, "index.mjs"), [databaseUrl, name, asked, now], {
        execArgv: [...NODE_OPTIONS.split(" "), HEAP_LIMIT],
      });
      const ended = once(child, "exit").then(([code]) => {
        throw new Error(`the measured process exited with code ${code}`);
      });
      const [message] = await Promise.race([once(child, "message"), ended]);
      ended.catch(() => undefined);
      rounds.push(measured.parse(message));
    }
  }
}

const seconds = ({ rounds }: Case) => rounds.map(({ milliseconds }) => milliseconds / 1_000);
const processorSeconds = ({ rounds }: Case) => rounds.map(({ cpuMs }) => cpuMs / 1_000);
const megabytes = ({ rounds }: Case) => rounds.map(({ peak }) => peak / 1e6);

function printCases(cases: readonly Case[]): void {
  print("\nFORECAST OF 14 DAYS: seconds and peak memory in MB, and both relative to a tenth of the instances");
  printTable(
    ["live instances", "seconds", "processor s", "ratio", "peak MB", "ratio", "answer KB"],
    cases.map((one) => {
      const least = leastOf(cases, one);
      return [
        `${count(one.instances)}${one.capped ? ", capped" : ""}${one.asked === "sequences" ? ", --sequences" : ""}`,
        formatFigure(figureOf(seconds(one))),
        formatFigure(figureOf(processorSeconds(one))),
        ratioOf(processorSeconds(one), processorSeconds(least)).median.toFixed(1),
        formatFigure(figureOf(megabytes(one))),
        ratioOf(megabytes(one), megabytes(least)).median.toFixed(2),
        (at(one.rounds, 0).bytes / 1_000).toFixed(1),
      ];
    }),
  );
}

const leastOf = (cases: readonly Case[], { capped, asked }: Case): Case =>
  at(
    cases.filter((other) => other.capped === capped && other.asked === asked),
    0,
  );

/** The function `look` has 60 s, one processor and 1,769 MB. */
function checkCases(cases: readonly Case[]): boolean {
  const largest = cases.filter(({ instances }) => instances === TARGET_INSTANCES);
  return checkTargets(
    largest.flatMap((one) => {
      const what = `${one.capped ? "with" : "without"} a cap${one.asked === "sequences" ? ", --sequences" : ""}`;
      const memory = ratioOf(megabytes(one), megabytes(leastOf(cases, one))).median;
      return [
        { what: `processor seconds ${what}`, measured: figureOf(processorSeconds(one)).median, atMost: 60 },
        { what: `memory, 100,000 to 10,000, ${what}`, measured: memory, atMost: one.capped ? 1.6 : 1.25 },
        {
          what: `different answers ${what}`,
          measured: new Set(one.rounds.map(({ digest }) => digest)).size,
          atMost: 1,
        },
      ];
    }),
  );
}
