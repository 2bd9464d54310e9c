#!/usr/bin/env node
import { Command } from "commander";
import { approvalsCommand } from "./commands/approvals.ts";
import { explainCommand } from "./commands/explain.ts";
import { intakeCommand, invokeCommand } from "./commands/invoke.ts";
import { leadsCommand } from "./commands/leads.ts";
import { migrateCommand } from "./commands/migrate.ts";
import { previewCommand } from "./commands/preview.ts";
import { reopenCommand } from "./commands/reopen.ts";
import { scheduleCommand } from "./commands/schedule.ts";
import { sequencesCommand } from "./commands/sequences.ts";
import { startCommand } from "./commands/start.ts";
import { runProgram } from "./problem.ts";

const program = new Command("backstop")
  .description(
    "Backstop sends leads sequences of touches. When a lead books a meeting, it stops every sequence that follows up " +
      "the lead, and reports the result in every run.",
  )
  .addCommand(startCommand())
  .addCommand(invokeCommand())
  .addCommand(intakeCommand())
  .addCommand(explainCommand())
  .addCommand(approvalsCommand())
  .addCommand(reopenCommand())
  .addCommand(leadsCommand())
  .addCommand(migrateCommand())
  .addCommand(previewCommand())
  .addCommand(scheduleCommand())
  .addCommand(sequencesCommand())
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

await runProgram(program);
