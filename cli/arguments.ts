import { InvalidArgumentError } from "commander";
import * as z from "zod";

/** Parses a UUID from the command line. */
export function uuid(text: string): string {
  const parsed = z.guid().safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError("Expected a UUID, such as 0190f0f0-0000-7000-8000-000000000001.");
}

/** Parses a text from the command line. Rejects blank text. */
export function nonBlank(text: string): string {
  if (text.trim() !== "") return text.trim();
  throw new InvalidArgumentError("The text must not be empty.");
}
