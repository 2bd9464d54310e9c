import { InvalidArgumentError } from "commander";
import * as z from "zod";

/** Parses a UUID from the command line. */
export function uuid(text: string): string {
  const parsed = z.guid().safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError("It is a UUID, such as 0190f0f0-0000-7000-8000-000000000001.");
}

/** Parses a name or a reason from the command line, which is stored. Rejects blank text. */
export function someText(text: string): string {
  if (text.trim() !== "") return text.trim();
  throw new InvalidArgumentError("It goes on record, and may not be empty.");
}
