import { Command } from "commander";
import { withDatabase } from "../../cli/local-database.ts";
import { tellProgress } from "../../cli/progress.ts";
import { runProgram } from "../../cli/run-program.ts";

/** A command that prints its database's address and keeps the database until somebody ends it: for tests to kill. */
const program = new Command("hold-database")
  .argument("<folder>")
  .option("--port <port>", "", Number)
  .action(async (folder: string, { port }: { port?: number }) => {
    const holdOn = async (url: string) => {
      process.stdout.write(`${url}\n`);
      await new Promise(() => setInterval(() => undefined, 60_000));
    };
    await withDatabase(holdOn, { folder, port, onProgress: tellProgress });
  });

await runProgram(program);
