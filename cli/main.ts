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
    "Backstop walks leads through sequences of touches. When a lead books a meeting, every sequence that was " +
      "chasing the meeting stops, and every run proves it.",
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
Commands work on DATABASE_URL where it is set, and otherwise on a PostgreSQL of their own, whose data is kept in
.local/postgres from one command to the next. Answers go to standard output, progress and errors to standard error.

Examples:
  $ npm start
  $ npm run backstop -- invoke events/dry-run.json
  $ npm run backstop -- migrate
  $ DATABASE_URL=postgresql://me:secret@db.example.com/backstop npm run backstop -- migrate`,
  );

await runProgram(program);
