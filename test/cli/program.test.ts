import { expect, it } from "@jest/globals";
import type { Command } from "commander";
import { fittedTable, fittedText } from "../../cli/fitted.ts";
import { programFor } from "../../cli/program.ts";
import { startProgram } from "../support/child-process.ts";
import { long } from "../support/long.ts";

const program = await programFor(undefined);

const withParts = (command: Command): readonly Command[] => [command, ...command.commands.flatMap(withParts)];

/** The help as a terminal of 80 columns shows it. */
function helpOf(command: Command): string {
  const chunks: string[] = [];
  const write = process.stdout.write;
  process.stdout.write = (chunk: string | Uint8Array) => chunks.push(String(chunk)) > 0;
  try {
    command.outputHelp();
  } finally {
    process.stdout.write = write;
  }
  return chunks.join("");
}

it.each(withParts(program).map((command): [string, Command] => [nameOf(command), command]))(
  "the help of %s fits into 80 columns",
  (_, command) => {
    const lines = helpOf(command).split("\n");
    expect(lines.length).toBeGreaterThan(5);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  },
);

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();
}

it("documents every exit code once", () => {
  const help = withParts(program).map(helpOf);
  expect(help[0]).toMatch(/^ {2}0 .*\n {2}1 .*\n( {9}.*\n)* {2}64 .*\n( {9}.*\n)* {2}70 .*\n {2}128\+n /m);
  for (const other of help.slice(1)) expect(other).not.toMatch(/exit codes?:/i);
});

it("fills paragraphs, continues lists below their second column, and breaks commands with a backslash", () => {
  const text = [
    "A paragraph of a help text that",
    "is longer than the terminal.",
    "",
    "  name    its meaning, which is long",
    '  $ command --option "two words" --another 1',
  ];
  expect(fittedText(text.join("\n"), 30).split("\n")).toEqual([
    "A paragraph of a help text",
    "that is longer than the",
    "terminal.",
    "",
    "  name    its meaning, which",
    "          is long",
    "  $ command \\",
    '      --option "two words" \\',
    "      --another 1",
  ]);
});

it("wraps the cells of a table between words, and prints records where the longest words do not fit", () => {
  const table = { head: ["id", "meaning"], rows: [["0190f0f0-0000", "the lead wrote, and nobody answered yet"]] };
  const lines = fittedTable(table, 40).split("\n");
  expect(lines.filter((line) => line.length > 40)).toEqual([]);
  expect(lines.join("\n")).toMatch(/0190f0f0-0000 │ the lead wrote, and\b.*\n.*nobody answered yet/);
  expect(fittedTable(table, 20)).toBe("id       0190f0f0-0000\nmeaning  the lead wrote, and nobody answered yet");
});

long.it("a usage error has its own exit code, and asking for help is none", async () => {
  const codeOf = async (...words: string[]) => (await startProgram("cli/main.ts", words).ended).code;
  const codes = await Promise.all([codeOf("leeds"), codeOf("invoke", "--sumary"), codeOf("migrate", "--help")]);
  expect(codes).toEqual([64, 64, 0]);
});
