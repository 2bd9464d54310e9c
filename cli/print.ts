/** Writes a result to standard output. */
export function print(text: string): void {
  process.stdout.write(printable(text));
}

/**
 * Replaces control characters and direction overrides, so that text from a row or a file can neither control the
 * terminal nor show another order than it has. Keeps line feeds and tabs.
 */
export const printable = (text: string): string =>
  text.replaceAll(/[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu, "\u{fffd}");
