import { describe, expect, it } from "@jest/globals";
import { Match, type Template } from "aws-cdk-lib/assertions";
import { long } from "../support/long.ts";
import { anExample, aTemplate, everything, inbound } from "./example.ts";

const plain = aTemplate();
const facts = aTemplate(anExample(inbound));

interface Resource<Properties> {
  readonly Properties: Properties;
}
interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}
interface Policy {
  readonly PolicyDocument: { readonly Statement: readonly Statement[] };
}
interface RoleProperties {
  readonly Policies?: readonly Policy[];
}

const NETWORK_INTERFACES = [
  "AssignPrivateIpAddresses",
  "CreateNetworkInterface",
  "DeleteNetworkInterface",
  "DescribeNetworkInterfaces",
  "DescribeSubnets",
  "UnassignPrivateIpAddresses",
].map((action) => `ec2:${action} on *`);
const connectAs = (user: string) =>
  `rds-db:connect on arn:aws:rds-db:eu-central-1:111122223333:dbuser:prx-0123456789abcdef0/${user}`;
const DATABASE = connectAs("backstop_run");
const EMAIL = ["ses:SendEmail", "ses:SendRawEmail"].map(
  (action) => `${action} on arn:aws:ses:eu-central-1:111122223333:identity/example.com`,
);
const LOG = ["logs:CreateLogStream", "logs:PutLogEvents"];

