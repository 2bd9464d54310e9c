/** A stack frame in V8's format. */
const FRAME = /^ {4}at .*(?::\d+:\d+\)?|\(<anonymous>\))$/;

/** Redacts an error to its class and stack frames: the message may hold the content or the recipient. */
export function redactError(thrown: unknown): { readonly name: string; readonly frames: readonly string[] } {
  if (!(thrown instanceof Error)) return { name: typeof thrown, frames: [] };
  const lines = thrown.stack?.split("\n") ?? [];
  return { name: thrown.name, frames: lines.slice(lines.findLastIndex((line) => !FRAME.test(line)) + 1) };
}
