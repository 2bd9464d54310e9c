import * as z from "zod";
import { signingSecret } from "../channels/signing-secret.ts";
import { unsubscribeUrl } from "../channels/unsubscribe-url.ts";
import type { RunSettings } from "../run/step.ts";
import { type Environment, parseEnvironment } from "./environment.ts";

const integer = (least: number, most: number) => z.coerce.number().int().min(least).max(most);

const settings = z.object({
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  DATABASE_HOST: z.string().min(1).optional(),
  DATABASE_PORT: integer(1, 65_535).default(5432),
  DATABASE_NAME: z.string().min(1).optional(),
  DATABASE_USER: z.string().min(1).optional(),
  AWS_REGION: z.string().min(1).optional(),
  EMAIL_TRANSPORT: z.enum(["ses", "smtp", "files"]),
  SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
  /** Whether credentials may be sent over a connection without TLS. */
  SMTP_PLAINTEXT: z.enum(["forbid", "allow"]).default("forbid"),
  OUTBOX_DIRECTORY: z.string().min(1).optional(),
  EMAIL_UNSUBSCRIBE_URL: unsubscribeUrl.optional(),
  EMAIL_UNSUBSCRIBE_MAILTO: z.email().optional(),
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
  DELIVERY_QUEUE_URL: z.url({ protocol: /^https?$/ }).optional(),
  AWS_LAMBDA_FUNCTION_NAME: z.string().min(1).default("backstop-followups"),
  GIT_REVISION: z.string().min(1).default("unknown"),
  LOG_LEVEL: z.enum(["DEBUG", "INFO", "WARN", "ERROR", "SILENT"]).default("INFO"),
  RUN_BATCH_SIZE: integer(1, 1_000).default(1000),
  RUN_SENDS_AT_ONCE: integer(1, 100).default(10),
  RUN_SAFETY_MARGIN_MS: integer(1_000, 60_000).default(20_000),
});
type Settings = z.infer<typeof settings>;

type Need = readonly [needs: (env: Settings) => boolean, why: string, ...keys: (keyof Settings)[]];

const given = (key: keyof Settings) => (env: Settings) => env[key] !== undefined;
const DATABASE = ["DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER", "AWS_REGION"] as const;

/** Settings that require other settings. */
const NEEDS: readonly Need[] = [
  [(env) => env.DATABASE_URL === undefined, "where DATABASE_URL is not set", ...DATABASE],
  [(env) => env.EMAIL_TRANSPORT === "smtp", "for EMAIL_TRANSPORT=smtp", "SMTP_URL"],
  [(env) => env.EMAIL_TRANSPORT === "files", "for EMAIL_TRANSPORT=files", "OUTBOX_DIRECTORY"],
  [given("SMS_ORIGINATION_IDENTITY"), "for SMS_ORIGINATION_IDENTITY", "AWS_REGION"],
  [given("DELIVERY_QUEUE_URL"), "for DELIVERY_QUEUE_URL", "AWS_REGION"],
  [given("WEBHOOK_SECRET"), "for WEBHOOK_SECRET", "WEBHOOK_URL"],
  [given("WEBHOOK_SECRET_ARN"), "for WEBHOOK_SECRET_ARN", "WEBHOOK_URL"],
];

/** A rule between settings: the setting to blame, the error, and the check. */
type Rule = readonly [key: keyof Settings, error: string, holds: (env: Settings) => boolean];

const RULES: readonly Rule[] = [
  ...NEEDS.flatMap(([needs, why, ...keys]) =>
    keys.map((key): Rule => [key, `is needed ${why}`, (env) => !needs(env) || env[key] !== undefined]),
  ),
  [
    "WEBHOOK_SECRET",
    "is not needed where WEBHOOK_SECRET_ARN is set",
    (env) => env.WEBHOOK_SECRET === undefined || env.WEBHOOK_SECRET_ARN === undefined,
  ],
  [
    "WEBHOOK_URL",
    "must be https, unless WEBHOOK_NETWORK=any",
    (env) => env.WEBHOOK_NETWORK === "any" || !env.WEBHOOK_URL?.toLowerCase().startsWith("http:"),
  ],
  [
    "WEBHOOK_URL",
    "must be on port 443, unless WEBHOOK_NETWORK=any",
    (env) => env.WEBHOOK_NETWORK === "any" || !URL.parse(env.WEBHOOK_URL ?? "")?.port,
  ],
];

/** `when` makes the rules run even if single settings are invalid, so that one error lists every fault. */
const environment = RULES.reduce<z.ZodType<Settings>>(
  (schema, [key, error, holds]) => schema.refine(holds, { path: [key], error, when: () => true }),
  settings,
);

/** The parsed environment. */
export type Config = Settings;

/** See `parseEnvironment`. */
export const loadConfig = (env: Environment): Config => parseEnvironment(environment, env);

/** Each claimer uses one connection. Measured: two leave a tenth of two cores idle; a fourth gains nothing. */
const CLAIMERS = 3;

export const runSettings = (config: Config): RunSettings => ({
  batchSize: config.RUN_BATCH_SIZE,
  claimers: CLAIMERS,
  sendsAtOnce: config.RUN_SENDS_AT_ONCE,
  safetyMarginMs: config.RUN_SAFETY_MARGIN_MS,
});