describe("permissions", () => {
  it("of a stage that sends e-mail are exactly these", () => {
    const failedRuns = queue(plain, "backstop-dev-failed-runs");
    expect(allowedTo(plain, "FollowUps")).toEqual([
      ...NETWORK_INTERFACES,
      ...LOG.map((action) => `${action} on ${logOf(plain, "follow-ups")}`),
      DATABASE,
      ...EMAIL,
      ...["GetQueueAttributes", "GetQueueUrl", "SendMessage"].map((action) => `sqs:${action} on ${failedRuns}`),
    ]);
    expect(allowedTo(plain, "ScheduleRole")).toEqual([
      `lambda:InvokeFunction on ${functionOf(plain, "follow-ups")}`,
      `sqs:SendMessage on ${queue(plain, "backstop-dev-undelivered-ticks")}`,
    ]);
    const known = ["FollowUps", "ScheduleRole", "OperateQuestions", "OperateOrders"];
    expect(known.flatMap((prefix) => allowedTo(plain, prefix)).length).toBe(allowedTo(plain, "").length);
  });

  long.it("of the functions that people call are to connect as their user, and nothing else outside", () => {
    for (const template of [plain, aTemplate(anExample(everything))]) {
      for (const [prefix, name, user] of [
        ["OperateQuestions", "look", "backstop_look"],
        ["OperateOrders", "operate", "backstop_run"],
      ] as const) {
        const log = LOG.map((action) => `${action} on ${logOf(template, name)}`);
        expect(allowedTo(template, prefix)).toEqual([...NETWORK_INTERFACES, ...log, connectAs(user)]);
      }
    }
  });

  const channels = [
    "kms:Decrypt on arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef",
    DATABASE,
    "secretsmanager:GetSecretValue on arn:aws:secretsmanager:eu-central-1:111122223333:secret:backstop/webhook-AbCdEf",
    ...EMAIL,
    ...["ses:SendEmail", "ses:SendRawEmail"].map(
      (action) => `${action} on arn:aws:ses:eu-central-1:111122223333:configuration-set/follow-ups`,
    ),
    "sms-voice:SendTextMessage on arn:aws:sms-voice:eu-central-1:111122223333:configuration-set/follow-ups",
    "sms-voice:SendTextMessage on arn:aws:sms-voice:eu-central-1:111122223333:phone-number/phone-0123",
  ];

  it("of a stage with every channel, a queue and an intake are exactly these", () => {
    const full = aTemplate(anExample(everything));
    const [failedRuns, deliveries] = [queue(full, "backstop-dev-failed-runs"), queue(full, "backstop-dev-deliveries")];
    expect(allowedTo(full, "FollowUps")).toEqual(
      [
        ...[...NETWORK_INTERFACES, ...LOG.map((action) => `${action} on ${logOf(full, "follow-ups")}`), ...channels],
        ...["GetQueueAttributes", "GetQueueUrl", "SendMessage"].map((action) => `sqs:${action} on ${failedRuns}`),
        ...["GetQueueAttributes", "GetQueueUrl", "SendMessage"].map((action) => `sqs:${action} on ${deliveries}`),
      ].sort(),
    );
    const take = ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage"];
    expect(allowedTo(full, "Delivery")).toEqual(
      [
        ...[...NETWORK_INTERFACES, ...LOG.map((action) => `${action} on ${logOf(full, "deliver")}`), ...channels],
        ...take.map((action) => `sqs:${action} on ${deliveries}`),
      ].sort(),
    );
    const [events, refused] = [queue(full, "backstop-dev-events"), queue(full, "backstop-dev-refused-events")];
    expect(allowedTo(full, "Intake")).toEqual(
      [
        ...[...NETWORK_INTERFACES, ...LOG.map((action) => `${action} on ${logOf(full, "intake")}`), DATABASE],
        ...take.map((action) => `sqs:${action} on ${events}`),
        ...["GetQueueAttributes", "GetQueueUrl", "SendMessage"].map((action) => `sqs:${action} on ${refused}`),
      ].sort(),
    );
  });

  it("of the webhooks function are to put events on the bus and to read secrets of the stage by name", () => {
    const secrets = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:backstop/dev/*";
    expect(allowedTo(facts, "Webhooks")).toEqual(
      [
        ...LOG.map((action) => `${action} on ${logOf(facts, "webhooks")}`),
        `events:PutEvents on ${logicalId(facts, "AWS::Events::EventBus")}`,
        `secretsmanager:GetSecretValue on ${secrets}`,
      ].sort(),
    );
    expect(statements(facts, "Webhooks").filter(({ Resource }) => Resource === "*")).toEqual([]);
  });

  it("of the function that compares booking tools are to list secrets, to read those of connections and to put events", () => {
    const connections = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:backstop/dev/*/*";
    expect(allowedTo(facts, "ReconcileRole")).toEqual(
      [
        ...LOG.map((action) => `${action} on ${logOf(facts, "reconcile")}`),
        `events:PutEvents on ${logicalId(facts, "AWS::Events::EventBus")}`,
        `secretsmanager:GetSecretValue on ${connections}`,
        "secretsmanager:ListSecrets on *",
      ].sort(),
    );
    expect(allowedTo(facts, "ReconcileSchedule")).toEqual([
      `lambda:InvokeFunction on ${functionOf(facts, "reconcile")}`,
      `sqs:SendMessage on ${queue(facts, "backstop-dev-undelivered-reconcile")}`,
    ]);
  });

  it("for links, mail events and replies are those of a stage without them, and no more than these", () => {
    const full = aTemplate(anExample(everything));
    const added = (prefix: string) => {
      const before = allowedTo(full, prefix).map(withoutSet);
      return allowedTo(facts, prefix).filter((one) => !before.includes(withoutSet(one)));
    };
    const secret = Object.keys(
      facts.findResources("AWS::SecretsManager::Secret", { Properties: { Name: "backstop/dev/unsubscribe" } }),
    );
    const mayReadKey = [`secretsmanager:GetSecretValue on ${secret}`];
    expect([added("FollowUps"), added("Delivery")]).toEqual([mayReadKey, mayReadKey]);
    const bucket = logicalId(facts, "AWS::S3::Bucket");
    expect(added("Intake")).toEqual([`s3:GetObject on ${bucket}/*`, `s3:ListBucket on ${bucket}`]);
    for (const prefix of ["Operate", "Schedule"]) expect(added(prefix)).toEqual([]);
  });

  it("on network interfaces are denied to the function's code", () => {
    const actionsOf = (effect: string) =>
      statements(plain, "FollowUps")
        .filter((statement) => statement.Effect === effect && statement.Resource === "*")
        .map((statement) => statement.Action);
    expect(actionsOf("Deny")).toEqual(actionsOf("Allow"));
    const [denied] = statements(plain, "FollowUps").filter((statement) => statement.Effect === "Deny");
    expect(denied?.Condition).toEqual({
      ArnEquals: {
        "lambda:SourceFunctionArn": "arn:aws:lambda:eu-central-1:111122223333:function:backstop-dev-follow-ups",
      },
    });
  });

  it("to decrypt with the webhook's key are limited to its secret, through Secrets Manager", () => {
    const [decrypt] = statements(aTemplate(anExample(everything)), "FollowUps").filter(
      ({ Action }) => Action === "kms:Decrypt",
    );
    expect(decrypt?.Condition).toEqual({
      StringEquals: {
        "kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com",
      },
      StringLike: { "kms:EncryptionContext:SecretARN": everything.webhook.secretArn },
    });
  });

  it("to start a run belong only to schedules of the stage's group", () => {
    const sourceArn = { "Fn::GetAtt": [logicalId(plain, "AWS::Scheduler::ScheduleGroup"), "Arn"] };
    plain.hasResourceProperties("AWS::IAM::Role", {
      AssumeRolePolicyDocument: {
        Statement: [
          Match.objectLike({
            Principal: { Service: "scheduler.amazonaws.com" },
            Condition: { StringEquals: { "aws:SourceAccount": "111122223333", "aws:SourceArn": sourceArn } },
          }),
        ],
      },
    });
  });

  it("are limited by the configured boundary", () => {
    const permissionsBoundary = "arn:aws:iam::111122223333:policy/boundary";
    aTemplate(anExample({ permissionsBoundary })).allResourcesProperties("AWS::IAM::Role", {
      PermissionsBoundary: permissionsBoundary,
    });
  });
});

