import type { Command } from "commander";
import { SchemaOutOfDate, UnsafeDatabaseSettings } from "../lib/run/ports.ts";
import { Interrupted, Problem } from "./problem.ts";

/**
 * Runs a command line and ends the process with its exit code. A Problem and a database that has to change are printed as
 * one line, an interruption not at all; anything else is a fault of the program and is printed with its stack.
 */
export async function runProgram(program: Command): Promise<void> {
  process.stdout.on("error", leaveClosedPipe);
  try {
    await program.parseAsync();
  } catch (thrown) {
    const error = isOfDatabase(thrown) ? new Problem(`${thrown.code}: ${thrown.message}`) : thrown;
    if (error instanceof Problem) process.stderr.write(`backstop: ${error.message.replaceAll("\n", " ")}\n`);
    else if (!(error instanceof Interrupted)) process.stderr.write(`backstop: this is a bug.\n${stackOf(error)}\n`);
    // Not left to the event loop: work that was abandoned may hold timers and sockets for long.
    process.exit(error instanceof Problem || error instanceof Interrupted ? error.exitCode : 70);
  }
}

const isOfDatabase = (thrown: unknown): thrown is SchemaOutOfDate | UnsafeDatabaseSettings =>
  thrown instanceof SchemaOutOfDate || thrown instanceof UnsafeDatabaseSettings;

/** Who pipes us into `head` has seen enough. */
function leaveClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
