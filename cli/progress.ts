/** Tells a person what is going on. On standard error, so that standard output holds the answer and nothing else. */
export function tellProgress(line: string): void {
  process.stderr.write(`${line}\n`);
}
