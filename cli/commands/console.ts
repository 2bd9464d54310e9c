import { once } from "node:events";
import { Command } from "commander";
import { startConsole } from "../console/server.ts";
import { type Place, withOperator, withPlace } from "../operator.ts";
import { port } from "../terminal.ts";

const HELP = `
The page listens on 127.0.0.1 only. The printed address opens one session in one
browser. It shows the promise, the workspaces, what is due and held, the forecast,
approvals, and the story of a lead. It changes nothing except that a text can be
approved or rejected; your name is stored with that. Ctrl-C ends it.

Examples:
  $ npm run backstop -- console
  $ npm run backstop -- console --stage production --port 4000`;

/** The command `console`. Throws known errors as Problem. */
export function consoleCommand(): Command {
  return withPlace(new Command("console"))
    .summary("open a page to look at a stage, and to approve texts")
    .description("Serves a local page that shows what a stage does, and on which texts are approved or rejected.")
    .option("--port <number>", "0 chooses a free one", port, 0)
    .addHelpText("after", HELP)
    .action(({ port: wanted, ...place }: Place & { port: number }) =>
      withOperator(
        place,
        async (operator, signal) => {
          const page = await startConsole(operator, wanted);
          process.stdout.write(`${page.url}\n`);
          if (!signal.aborted) await once(signal, "abort");
          await page.close();
        },
        { quiet: true },
      ),
    );
}