/** The policy statements of roles whose logical ids start with the prefix. */
function statements(template: Template, prefix: string): readonly Statement[] {
  const ofPrefix = <Found>(type: string) =>
    Object.entries(template.findResources(type))
      .filter(([id]) => id.startsWith(prefix))
      .map(([, resource]) => resource as Resource<Found>);
  const roles = ofPrefix<RoleProperties>("AWS::IAM::Role");
  const policies = ofPrefix<Policy>("AWS::IAM::Policy");
  const inline = roles.flatMap(({ Properties }) => Properties.Policies ?? []);
  return [...inline, ...policies.map(({ Properties }) => Properties)].flatMap(
    (policy) => policy.PolicyDocument.Statement,
  );
}

/** Every permission as "action on resource". A resource of the stack is named by its logical id. */
function allowedTo(template: Template, prefix: string): readonly string[] {
  return statements(template, prefix)
    .filter((statement) => statement.Effect === "Allow")
    .flatMap(({ Action, Resource }) =>
      [Action].flat().flatMap((action) => [Resource].flat().map((one) => `${action} on ${nameOf(one)}`)),
    )
    .sort();
}

/** The stage with `mailEvents` names its own configuration set. */
const withoutSet = (permission: string) => permission.replace(/configuration-set\/(?:backstop-dev|follow-ups)$/, "set");

function nameOf(resource: unknown): string {
  if (typeof resource === "string") return resource;
  const { Ref, "Fn::Join": join } = resource as { Ref?: string; "Fn::Join"?: readonly [string, readonly unknown[]] };
  if (Ref) return Ref;
  if (join) return join[1].map(nameOf).join(join[0]);
  const [logicalId, attribute] = (resource as { "Fn::GetAtt": readonly [string, string] })["Fn::GetAtt"];
  expect(attribute).toBe("Arn");
  return logicalId;
}

function logOf(template: Template, name: string): string {
  const group = { Properties: { LogGroupName: `/aws/lambda/backstop-dev-${name}` } };
  return Object.keys(template.findResources("AWS::Logs::LogGroup", group))[0] ?? "";
}

function functionOf(template: Template, name: string): string {
  const named = { Properties: { FunctionName: `backstop-dev-${name}` } };
  return Object.keys(template.findResources("AWS::Lambda::Function", named))[0] ?? "";
}

function logicalId(template: Template, type: string): string {
  const [found = "", ...others] = Object.keys(template.findResources(type));
  expect(others).toEqual([]);
  return found;
}

function queue(template: Template, name: string): string {
  const [found = ""] = Object.keys(template.findResources("AWS::SQS::Queue", { Properties: { QueueName: name } }));
  return found;
}
