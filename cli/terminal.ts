import { createInterface, type Interface } from "node:readline/promises";
import { Writable } from "node:stream";
import { InvalidArgumentError, Option } from "commander";
import ora, { type Ora } from "ora";
import * as z from "zod";
import type { Advice } from "../lib/domain/advice.ts";
import { isFieldName } from "../lib/domain/lead-fields.ts";
import { LOCAL_FOLDER } from "./postgres/local-database.ts";
import { printable } from "./print.ts";
import { Problem } from "./problem.ts";

/** Writes progress to standard error, so that standard output holds the result only. */
export function showProgress(line: string): void {
  process.stderr.write(`${printable(line)}\n`);
}

/** One line of advice on a sequence. */
export const adviceLine = ({ sequence, step, text }: Advice): string =>
  `Advice: ${sequence}${step === null ? "" : `, step ${step}`}: ${text}`;

/** Shows advice on sequences on standard error. */
export const showAdvice = (advice: readonly Advice[]): void => advice.map(adviceLine).forEach(showProgress);

/** Shows progress on standard error: one changing line on a terminal, plain lines elsewhere. */
export class Spinner {
  readonly #ora: Ora | undefined;
  #last = "";

  constructor() {
    // With a reported width of 0 columns, ora would clear lines forever.
    if (process.stderr.isTTY && process.stderr.columns > 0)
      this.#ora = ora({ stream: process.stderr, discardStdin: false });
  }

  /** `detail`, such as a count, is shown on terminals only. */
  show(line: string, detail = ""): void {
    if (this.#ora) this.#ora.start(`${line}${detail}`);
    else if (line !== this.#last) showProgress(line);
    this.#last = line;
  }

  /** Shows the line and the seconds that have passed until the work ends. */
  async during<Result>(line: string, work: () => Promise<Result>): Promise<Result> {
    const startedMs = performance.now();
    const showTime = () => {
      const seconds = Math.round((performance.now() - startedMs) / 1_000);
      this.show(line, seconds > 0 ? `, ${seconds} s` : "");
    };
    showTime();
    const timer = setInterval(showTime, 1_000);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  stop(): void {
    this.#ora?.stop();
  }
}

interface Question {
  readonly question: string;
  /** The remedy if there is no terminal. */
  readonly otherwise?: string;
  readonly signal: AbortSignal;
}

const REVIEW = "use --yes to apply without a question, or --dry-run to show the changes only";

/** Asks a question at the terminal; every answer except yes means no. Throws a Problem if there is no terminal. */
export async function confirm({ question, otherwise = REVIEW, signal }: Question): Promise<boolean> {
  if (!process.stdin.isTTY) throw new Problem(`there is no terminal to confirm at: ${otherwise}`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // readline swallows Ctrl-C. Raise the signal so that its listeners can clean up.
  terminal.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    return /^y(es)?$/i.test((await answerAt(terminal, `${question} [y/N] `, signal)).trim());
  } finally {
    terminal.close();
  }
}

/** Ctrl-D is an empty answer. */
async function answerAt(terminal: Interface, question: string, signal?: AbortSignal): Promise<string> {
  const answer = signal ? terminal.question(question, { signal }) : terminal.question(question);
  return await answer.catch((thrown: unknown) => {
    if (thrown instanceof Error && thrown.name === "AbortError" && !signal?.aborted) return "";
    throw thrown;
  });
}

/** Asks for a secret at the terminal, and does not show the answer. Throws a Problem if there is no terminal. */
export async function askSecret(question: string, otherwise: string): Promise<string> {
  if (!process.stdin.isTTY) throw new Problem(`there is no terminal to ask at: ${otherwise}`);
  process.stderr.write(`${question} `);
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: unseen, terminal: true });
  terminal.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const answer = (await answerAt(terminal, "")).trim();
    if (answer === "") throw new Problem("nothing was typed, so nothing was changed");
    return answer;
  } finally {
    terminal.close();
    process.stderr.write("\n");
  }
}

/** The option --folder. The help shows its default without the path of the checkout. */
export const folderOption = (description: string): Option =>
  new Option("--folder <path>", description).default(LOCAL_FOLDER, ".local");

/** Formats an instant in UTC, to the minute. */
export const formatMinute = (instant: Date): string => instant.toISOString().replace(/:\d\d\.\d{3}Z$/, "Z");

/** How long ago an instant was: `5 min`, `3 h`, `2 days`. */
export function ageOf(at: Date, now: Date): string {
  const minutes = Math.max(0, Math.floor((now.getTime() - at.getTime()) / 60_000));
  if (minutes < 120) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / (24 * 60))} days`;
}

/** Parses a UUID from the command line. */
export function uuid(text: string): string {
  const parsed = z.guid().safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError("Expected a UUID, such as 0190f0f0-0000-7000-8000-000000000001.");
}

/** Parses a whole number from the command line, from `least` to `most`. */
export const wholeNumber =
  (least: number, most: number, what = "a whole number") =>
  (text: string): number => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected ${what} from ${least} to ${most}.`);
  };

/** An option for a whole number, with the limits and the default that the schema states. */
export function numberOption(flags: string, what: string, schema: z.ZodDefault<z.ZodInt>): Option {
  const { minValue, maxValue } = schema.unwrap();
  const [least, most] = [minValue ?? 0, maxValue ?? Number.MAX_SAFE_INTEGER];
  return new Option(flags, `${what}, from ${least} to ${most}`)
    .argParser(wholeNumber(least, most))
    .default(schema.parse(undefined));
}

/** Parses a port from the command line; 0 chooses a free one. */
export const port = wholeNumber(0, 65_535, "a port number");

/** Parses a text from the command line. Rejects blank text. */
export function nonBlank(text: string): string {
  if (text.trim() !== "") return text.trim();
  throw new InvalidArgumentError("The text must not be empty.");
}

/** Collects the repeatable option for names of custom fields. */
export function eachNewField(name: string, before: readonly string[]): readonly string[] {
  if (isFieldName(name)) return [...before, name];
  throw new InvalidArgumentError("It is not a name of a custom field, such as job_title.");
}

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/** A send window: `Mon Tue 09:00-17:00`. Days count from 1, Monday. */
export const formatWindow = ({
  days,
  start,
  end,
}: {
  readonly days: readonly number[];
  readonly start: string;
  readonly end: string;
}): string => `${days.map((day) => WEEKDAYS[day - 1]).join(" ")} ${start}-${end}`;
