import * as z from "zod";
import { signingSecret, smtpUrl, unsubscribeBaseUrl, unsubscribeUrl } from "../channels/settings.ts";
import type { RunSettings } from "../run/step.ts";
import type { DatabaseAddress, IamEndpoint } from "../store/iam-connection.ts";
import { InvalidEnvironment } from "./invalid-environment.ts";

/** The settings of a run, for the environment and for the stack's configuration. */
export const runOptions = {
  batchSize: z.int().min(1).max(1_000),
  sendsAtOnce: z.int().min(1).max(100),
  /** The functions have a time limit of 50 s or more, so at least 10 s are left to work. */
  safetyMarginMs: z.int().min(1_000).max(40_000),
};

export const nonEmpty = z.string().min(1);
export const number = z.coerce.number();
const port = number.pipe(z.int().min(1).max(65_535)).default(5432);
const databaseUrl = z.url({ protocol: /^postgres(ql)?$/ });
const queueUrl = z.url({ protocol: /^https?$/ });

const secretArn = z
  .string()
  .regex(/^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:.+$/, "must be the ARN of a secret");

/** The keys of unsubscribe links: a secret, or a key on a machine of a developer. */
export const unsubscribeSecret = {
  UNSUBSCRIBE_SECRET_ARN: secretArn.optional(),
  UNSUBSCRIBE_KEY: z.string().min(32, "must have at least 32 characters").optional(),
};

/** Settings of every function. */
const functionSettings = z.object({
  GIT_REVISION: nonEmpty.default("unknown"),
  LOG_LEVEL: z.enum(["DEBUG", "INFO", "WARN", "ERROR", "SILENT"]).default("INFO"),
});

const settings = functionSettings.extend({
  AWS_LAMBDA_FUNCTION_NAME: nonEmpty.default("backstop-followups"),
  DATABASE_URL: databaseUrl.optional(),
  DATABASE_HOST: nonEmpty.optional(),
  DATABASE_PORT: port,
  DATABASE_NAME: nonEmpty.optional(),
  DATABASE_USER: nonEmpty.optional(),
  AWS_REGION: nonEmpty.optional(),
  EMAIL_TRANSPORT: z.enum(["ses", "smtp", "files"]),
  SMTP_URL: smtpUrl.optional(),
  /** Whether credentials may be sent over a connection without TLS. */
  SMTP_PLAINTEXT: z.enum(["forbid", "allow"]).default("forbid"),
  OUTBOX_DIRECTORY: nonEmpty.optional(),
  EMAIL_CONFIGURATION_SET: nonEmpty.optional(),
  EMAIL_UNSUBSCRIBE_URL: unsubscribeUrl.optional(),
  EMAIL_UNSUBSCRIBE_MAILTO: z.email().optional(),
  /** Where the unsubscribe page of the stage is. */
  UNSUBSCRIBE_BASE_URL: unsubscribeBaseUrl.optional(),
  ...unsubscribeSecret,
  SMS_ORIGINATION_IDENTITY: nonEmpty.optional(),
  SMS_CONFIGURATION_SET: nonEmpty.optional(),
  SMS_MESSAGE_TYPE: z.enum(["PROMOTIONAL", "TRANSACTIONAL"]).default("PROMOTIONAL"),
  WEBHOOK_URL: z.url({ protocol: /^https?$/ }).optional(),
  WEBHOOK_SECRET: signingSecret.optional(),
  WEBHOOK_SECRET_ARN: secretArn.optional(),
  WEBHOOK_NETWORK: z.enum(["public", "any"]).default("public"),
  DELIVERY_QUEUE_URL: queueUrl.optional(),
  RUN_BATCH_SIZE: number.pipe(runOptions.batchSize).default(1000),
  RUN_SENDS_AT_ONCE: number.pipe(runOptions.sendsAtOnce).default(10),
  RUN_SAFETY_MARGIN_MS: number.pipe(runOptions.safetyMarginMs).default(20_000),
});

/** The parsed environment of a function that sends. */
export type Config = z.infer<typeof settings>;

type Need = readonly [needs: (env: Config) => boolean, why: string, ...keys: (keyof Config)[]];

const given = (key: keyof Config) => (env: Config) => env[key] !== undefined;
const DATABASE = ["DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER", "AWS_REGION"] as const;

