/** Writes progress to standard error, so that standard output holds the result only. */
export function showProgress(line: string): void {
  process.stderr.write(`${line}\n`);
}
