import { RetentionDays } from "aws-cdk-lib/aws-logs";
import * as z from "zod";
import { STAGE_PATTERN } from "../lib/platform/names.ts";
import { faultsOfSchedule, isTimeZone } from "./schedule-expression.ts";

/** What a person chose for one stage, checked. */
export type Configuration = Readonly<z.output<typeof Stage>> & { readonly stage: string };

/** What the cloud development kit hands over: the `backstop` object of cdk.json, and the values given with `-c`. */
export interface Context {
  readonly stages: unknown;
  readonly stage: unknown;
  readonly paused: unknown;
}

/** Tells every fault of a configuration in one message. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
}

const retentions = Object.values(RetentionDays).filter((days): days is number => typeof days === "number");

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
    .refine(isTimeZone, { error: ({ input }) => `"${input}" is no time zone; say one such as "Europe/Berlin"` }),
});

const vpc = z.strictObject({
  vpcId: idOf("vpc"),
  availabilityZones: z
    .array(z.string().regex(/^[a-z]{2}(?:-[a-z]+)+-\d[a-z]$/, "must be a zone such as eu-central-1a"))
    .min(1),
  privateSubnetIds: z.array(idOf("subnet")).min(1),
});

const PROXY_ARN = /^arn:aws[a-z-]*:rds:([a-z0-9-]+):(\d{12}):db-proxy:(prx-[0-9a-z]+)$/;

const Stage = z.strictObject({
  vpc: vpc.refine(
    ({ availabilityZones, privateSubnetIds }) => privateSubnetIds.length % availabilityZones.length === 0,
    {
      error: "needs the same number of privateSubnetIds for each of the availabilityZones",
      when: ({ value }) => vpc.safeParse(value).success,
    },
  ),
  proxy: z.strictObject({
    name: z.string().min(1),
    arn: z.string().regex(PROXY_ARN, "must be the ARN of an RDS Proxy: arn:aws:rds:<region>:<account>:db-proxy:prx-…"),
    endpoint: z.hostname(),
    securityGroupId: idOf("sg"),
  }),
  database: z.strictObject({
    name: z.string().min(1).max(63),
    user: z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, "must be one PostgreSQL role in lower case, without a wildcard"),
  }),
  schedule: schedule.prefault({}),
  emailIdentityArns: z
    .array(
      z
        .string()
        .regex(/^arn:aws[a-z-]*:ses:[a-z0-9-]+:\d{12}:identity\/[^*?]+$/, "must be the ARN of one SES identity"),
    )
    .min(1),
  logLevel: z.enum(["DEBUG", "INFO", "WARN", "ERROR"]).default("INFO"),
  logRetentionDays: z
    .number()
    .default(30)
    .refine((days) => retentions.includes(days), `CloudWatch Logs keeps for one of ${retentions.join(", ")} days`),
  batchSize: z.int().min(1).max(1000).optional(),
  reservedConcurrency: z.int().min(1).optional(),
  permissionsBoundary: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::(\d{12}|aws):policy\/.+$/, "must be the ARN of a managed policy")
    .optional(),
  paused: z.boolean().default(false),
});

/**
 * The configuration of the chosen stage, with `-c paused=…` over what cdk.json says.
 * Throws ConfigurationError, which tells all faults at once.
 */
export function readConfiguration(context: Context): Configuration {
  const stages = isObject(context.stages) ? context.stages : {};
  const stage = chosenStage(context.stage, Object.keys(stages));
  const parsed = Stage.safeParse(withPaused(stages[stage], context.paused));
  if (parsed.success) return { ...parsed.data, stage };
  throw new ConfigurationError(`stage "${stage}" in cdk.json is not right:\n${z.prettifyError(parsed.error)}`);
}

/** The account and region that the proxy lives in: the only ones in which the stage can work. */
export function homeOf(configuration: Configuration): { readonly account: string; readonly region: string } {
  const [, region = "", account = ""] = PROXY_ARN.exec(configuration.proxy.arn) ?? [];
  return { account, region };
}

function chosenStage(stage: unknown, known: readonly string[]): string {
  const choice = `cdk.json knows ${known.length === 0 ? "no stage yet" : known.join(", ")}`;
  if (typeof stage !== "string") throw new ConfigurationError(`say which stage, with -c stage=<name>; ${choice}`);
  if (!known.includes(stage)) throw new ConfigurationError(`there is no stage "${stage}" under "backstop"; ${choice}`);
  if (STAGE_PATTERN.test(stage)) return stage;
  throw new ConfigurationError(
    `stage "${stage}" must be at most 20 of a-z, 0-9 and single hyphens, beginning with a letter`,
  );
}

/** `-c` gives strings; anything but true and false is left for the schema to refuse with the other faults. */
function withPaused(stage: unknown, paused: unknown): unknown {
  if (paused === undefined || !isObject(stage)) return stage;
  return { ...stage, paused: paused === "true" || (paused === "false" ? false : paused) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function idOf(kind: string): z.ZodString {
  return z.string().regex(new RegExp(`^${kind}-[0-9a-f]{8,17}$`), `must be an id such as ${kind}-0123456789abcdef0`);
}
