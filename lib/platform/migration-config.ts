import * as z from "zod";
import type { IamEndpoint } from "../store/iam-connection.ts";

const environment = z
  .object({
    DATABASE_HOST: z.string().min(1),
    DATABASE_PORT: z.coerce.number().int().min(1).max(65_535).default(5432),
    DATABASE_NAME: z.string().min(1),
    DATABASE_USER: z.string().min(1),
    AWS_REGION: z.string().min(1),
  })
  .transform(
    (env): IamEndpoint => ({
      host: env.DATABASE_HOST,
      port: env.DATABASE_PORT,
      database: env.DATABASE_NAME,
      user: env.DATABASE_USER,
      region: env.AWS_REGION,
    }),
  );

/** Where the migrations go. Throws one Error that names every fault of the environment; values are never in it. */
export function loadMigrationConfig(env: Readonly<Record<string, string | undefined>>): IamEndpoint {
  const parsed = environment.safeParse(env);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`the environment is not valid:\n${faults.join("\n")}`);
}
