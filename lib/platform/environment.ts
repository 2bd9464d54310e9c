import type * as z from "zod";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Parses the environment. Throws one Error that lists every fault but never a value. */
export function parseEnvironment<Parsed>(schema: z.ZodType<Parsed>, env: Environment): Parsed {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`the environment is not valid:\n${faults.join("\n")}`);
}
