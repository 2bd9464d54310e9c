import * as z from "zod";
import { signingSecret } from "../channels/signing-secret.ts";
import type { RunSettings } from "../run/step.ts";

const integer = (least: number, most: number) => z.coerce.number().int().min(least).max(most);

const environment = z
  .object({
    DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
    DATABASE_HOST: z.string().min(1).optional(),
    DATABASE_PORT: integer(1, 65_535).default(5432),
    DATABASE_NAME: z.string().min(1).optional(),
    DATABASE_USER: z.string().min(1).optional(),
    AWS_REGION: z.string().min(1).optional(),
    EMAIL_TRANSPORT: z.enum(["ses", "smtp", "files"]),
    SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
    OUTBOX_DIRECTORY: z.string().min(1).optional(),
    SMS_ORIGINATION_IDENTITY: z.string().min(1).optional(),
    SMS_CONFIGURATION_SET: z.string().min(1).optional(),
    SMS_MESSAGE_TYPE: z.enum(["PROMOTIONAL", "TRANSACTIONAL"]).default("PROMOTIONAL"),
    WEBHOOK_URL: z.url({ protocol: /^https?$/ }).optional(),
    WEBHOOK_SECRET: signingSecret.optional(),
    WEBHOOK_SECRET_ARN: z
      .string()
      .regex(/^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$/, "must be the ARN of a secret")
      .optional(),
    WEBHOOK_NETWORK: z.enum(["public", "any"]).default("public"),
    CATCH_UP_SCHEDULE: z.string().min(1).optional(),
    CATCH_UP_GROUP: z.string().min(1).optional(),
    CATCH_UP_ROLE_ARN: z.string().min(1).optional(),
    CATCH_UP_DEAD_LETTERS_ARN: z.string().min(1).optional(),
    AWS_LAMBDA_FUNCTION_NAME: z.string().min(1).default("backstop-followups"),
    GIT_REVISION: z.string().min(1).default("unknown"),
    LOG_LEVEL: z.enum(["DEBUG", "INFO", "WARN", "ERROR", "SILENT"]).default("INFO"),
    RUN_BATCH_SIZE: integer(1, 1_000).default(500),
    RUN_SENDS_AT_ONCE: integer(1, 100).default(10),
    RUN_SAFETY_MARGIN_MS: integer(1_000, 60_000).default(20_000),
  })
  .superRefine((env, context) => {
    const need = (key: keyof typeof env, why: string) => {
      if (env[key] === undefined) context.addIssue({ code: "custom", path: [key], message: `is needed ${why}` });
    };
    if (env.DATABASE_URL === undefined) {
      for (const key of ["DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER", "AWS_REGION"] as const) {
        need(key, "where DATABASE_URL is not set");
      }
    }
    if (env.EMAIL_TRANSPORT === "smtp") need("SMTP_URL", "for EMAIL_TRANSPORT=smtp");
    if (env.EMAIL_TRANSPORT === "files") need("OUTBOX_DIRECTORY", "for EMAIL_TRANSPORT=files");
    if (env.SMS_ORIGINATION_IDENTITY !== undefined) need("AWS_REGION", "for SMS_ORIGINATION_IDENTITY");
    for (const secret of ["WEBHOOK_SECRET", "WEBHOOK_SECRET_ARN"] as const) {
      if (env[secret] !== undefined) need("WEBHOOK_URL", `for ${secret}`);
    }
  })
  .refine((env) => env.WEBHOOK_SECRET === undefined || env.WEBHOOK_SECRET_ARN === undefined, {
    path: ["WEBHOOK_SECRET"],
    error: "is not needed where WEBHOOK_SECRET_ARN is set",
  })
  .refine((env) => env.CATCH_UP_GROUP === undefined || (env.CATCH_UP_SCHEDULE && env.CATCH_UP_ROLE_ARN), {
    path: ["CATCH_UP_GROUP"],
    error: "needs CATCH_UP_SCHEDULE and CATCH_UP_ROLE_ARN beside it",
  })
  .refine((env) => env.WEBHOOK_NETWORK === "any" || !env.WEBHOOK_URL?.toLowerCase().startsWith("http:"), {
    path: ["WEBHOOK_URL"],
    error: "must be https, unless WEBHOOK_NETWORK=any",
  });

/** The environment, parsed once and whole. */
export type Config = z.infer<typeof environment>;

/** Parses the environment. Throws one Error that names every fault; values are never in it. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const parsed = environment.safeParse(env);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`the environment is not valid:\n${faults.join("\n")}`);
}

export const runSettings = (config: Config): RunSettings => ({
  batchSize: config.RUN_BATCH_SIZE,
  sendsAtOnce: config.RUN_SENDS_AT_ONCE,
  safetyMarginMs: config.RUN_SAFETY_MARGIN_MS,
});
