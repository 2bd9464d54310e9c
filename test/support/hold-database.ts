import { Command } from "commander";
import { withDatabase } from "../../cli/postgres/local-database.ts";
import { runProgram } from "../../cli/problem.ts";
import { showProgress } from "../../cli/terminal.ts";

/** A command for tests to kill: prints its database's URL and keeps the database open. */
const program = new Command("hold-database")
  .argument("<folder>")
  .option("--port <port>", "", Number)
  .option("--exit", "exit with code 3 in the middle of the work")
  .action(async (folder: string, { port, exit }: { port?: number; exit?: true }) => {
    const holdOn = async (url: string) => {
      process.stdout.write(`${url}\n`);
      if (exit) process.exit(3);
      await new Promise(() => setInterval(() => undefined, 60_000));
    };
    await withDatabase(holdOn, { folder, port, onProgress: showProgress });
  });

await runProgram(program);
