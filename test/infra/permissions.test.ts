import { describe, expect, it } from "@jest/globals";
import { Match } from "aws-cdk-lib/assertions";
import { anExample, aTemplate } from "./example.ts";

const template = aTemplate();

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

describe("permissions", () => {
  it("are these and no others", () => {
    const networkInterfaces = ["AssignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface"];
    const networkQuestions = ["DescribeNetworkInterfaces", "DescribeSubnets", "UnassignPrivateIpAddresses"];
    const failedRuns = queue("backstop-dev-failed-runs");
    expect(allowed()).toEqual([
      ...[...networkInterfaces, ...networkQuestions].map((action) => `ec2:${action} on *`),
      `lambda:InvokeFunction on ${logicalId("AWS::Lambda::Function")}`,
      `logs:CreateLogStream on ${logicalId("AWS::Logs::LogGroup")}`,
      `logs:PutLogEvents on ${logicalId("AWS::Logs::LogGroup")}`,
      "rds-db:connect on arn:aws:rds-db:eu-central-1:111122223333:dbuser:prx-0123456789abcdef0/backstop_run",
      "ses:SendEmail on arn:aws:ses:eu-central-1:111122223333:identity/example.com",
      "ses:SendRawEmail on arn:aws:ses:eu-central-1:111122223333:identity/example.com",
      `sqs:GetQueueAttributes on ${failedRuns}`,
      `sqs:GetQueueUrl on ${failedRuns}`,
      ...[failedRuns, queue("backstop-dev-undelivered-ticks")].map((target) => `sqs:SendMessage on ${target}`),
    ]);
  });

  it("on network interfaces are Lambda's alone: the code inside the function is denied them", () => {
    const actionsOf = (effect: string) =>
      statements()
        .filter((statement) => statement.Effect === effect && statement.Resource === "*")
        .map((statement) => statement.Action);
    expect(actionsOf("Deny")).toEqual(actionsOf("Allow"));
    const [denied] = statements().filter((statement) => statement.Effect === "Deny");
    expect(denied?.Condition).toEqual({
      ArnEquals: {
        "lambda:SourceFunctionArn": "arn:aws:lambda:eu-central-1:111122223333:function:backstop-dev-follow-ups",
      },
    });
  });

  it("to begin a run belong to this stage's schedules only", () => {
    const sourceArn = { "Fn::GetAtt": [logicalId("AWS::Scheduler::ScheduleGroup"), "Arn"] };
    template.hasResourceProperties("AWS::IAM::Role", {
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

  it("stay inside the boundary where one is configured", () => {
    const permissionsBoundary = "arn:aws:iam::111122223333:policy/boundary";
    aTemplate(anExample({ permissionsBoundary })).allResourcesProperties("AWS::IAM::Role", {
      PermissionsBoundary: permissionsBoundary,
    });
  });
});

function statements(): readonly Statement[] {
  const roles = Object.values(template.findResources("AWS::IAM::Role")) as Resource<RoleProperties>[];
  const policies = Object.values(template.findResources("AWS::IAM::Policy")) as Resource<Policy>[];
  const inline = roles.flatMap(({ Properties }) => Properties.Policies ?? []);
  return [...inline, ...policies.map(({ Properties }) => Properties)].flatMap(
    (policy) => policy.PolicyDocument.Statement,
  );
}

/** Every permission as "action on resource", where a resource of the stack is said by its logical id. */
function allowed(): readonly string[] {
  return statements()
    .filter((statement) => statement.Effect === "Allow")
    .flatMap(({ Action, Resource }) => [Action].flat().map((action) => `${action} on ${nameOf(Resource)}`))
    .sort();
}

function nameOf(resource: unknown): string {
  if (typeof resource === "string") return resource;
  const [logicalId, attribute] = (resource as { "Fn::GetAtt": readonly [string, string] })["Fn::GetAtt"];
  expect(attribute).toBe("Arn");
  return logicalId;
}

function logicalId(type: string): string {
  const [found = "", ...others] = Object.keys(template.findResources(type));
  expect(others).toEqual([]);
  return found;
}

function queue(name: string): string {
  const [found = ""] = Object.keys(template.findResources("AWS::SQS::Queue", { Properties: { QueueName: name } }));
  return found;
}
