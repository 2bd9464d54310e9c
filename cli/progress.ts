/** Writes progress to standard error, so that standard output holds the result only. */
export function tellProgress(line: string): void {
  process.stderr.write(`${line}\n`);
}
