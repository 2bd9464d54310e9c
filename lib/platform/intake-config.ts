import * as z from "zod";
import type { IamEndpoint } from "../store/iam-connection.ts";
import { type Environment, parseEnvironment } from "./environment.ts";
import { iamEndpoint } from "./migration-config.ts";

const settings = z.object({
  INTAKE_DEAD_LETTERS_URL: z.url({ protocol: /^https?$/ }),
  AWS_LAMBDA_FUNCTION_NAME: z.string().min(1).default("backstop-intake"),
  GIT_REVISION: z.string().min(1).default("unknown"),
  LOG_LEVEL: z.enum(["DEBUG", "INFO", "WARN", "ERROR", "SILENT"]).default("INFO"),
});

const database = {
  byAddress: z
    .object({ DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }) })
    .transform((env) => ({ connectionString: env.DATABASE_URL })),
  byRole: iamEndpoint,
};

/** The configuration of the intake. */
export type IntakeConfig = z.infer<typeof settings> & (IamEndpoint | { readonly connectionString: string });

/** See `parseEnvironment`. */
export const loadIntakeConfig = (env: Environment): IntakeConfig =>
  parseEnvironment(
    z.intersection(settings, env["DATABASE_URL"] === undefined ? database.byRole : database.byAddress),
    env,
  );
