import { type Command, CommanderError } from "commander";
import { InvalidEnvironment } from "../lib/platform/invalid-environment.ts";
import { SchemaOutOfDate, UnsafeDatabaseSettings } from "../lib/run/ports.ts";
import { DatabaseError } from "../lib/store/database-errors.ts";
import { printable } from "./print.ts";

/** An error that a person can fix. Printed without a stack, as one line that says what is wrong and what to do. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly exitCode: number = 1;
}

/** The exit code of a usage error: EX_USAGE of sysexits.h, which also has 70 for a bug. */
const USAGE_EXIT_CODE = 64;

/** A question or an order was refused: nothing was changed. */
export class RefusedRequest extends Problem {
  /** Stable, for programs. */
  readonly code: string;
  /** The fault and its remedy. */
  readonly refusal: string;

  constructor(code: string, refusal: string) {
    super(`refused (${code}): ${refusal}`);
    this.code = code;
    this.refusal = refusal;
  }
}

/** The command line or the environment is invalid. Nothing was done. */
export class UsageProblem extends Problem {
  override readonly exitCode: number = USAGE_EXIT_CODE;
}

/** A signal ended the program. Nothing is printed; the exit code is 128 plus the signal's number, as in a shell. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  readonly exitCode: number;
  constructor(signalNumber: number) {
    super("interrupted");
    this.exitCode = 128 + signalNumber;
  }
}

/** Translates a file system error into a Problem; undefined if the error is of another kind. */
export function fileProblem(error: unknown, path: string): Problem | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
  const advice = FILE_ADVICE[code];
  return advice ? new Problem(advice(path), { cause: error }) : undefined;
}

const noPermission = (path: string) =>
  `this user may not write ${path}: change its owner, or set DATABASE_URL to your own database`;
const diskFull = (path: string) => `the disk of ${path} has no space left: free some space and try again`;
const notFolder = (path: string) => `${path} cannot be created: a file is in the place of a folder; move the file`;

const FILE_ADVICE: Readonly<Record<string, (path: string) => string>> = {
  EACCES: noPermission,
  EPERM: noPermission,
  EROFS: (path) => `${path} is on a read-only disk: use another folder, or set DATABASE_URL to your own database`,
  ENOSPC: diskFull,
  EDQUOT: diskFull,
  ENOTDIR: notFolder,
  EEXIST: notFolder,
};

/**
 * Runs a command line. On an error, ends the process with its exit code. A Problem, an invalid environment and an
 * unusable database print one line. An interruption prints nothing. Every other error is a bug and prints its stack.
 */
export async function runProgram(program: Command): Promise<void> {
  process.stdout.on("error", leaveClosedPipe);
  try {
    await program.parseAsync();
  } catch (thrown) {
    // Exit now: timers and sockets of abandoned work may keep the event loop alive.
    process.exit(exitCodeOf(thrown));
  }
}

/** Prints the error, unless Commander has printed it, and returns the exit code. */
function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : USAGE_EXIT_CODE;
  const error = problemOf(thrown);
  if (error instanceof Interrupted) return error.exitCode;
  if (error instanceof Problem) {
    process.stderr.write(printable(`backstop: ${error.message.replaceAll("\n", " ")}\n`));
    return error.exitCode;
  }
  process.stderr.write(printable(`backstop: this is a bug.\n${stackOf(error)}\n`));
  return 70;
}

/** Translates errors that a person can fix into a Problem. Returns other errors unchanged. */
function problemOf(thrown: unknown): unknown {
  if (isUnusableDatabase(thrown)) return new Problem(`${thrown.code}: ${thrown.message}`, { cause: thrown });
  if (thrown instanceof DatabaseError && SET_UP.test(thrown.code)) {
    return new Problem(`the database refused: ${thrown.message}`, { cause: thrown });
  }
  if (thrown instanceof InvalidEnvironment) {
    return new UsageProblem(`the environment is not valid: ${thrown.faults.join("; ")}`, { cause: thrown });
  }
  return thrown;
}

/**
 * SQLSTATEs of what a person sets up: permissions, a read-only server, a full disk or too little memory, time limits
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */
const SET_UP = /^(42501|25006|53...|55P03|57014)$/;

const isUnusableDatabase = (thrown: unknown): thrown is SchemaOutOfDate | UnsafeDatabaseSettings =>
  thrown instanceof SchemaOutOfDate || thrown instanceof UnsafeDatabaseSettings;

/** Exits quietly when the reader, such as `head`, closes the pipe. */
function leaveClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
