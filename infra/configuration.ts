import { RetentionDays } from "aws-cdk-lib/aws-logs";
import * as z from "zod";
import { isRecord } from "../lib/domain/record.ts";
import { runOptions } from "../lib/platform/config.ts";
import { STAGE_PATTERN } from "../lib/platform/names.ts";
import { alarmOptions, mostPeriodsOf, runPeriodOf } from "./alarm-options.ts";
import { channelOptions } from "./channels.ts";
import { faultsOfConnections } from "./connections.ts";
import { databaseOptions, ONLY_IF_CREATED, role } from "./database-options.ts";
import { faultsOfInbound, inboundOptions } from "./inbound-options.ts";
import { faultsOfPlacement, idOf, type OptionFault, PROXY_ARN, vpc } from "./placement.ts";
import { faultsOfSchedule, isZoneOfSchedule } from "./schedule.ts";

/** The validated configuration of one stage. */
export type Configuration = Readonly<z.output<typeof stageSchema>> & { readonly stage: string };

/** CDK context: the `backstop` object of cdk.json, and the values given with `-c`. */
interface Context {
  readonly stages: unknown;
  readonly stage: unknown;
  readonly paused: unknown;
}

/** Lists every error of a configuration in one message. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

/** The chosen stage's configuration; `-c paused=…` overrides cdk.json. Throws ConfigurationError with all errors. */
export function readConfiguration(context: Context): Configuration {
  const stages = isRecord(context.stages) ? context.stages : {};
  const stage = chosenStage(context.stage, Object.keys(stages));
  const parsed = stageSchema.safeParse(withPaused(stages[stage], context.paused));
  if (parsed.success) return { ...parsed.data, stage };
  throw new ConfigurationError(`stage "${stage}" in cdk.json is not valid:\n${z.prettifyError(parsed.error)}`);
}

function chosenStage(stage: unknown, known: readonly string[]): string {
  const choice = `cdk.json defines ${known.length === 0 ? "no stage" : known.join(", ")}`;
  if (typeof stage !== "string") throw new ConfigurationError(`choose a stage with -c stage=<name>; ${choice}`);
  if (!known.includes(stage)) throw new ConfigurationError(`there is no stage "${stage}" under "backstop"; ${choice}`);
  if (STAGE_PATTERN.test(stage)) return stage;
  throw new ConfigurationError(
    `stage "${stage}" must be at most 20 characters: a letter, then letters, digits and single hyphens, in lower case`,
  );
}

/** `-c` gives strings. Values other than true and false are left for the schema to refuse. */
function withPaused(stage: unknown, paused: unknown): unknown {
  if (paused === undefined || !isRecord(stage)) return stage;
  return { ...stage, paused: paused === "true" || (paused === "false" ? false : paused) };
}

const retentions = Object.values(RetentionDays).filter((days): days is number => typeof days === "number");
const account = z.string().regex(/^\d{12}$/, "must be the twelve digits of an AWS account");

const schedule = z.strictObject({
  expression: z
    .string()
    .default("rate(1 minute)")
    .superRefine((expression, context) => {
      for (const message of faultsOfSchedule(expression)) context.addIssue({ code: "custom", message });
    }),
  timeZone: z
    .string()
    .default("UTC")
    .refine(isZoneOfSchedule, {
      error: ({ input }) => `"${input}" is not a time zone; use a name such as "Europe/Berlin"`,
    }),
});

/** The administrator of a database that the stack creates. It signs in with a password. */
export const ADMINISTRATOR = "backstop_admin";

/** The user for migrations, unless configured. */
export const DEFAULT_MIGRATOR = "backstop_migrate";

/** The database itself, without the proxy: migrations would pin its connections. */
const migrate = z.strictObject({
  user: role.default(DEFAULT_MIGRATOR),
  host: z.hostname().optional(),
  resourceId: z
    .string()
    .regex(/^(cluster|db)-[A-Z0-9]+$/, "must be the resource id of the cluster or instance, such as cluster-ABCDEFGHIJ")
    .optional(),
  securityGroupId: idOf("sg").optional(),
});

