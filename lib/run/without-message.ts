/** As V8 writes the places in a stack. */
const FRAME = /^ {4}at .*(?::\d+:\d+\)?|\(<anonymous>\))$/;

/** Of what a channel threw, what may be logged: its class and where it was thrown. Its message may hold what was sent, or to whom. */
export function withoutMessage(thrown: unknown): { readonly name: string; readonly frames: readonly string[] } {
  if (!(thrown instanceof Error)) return { name: typeof thrown, frames: [] };
  const lines = thrown.stack?.split("\n") ?? [];
  return { name: thrown.name, frames: lines.slice(lines.findLastIndex((line) => !FRAME.test(line)) + 1) };
}
