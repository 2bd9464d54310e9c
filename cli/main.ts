#!/usr/bin/env node
import { Command } from "commander";
import { runProgram } from "./problem.ts";

/** In the order of the help. Each loads its own module: a command starts twice as fast without those of the others. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ["start", async () => (await import("./commands/start.ts")).startCommand()],
  ["invoke", async () => (await import("./commands/invoke.ts")).invokeCommand()],
  ["intake", async () => (await import("./commands/invoke.ts")).intakeCommand()],
  ["explain", async () => (await import("./commands/explain.ts")).explainCommand()],
  ["approvals", async () => (await import("./commands/approvals.ts")).approvalsCommand()],
  ["reopen", async () => (await import("./commands/reopen.ts")).reopenCommand()],
  ["leads", async () => (await import("./commands/leads.ts")).leadsCommand()],
  ["migrate", async () => (await import("./commands/migrate.ts")).migrateCommand()],
  ["preview", async () => (await import("./commands/preview.ts")).previewCommand()],
  ["schedule", async () => (await import("./commands/schedule.ts")).scheduleCommand()],
  ["console", async () => (await import("./commands/console.ts")).consoleCommand()],
  ["forecast", async () => (await import("./commands/forecast.ts")).forecastCommand()],
  ["runs", async () => (await import("./commands/runs.ts")).runsCommand()],
  ["workspaces", async () => (await import("./commands/workspaces.ts")).workspacesCommand()],
  ["sequences", async () => (await import("./commands/sequences.ts")).sequencesCommand()],
]);

const program = new Command("backstop")
  .description(
    "Backstop sends leads sequences of touches. When a lead books a meeting, it stops every sequence that follows up " +
      "the lead, and reports the result in every run.",
  )
  .addHelpText(
    "after",
    `
Commands use the database of DATABASE_URL. Without it, they start a local PostgreSQL with its data in .local/postgres and stop it
when they end. Results go to standard output, progress and errors to standard error.

Exit codes: 0 success; 1 an error that you can correct, or a failed run; 70 a bug; 128 plus the signal's number after Ctrl-C or
another signal. After kill -9, the local PostgreSQL keeps running, and the next command stops it.

Examples:
  $ npm start
  $ npm run backstop -- invoke events/dry-run.json
  $ npm run backstop -- migrate
  $ DATABASE_URL=postgresql://me:secret@db.example.com/backstop npm run backstop -- migrate`,
  );

const load = COMMANDS.get(process.argv[2] ?? "");
for (const command of load ? [load] : COMMANDS.values()) program.addCommand(await command());
await runProgram(program);