const fields = z.strictObject({
  home: z
    .strictObject({
      account,
      region: z.string().regex(/^[a-z]{2}(?:-[a-z]+)+-\d$/, "must be a region such as eu-central-1"),
    })
    .optional(),
  vpc,
  proxy: z
    .strictObject({
      name: z.string().min(1),
      arn: z
        .string()
        .regex(PROXY_ARN, "must be the ARN of an RDS Proxy: arn:aws:rds:<region>:<account>:db-proxy:prx-…"),
      endpoint: z.hostname(),
      securityGroupId: idOf("sg"),
    })
    .optional(),
  database: databaseOptions,
  migrate: migrate.optional(),
  schedule: schedule.prefault({}),
  ...channelOptions,
  /** If true, workspaces may receive digests by webhook, which needs a route to the internet. */
  digestWebhooks: z.boolean().default(false),
  delivery: z
    .strictObject({
      /** Maximum number of concurrent workers that send. The SQS minimum is two. */
      maximumConcurrency: z.int().min(2).max(1000).default(5),
    })
    .optional(),
  intake: z
    .strictObject({
      /** Maximum number of concurrent workers that apply events. The SQS minimum is two. */
      maximumConcurrency: z.int().min(2).max(1000).default(2),
      /** Other accounts that may put events on the bus. */
      accounts: z.array(account).default([]),
    })
    .optional(),
  ...inboundOptions,
  alarms: alarmOptions.prefault({}),
  testEvents: z.enum(["createRegistry", "useRegistry"]).optional(),
  logLevel: z.enum(["DEBUG", "INFO", "WARN", "ERROR"]).default("INFO"),
  logRetentionDays: z
    .number()
    .default(30)
    .refine((days) => retentions.includes(days), `must be a retention of CloudWatch Logs: ${retentions.join(", ")}`),
  batchSize: runOptions.batchSize.optional(),
  sendsAtOnce: runOptions.sendsAtOnce.optional(),
  safetyMarginMs: runOptions.safetyMarginMs.optional(),
  reservedConcurrency: z.int().min(1).optional(),
  permissionsBoundary: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::(\d{12}|aws):policy\/.+$/, "must be the ARN of a managed policy")
    .optional(),
  paused: z.boolean().default(false),
  /** Whether one customer-managed key encrypts logs, queues, event bus, database and secrets. */
  customerKey: z.boolean().default(false),
  /** Whether a destroy keeps the log groups. */
  keepLogs: z.boolean().default(false),
  terminationProtection: z.boolean().default(false),
  /** Whether the stack adds rules to the security groups of an existing proxy and database. */
  changeExistingSecurityGroups: z.boolean().default(true),
});

/** A rule across keys. Its errors are reported together with those of single keys. */
type Rule = readonly [path: readonly string[], error: string, holds: (stage: StageParts) => boolean];
type StageParts = Partial<z.output<typeof fields>>;

const NOT_THE_ADMINISTRATOR = `must not be ${ADMINISTRATOR}: RDS refuses the password of a user that signs in with IAM`;

const RULES: readonly Rule[] = [
  [["home"], "is required without a proxy: account and region", ({ proxy, home }) => !!proxy || !!home],
  [
    ["home"],
    "must not be set with a proxy, whose ARN contains account and region",
    ({ proxy, home }) => !proxy || !home,
  ],
  [
    ["vpc", "vpcId"],
    "is required with a proxy: the VPC of the proxy",
    ({ proxy, vpc: given }) => !proxy || !!given?.vpcId,
  ],
  [
    ["vpc", "availabilityZones"],
    "must be at least two if the stack creates the database",
    ({ proxy, vpc: given }) => !!proxy || (given?.availabilityZones?.length ?? 2) >= 2,
  ],
  ...ONLY_IF_CREATED.map(
    (key): Rule => [
      ["database", key],
      "must not be set with a proxy: it is for a database that the stack creates",
      ({ proxy, database }) => !proxy || database?.[key] === undefined,
    ],
  ),
  [["database", "user"], NOT_THE_ADMINISTRATOR, ({ proxy, database }) => !!proxy || database?.user !== ADMINISTRATOR],
  [
    ["database", "lookUser"],
    NOT_THE_ADMINISTRATOR,
    ({ proxy, database }) => !!proxy || database?.lookUser !== ADMINISTRATOR,
  ],
  [
    ["database", "lookUser"],
    "must differ from database.user and migrate.user, because it may only read",
    ({ database, migrate: given }) => !database?.lookUser || ![database.user, given?.user].includes(database.lookUser),
  ],
  [["migrate", "user"], NOT_THE_ADMINISTRATOR, ({ proxy, migrate: given }) => !!proxy || given?.user !== ADMINISTRATOR],
  [
    ["migrate"],
    "requires host, resourceId and securityGroupId of the database with a proxy",
    ({ proxy, migrate: given }) => !proxy || !given || (!!given.host && !!given.resourceId && !!given.securityGroupId),
  ],
  [
    ["migrate"],
    "accepts only user if the stack creates the database",
    ({ proxy, migrate: given }) => !!proxy || !(given?.host || given?.resourceId || given?.securityGroupId),
  ],
  [
    ["alarms", "noSuccessfulRun", "of"],
    "is longer than CloudWatch evaluates: at most a day of intervals, or a week of intervals of an hour and more",
    isWatchable,
  ],
];

/** An invalid schedule is reported at its own place. */
function isWatchable({ alarms, schedule: given }: StageParts): boolean {
  const wanted = alarms?.noSuccessfulRun?.of;
  if (wanted === undefined || !given || faultsOfSchedule(given.expression).length > 0) return true;
  return wanted <= mostPeriodsOf(runPeriodOf(given.expression));
}

/** Rules that name the keys to correct themselves. */
const FINDERS: readonly ((stage: unknown) => readonly OptionFault[])[] = [
  faultsOfPlacement,
  faultsOfConnections,
  faultsOfInbound,
];

const stage = RULES.reduce<z.ZodType<z.output<typeof fields>, unknown>>(
  (schema, [path, error, holds]) =>
    schema.refine(holds, { path: [...path], error, when: ({ value }) => isRecord(value) }),
  fields as z.ZodType<z.output<typeof fields>, unknown>,
);

/** Schema of one stage's configuration. It reports all errors at once, including those across keys. */
const stageSchema = stage.superRefine(
  (value, context) => {
    for (const { path, message } of FINDERS.flatMap((faultsOf) => faultsOf(value)))
      context.addIssue({ code: "custom", path: [...path], message });
  },
  { when: ({ value }) => isRecord(value) },
);
