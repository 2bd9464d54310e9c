import { RetentionDays } from "aws-cdk-lib/aws-logs";
import * as z from "zod";
import { unsubscribeUrl } from "../lib/channels/unsubscribe-url.ts";
import { faultsOfSchedule, isZoneOfSchedule } from "./schedule-expression.ts";

export const PROXY_ARN = /^arn:aws[a-z-]*:rds:([a-z0-9-]+):(\d{12}):db-proxy:(prx-[0-9a-z]+)$/;

const retentions = Object.values(RetentionDays).filter((days): days is number => typeof days === "number");
const idOf = (kind: string) =>
  z.string().regex(new RegExp(`^${kind}-[0-9a-f]{8,17}$`), `must be an id such as ${kind}-0123456789abcdef0`);
/** The ARN of one resource, without wildcards, because it is used to grant access. */
const arnOf = (service: string, resource: string, what: string) =>
  z.string().regex(new RegExp(`^arn:aws[a-z-]*:${service}:[a-z0-9-]+:\\d{12}:${resource}[^*?]+$`), `must be ${what}`);
const role = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,62}$/, "must be one PostgreSQL role in lower case, without a wildcard");

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
    .refine(isZoneOfSchedule, { error: ({ input }) => `"${input}" is no time zone; say one such as "Europe/Berlin"` }),
});

const vpcFields = z.strictObject({
  availabilityZones: z
    .array(z.string().regex(/^[a-z]{2}(?:-[a-z]+)+-\d[a-z]$/, "must be a zone such as eu-central-1a"))
    .min(1),
  vpcId: idOf("vpc").optional(),
  privateSubnetIds: z.array(idOf("subnet")).min(1).optional(),
});

const vpc = vpcFields
  .refine(({ availabilityZones, privateSubnetIds = [] }) => privateSubnetIds.length % availabilityZones.length === 0, {
    error: "needs the same number of privateSubnetIds for each of the availabilityZones",
    when: ({ value }) => vpcFields.safeParse(value).success,
  })
  .refine((found) => (found.vpcId === undefined) === (found.privateSubnetIds === undefined), {
    error: "needs both vpcId and privateSubnetIds, or neither: then the stack makes the network",
    when: ({ value }) => isObject(value),
  });

const unsubscribe = z
  .strictObject({ url: unsubscribeUrl.optional(), mailto: z.email().optional() })
  .refine(({ url, mailto }) => url !== undefined || mailto !== undefined, { error: "needs url or mailto, or both" });

/** The database itself, without the proxy: migrations would pin its connections. */
const migrate = z.strictObject({
  user: role.default("backstop_migrate"),
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
      account: z.string().regex(/^\d{12}$/, "must be the twelve digits of an account"),
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
  database: z.strictObject({
    name: z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, "must be the name of a database in lower case"),
    user: role,
    /** In Aurora capacity units; only for a database that the stack creates. */
    capacity: z.strictObject({ least: z.number().min(0.5).max(256), most: z.number().min(1).max(256) }).optional(),
  }),
  migrate: migrate.optional(),
  schedule: schedule.prefault({}),
  emailIdentityArns: z.array(arnOf("ses", "identity/", "the ARN of one SES identity")).min(1),
  unsubscribe: unsubscribe.optional(),
  sms: z
    .strictObject({
      originationIdentityArn: arnOf(
        "sms-voice",
        "(?:phone-number|pool|sender-id)/",
        "the ARN of one phone number, pool or sender id",
      ),
      messageType: z.enum(["PROMOTIONAL", "TRANSACTIONAL"]),
      configurationSet: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,64}$/, "must be the name of a configuration set")
        .optional(),
    })
    .optional(),
  webhook: z
    .strictObject({
      url: z
        .url({ protocol: /^https$/, error: "must be an https URL" })
        .refine((url) => !URL.parse(url)?.port, "must be on port 443"),
      secretArn: arnOf("secretsmanager", "secret:", "the whole ARN of one secret").regex(
        /-[A-Za-z0-9]{6}$/,
        "must end with the six characters that Secrets Manager adds to the name",
      ),
      secretKeyArn: arnOf("kms", "key/", "the ARN of one key").optional(),
    })
    .optional(),
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
    })
    .optional(),
  alarms: z
    .strictObject({
      topicArn: arnOf("sns", "", "the ARN of one SNS topic").optional(),
      completionsPerHour: z.int().min(1).default(20),
      oldestDueMinutes: z.int().min(1).default(30),
    })
    .prefault({}),
  testEvents: z.enum(["createRegistry", "useRegistry"]).optional(),
  logLevel: z.enum(["DEBUG", "INFO", "WARN", "ERROR"]).default("INFO"),
  logRetentionDays: z
    .number()
    .default(30)
    .refine((days) => retentions.includes(days), `CloudWatch Logs keeps for one of ${retentions.join(", ")} days`),
  batchSize: z.int().min(1).max(1000).optional(),
  sendsAtOnce: z.int().min(1).max(100).optional(),
  safetyMarginMs: z.int().min(1_000).max(40_000).optional(),
  reservedConcurrency: z.int().min(1).optional(),
  permissionsBoundary: z
    .string()
    .regex(/^arn:aws[a-z-]*:iam::(\d{12}|aws):policy\/.+$/, "must be the ARN of a managed policy")
    .optional(),
  paused: z.boolean().default(false),
});

/** A rule across keys. Its errors are reported together with those of single keys. */
type Rule = readonly [path: readonly string[], error: string, holds: (stage: StageParts) => boolean];
type StageParts = Partial<z.output<typeof fields>>;

const RULES: readonly Rule[] = [
  [["home"], "is needed where no proxy is given: account and region", ({ proxy, home }) => !!proxy || !!home],
  [["home"], "is not needed beside a proxy, whose ARN names account and region", ({ proxy, home }) => !proxy || !home],
  [["vpc", "vpcId"], "is needed where a proxy is given: its VPC", ({ proxy, vpc: given }) => !proxy || !!given?.vpcId],
  [
    ["vpc", "availabilityZones"],
    "must be at least two for a database that the stack makes",
    ({ proxy, vpc: given }) => !!proxy || (given?.availabilityZones?.length ?? 2) >= 2,
  ],
  [
    ["database", "capacity"],
    "is for a database that the stack makes; leave it out beside a proxy",
    ({ proxy, database }) => !proxy || !database?.capacity,
  ],
  [
    ["migrate"],
    "needs host, resourceId and securityGroupId of the database itself beside a proxy",
    ({ proxy, migrate: given }) => !proxy || !given || (!!given.host && !!given.resourceId && !!given.securityGroupId),
  ],
  [
    ["migrate"],
    "takes the user alone where the stack makes the database",
    ({ proxy, migrate: given }) => !!proxy || !(given?.host || given?.resourceId || given?.securityGroupId),
  ],
];

/** Schema of one stage's configuration. It reports all errors at once, including those across keys. */
export const stageSchema = RULES.reduce<z.ZodType<z.output<typeof fields>, unknown>>(
  (schema, [path, error, holds]) =>
    schema.refine(holds, { path: [...path], error, when: ({ value }) => isObject(value) }),
  fields as z.ZodType<z.output<typeof fields>, unknown>,
);

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
