import type { Command } from "commander";
import { SchemaOutOfDate, UnsafeDatabaseSettings } from "../lib/run/ports.ts";
import { Interrupted, Problem } from "./problem.ts";

/**
 * Runs a command line. On an error, ends the process with its exit code: a Problem and an unusable database print one
 * line, an interruption prints nothing, and every other error is a bug and prints its stack.
 */
export async function runProgram(program: Command): Promise<void> {
  process.stdout.on("error", leaveClosedPipe);
  try {
    await program.parseAsync();
  } catch (thrown) {
    const error = isOfDatabase(thrown) ? new Problem(`${thrown.code}: ${thrown.message}`) : thrown;
    if (error instanceof Problem) process.stderr.write(`backstop: ${error.message.replaceAll("\n", " ")}\n`);
    else if (!(error instanceof Interrupted)) process.stderr.write(`backstop: this is a bug.\n${stackOf(error)}\n`);
    // Exit now: timers and sockets of abandoned work may keep the event loop alive.
    process.exit(error instanceof Problem || error instanceof Interrupted ? error.exitCode : 70);
  }
}

const isOfDatabase = (thrown: unknown): thrown is SchemaOutOfDate | UnsafeDatabaseSettings =>
  thrown instanceof SchemaOutOfDate || thrown instanceof UnsafeDatabaseSettings;

/** Exits quietly when the reader, such as `head`, closes the pipe. */
function leaveClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
