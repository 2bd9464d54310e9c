import { Command } from "commander";
import { columnsOf, fittedText } from "./fitted.ts";

/** In the order of the help. Each loads its own module: a command starts twice as fast without those of the others. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["start", async () => (await import("./commands/start.ts")).startCommand()],
  ["invoke", async () => (await import("./commands/invoke.ts")).invokeCommand()],
  ["intake", async () => (await import("./commands/intake.ts")).intakeCommand()],
  ["approvals", async () => (await import("./commands/approvals.ts")).approvalsCommand()],
  ["reopen", async () => (await import("./commands/reopen.ts")).reopenCommand()],
  ["leads", async () => (await import("./commands/leads.ts")).leadsCommand()],
  ["migrate", async () => (await import("./commands/migrate.ts")).migrateCommand()],
  ["preview", async () => (await import("./commands/preview.ts")).previewCommand()],
  ["schedule", async () => (await import("./commands/schedule.ts")).scheduleCommand()],
  ["console", async () => (await import("./commands/console.ts")).consoleCommand()],
  ["due", async () => (await import("./commands/due.ts")).dueCommand()],
  ["webhooks", async () => (await import("./commands/webhooks.ts")).webhooksCommand()],
  ["connect", async () => (await import("./commands/connect.ts")).connectCommand()],
  ["forecast", async () => (await import("./commands/forecast.ts")).forecastCommand()],
  ["touches", async () => (await import("./commands/touches.ts")).touchesCommand()],
  ["funnel", async () => (await import("./commands/funnel.ts")).funnelCommand()],
  ["tasks", async () => (await import("./commands/tasks.ts")).tasksCommand()],
  ["digests", async () => (await import("./commands/digests.ts")).digestsCommand()],
  ["orders", async () => (await import("./commands/orders.ts")).ordersCommand()],
  ["facts", async () => (await import("./commands/facts.ts")).factsCommand()],
  ["doctor", async () => (await import("./commands/doctor.ts")).doctorCommand()],
  ["runs", async () => (await import("./commands/runs.ts")).runsCommand()],
  ["holidays", async () => (await import("./commands/holidays.ts")).holidaysCommand()],
  ["workspaces", async () => (await import("./commands/workspaces.ts")).workspacesCommand()],
  ["unsubscribe-key", async () => (await import("./commands/unsubscribe-key.ts")).unsubscribeKeyCommand()],
  ["sequences", async () => (await import("./commands/sequences.ts")).sequencesCommand()],
]);

const HELP = `
Commands use the database of DATABASE_URL. Without it, they start a local PostgreSQL with its data in .local/postgres and stop it
when they end. Results go to standard output, progress and errors to standard error.

Exit codes:
  0      success
  1      the command failed or was refused, or its result is negative, such as a failed run or an invalid row
  64     the command line or an environment variable is invalid; nothing was done
  70     a bug, with a stack
  128+n  ended by signal n, such as 130 after Ctrl-C

After kill -9, the local PostgreSQL keeps running, and the next command stops it.

Examples:
  $ npm start
  $ npm run backstop -- invoke events/dry-run.json
  $ npm run backstop -- migrate
  $ DATABASE_URL=postgresql://me:secret@db.example.com/backstop npm run backstop -- migrate`;

/** The program with the command of that name, or with all commands. Its help texts fit the terminal. */
export async function programFor(name: string | undefined): Promise<Command> {
  const program = new Command("backstop")
    .description(
      "Backstop sends leads sequences of touches. When a lead books a meeting, it stops every sequence that follows up " +
        "the lead, and reports the result in every run.",
    )
    .addHelpText("after", HELP);
  const load = COMMANDS.get(name ?? "");
  for (const command of load ? [load] : COMMANDS.values()) program.addCommand(await command());
  fitHelp(program);
  return program;
}

/** Fits help texts, not errors, and lets `runProgram` choose the exit code. */
function fitHelp(command: Command): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => process.stdout.write(fittedText(text, columnsOf(process.stdout))),
    writeErr: (text) => process.stderr.write(fittedText(text, columnsOf(process.stderr))),
    outputError: (text) => process.stderr.write(text),
  });
  for (const part of command.commands) fitHelp(part);
}
