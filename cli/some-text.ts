import { InvalidArgumentError } from "commander";

/** Parses a name or a reason from the command line, which is stored. Rejects blank text. */
export function someText(text: string): string {
  if (text.trim() !== "") return text.trim();
  throw new InvalidArgumentError("It goes on record, and may not be empty.");
}
