import { Argument, Command, InvalidArgumentError } from "commander";
import { Interrupted, Problem } from "../cli/problem.ts";
import { benchBackstop } from "./backstop.ts";
import { benchColdStart } from "./coldstart.ts";
import { benchEngine } from "./engine.ts";
import { benchForecast } from "./forecast.ts";

interface BenchOptions {
  readonly instances: number;
  readonly keep: boolean;
}
type Given = Omit<BenchOptions, "instances"> & Partial<BenchOptions>;

/** Prints figures to standard output and progress to standard error. Returns false if a target is missed. */
type Bench = (options: BenchOptions) => Promise<boolean>;

const BENCHES: Readonly<Record<string, Bench>> = {
  backstop: benchBackstop,
  engine: benchEngine,
  coldstart: benchColdStart,
  forecast: benchForecast,
};
/** The size that the targets apply to. */
const INSTANCES = 1_000_000;
const INSTANCES_OF: Readonly<Record<string, number>> = { forecast: 100_000 };

const program = new Command("npm run bench --")
  .description("Measures speed or size on a PostgreSQL of its own. Exits with code 1 if a target is missed.")
  .addArgument(new Argument("<name>", "what to measure").choices(Object.keys(BENCHES)))
  .option("--instances <number>", "number of instances to load; targets apply to the default only", wholeNumber)
  .option("--keep", "keep the database in .local/bench", false)
  .showHelpAfterError()
  .addHelpText(
    "after",
    "\nExamples:\n  npm run bench -- backstop\n  npm run bench -- coldstart\n  npm run bench -- engine --instances 20000\n  npm run bench -- forecast",
  );

await program
  .action(async (name: string, options: Given) => {
    const instances = options.instances ?? INSTANCES_OF[name] ?? INSTANCES;
    if (!(await BENCHES[name]?.({ ...options, instances }))) process.exitCode = 1;
  })
  .parseAsync()
  .catch(reportError);

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 10_000 && number <= 10_000_000) return number;
  throw new InvalidArgumentError("It must be a whole number from 10000 to 10000000.");
}

function reportError(error: unknown): void {
  if (!(error instanceof Problem || error instanceof Interrupted)) throw error;
  if (error instanceof Problem) process.stderr.write(`${error.message}\n`);
  process.exitCode = error.exitCode;
}