/** Settings that require other settings. */
const NEEDS: readonly Need[] = [
  [(env) => env.DATABASE_URL === undefined, "unless DATABASE_URL is set", ...DATABASE],
  [(env) => env.EMAIL_TRANSPORT === "smtp", "for EMAIL_TRANSPORT=smtp", "SMTP_URL"],
  [(env) => env.EMAIL_TRANSPORT === "files", "for EMAIL_TRANSPORT=files", "OUTBOX_DIRECTORY"],
  [given("SMS_ORIGINATION_IDENTITY"), "for SMS_ORIGINATION_IDENTITY", "AWS_REGION"],
  [given("DELIVERY_QUEUE_URL"), "for DELIVERY_QUEUE_URL", "AWS_REGION"],
  [given("UNSUBSCRIBE_SECRET_ARN"), "for UNSUBSCRIBE_SECRET_ARN", "UNSUBSCRIBE_BASE_URL"],
  [given("UNSUBSCRIBE_KEY"), "for UNSUBSCRIBE_KEY", "UNSUBSCRIBE_BASE_URL"],
  [given("WEBHOOK_SECRET"), "for WEBHOOK_SECRET", "WEBHOOK_URL"],
  [given("WEBHOOK_SECRET_ARN"), "for WEBHOOK_SECRET_ARN", "WEBHOOK_URL"],
];

/** A rule between settings: the setting to blame, the error, and the check. */
type Rule = readonly [key: keyof Config, error: string, holds: (env: Config) => boolean];

const RULES: readonly Rule[] = [
  ...NEEDS.flatMap(([needs, why, ...keys]) =>
    keys.map((key): Rule => [key, `is required ${why}`, (env) => !needs(env) || env[key] !== undefined]),
  ),
  [
    "UNSUBSCRIBE_BASE_URL",
    "requires UNSUBSCRIBE_SECRET_ARN or UNSUBSCRIBE_KEY",
    (env) =>
      env.UNSUBSCRIBE_BASE_URL === undefined || (env.UNSUBSCRIBE_SECRET_ARN ?? env.UNSUBSCRIBE_KEY) !== undefined,
  ],
  [
    "WEBHOOK_SECRET",
    "must not be set together with WEBHOOK_SECRET_ARN",
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
const environment = settings.check(
  ...RULES.map(([key, error, holds]) => z.refine<Config>(holds, { path: [key], error, when: () => true })),
);

export type Environment = Readonly<Record<string, string | undefined>>;

/** The configuration of a function that sends. Throws InvalidEnvironment with every fault. */
export const loadConfig = (env: Environment): Config => parse(environment, env);

/** Each claimer uses one connection. Measured: two leave a tenth of two cores idle; a fourth gains nothing. */
const CLAIMERS = 3;

export const runSettings = (config: Config): RunSettings => ({
  batchSize: config.RUN_BATCH_SIZE,
  claimers: CLAIMERS,
  sendsAtOnce: config.RUN_SENDS_AT_ONCE,
  safetyMarginMs: config.RUN_SAFETY_MARGIN_MS,
});

const iamEndpoint = z
  .object({
    DATABASE_HOST: nonEmpty,
    DATABASE_PORT: port,
    DATABASE_NAME: nonEmpty,
    DATABASE_USER: nonEmpty,
    AWS_REGION: nonEmpty,
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

/** The database to migrate. Throws as `loadConfig`. */
export const loadMigrationConfig = (env: Environment): IamEndpoint => parse(iamEndpoint, env);

const intakeSettings = functionSettings.extend({
  AWS_LAMBDA_FUNCTION_NAME: nonEmpty.default("backstop-intake"),
  INTAKE_DEAD_LETTERS_URL: queueUrl,
  INBOUND_MAIL_BUCKET: nonEmpty.optional(),
});
const connectionString = z
  .object({ DATABASE_URL: databaseUrl })
  .transform((env) => ({ connectionString: env.DATABASE_URL }));

/** The configuration of the intake. */
export type IntakeConfig = z.infer<typeof intakeSettings> & DatabaseAddress;

/** The configuration of the intake. Throws as `loadConfig`. */
export const loadIntakeConfig = (env: Environment): IntakeConfig =>
  parse(z.intersection(intakeSettings, databaseAddress(env)), env);

const databaseAddress = (env: Environment) => (env["DATABASE_URL"] === undefined ? iamEndpoint : connectionString);

const operateSettings = functionSettings.extend({ AWS_LAMBDA_FUNCTION_NAME: nonEmpty.default("backstop-operate") });

/** The configuration of the functions that answer questions and carry out orders. */
type OperateConfig = z.infer<typeof operateSettings> & DatabaseAddress;

/** The configuration of the functions `look` and `operate`. Throws as `loadConfig`. */
export const loadOperateConfig = (env: Environment): OperateConfig =>
  parse(z.intersection(operateSettings, databaseAddress(env)), env);

/** Settings of the functions that put facts of connections on the bus. */
export const connectionSettings = functionSettings.extend({
  EVENT_BUS_NAME: nonEmpty,
  /** `backstop/<stage>`; the secrets of connections are named below it. */
  CONNECTION_SECRETS_PREFIX: nonEmpty,
});

/** The parsed environment. Throws InvalidEnvironment with every fault. */
export function parse<Parsed>(schema: z.ZodType<Parsed>, env: Environment): Parsed {
  // It parses once, which is faster than compiling a parser first.
  const parsed = schema.safeParse(env, { jitless: true });
  if (parsed.success) return parsed.data;
  throw new InvalidEnvironment(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`));
}
