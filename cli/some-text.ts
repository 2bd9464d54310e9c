import { InvalidArgumentError } from "commander";

/** Parses a name or a reason given on the command line, which goes on record. */
export function someText(text: string): string {
  if (text.trim() !== "") return text.trim();
  throw new InvalidArgumentError("It goes on record, and may not be empty.");
}
