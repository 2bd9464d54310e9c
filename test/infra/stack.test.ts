import { describe, expect, it } from "@jest/globals";
import { Match } from "aws-cdk-lib/assertions";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { AwsSolutionsChecks } from "cdk-nag";
import type { BackstopStack } from "../../infra/stack.ts";
import { loadConfig } from "../../lib/platform/config.ts";
import { anExample, aStack, aTemplate } from "./example.ts";

const template = aTemplate();

interface Resource {
  readonly Properties: Readonly<Record<string, unknown>>;
}

describe("the schedule", () => {
  it("ticks once a minute", () => {
    template.hasResourceProperties("AWS::Scheduler::Schedule", {
      Name: "backstop-dev-follow-ups",
      GroupName: "backstop-dev",
      ScheduleExpression: "rate(1 minute)",
      ScheduleExpressionTimezone: "UTC",
      FlexibleTimeWindow: { Mode: "OFF" },
      State: "ENABLED",
    });
  });

  it("tells the function which tick it is, so that a tick that comes twice is known", () => {
    template.hasResourceProperties("AWS::Scheduler::Schedule", {
      Target: {
        Arn: { "Fn::GetAtt": [logicalId("AWS::Lambda::Function"), "Arn"] },
        Input: '{"trigger":"schedule","scheduledTime":"<aws.scheduler.scheduled-time>"}',
      },
    });
  });

  it("never delivers a tick twice, and keeps one that could not be delivered", () => {
    template.hasResourceProperties("AWS::Scheduler::Schedule", {
      Target: {
        RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
        DeadLetterConfig: { Arn: { "Fn::GetAtt": [queue("backstop-dev-undelivered-ticks"), "Arn"] } },
      },
    });
  });

  it("stands still when the stage is configured as paused", () => {
    aTemplate(anExample({ paused: true })).hasResourceProperties("AWS::Scheduler::Schedule", { State: "DISABLED" });
  });

  it("follows a calendar in a time zone when it is told to", () => {
    const schedule = { expression: "cron(0/5 8-18 ? * MON-FRI *)", timeZone: "Europe/Berlin" };
    aTemplate(anExample({ schedule })).hasResourceProperties("AWS::Scheduler::Schedule", {
      ScheduleExpression: schedule.expression,
      ScheduleExpressionTimezone: schedule.timeZone,
    });
  });

  it("goes with the stack together with its group, so that the stage can be deployed again", () => {
    template.hasResource("AWS::Scheduler::ScheduleGroup", { DeletionPolicy: "Delete" });
  });
});

describe("the function", () => {
  it("is over before the next tick", () => {
    const [found] = Object.values(template.findResources("AWS::Lambda::Function"));
    expect(found?.["Properties"]["Timeout"]).toBeLessThan(60);
  });

  it("runs on Node 24 on ARM", () => {
    template.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: "backstop-dev-follow-ups",
      Runtime: "nodejs24.x",
      Architectures: ["arm64"],
      Handler: "index.handler",
    });
  });

  it("is told where its database is, and no secret", () => {
    template.hasResourceProperties("AWS::Lambda::Function", {
      Environment: {
        Variables: {
          DATABASE_HOST: "backstop-dev.proxy-abcdefghijkl.eu-central-1.rds.amazonaws.com",
          DATABASE_PORT: "5432",
          DATABASE_NAME: "backstop",
          DATABASE_USER: "backstop_run",
          EMAIL_TRANSPORT: "ses",
          LOG_LEVEL: "INFO",
          NODE_OPTIONS: "--enable-source-maps",
          RUN_BATCH_SIZE: Match.absent(),
        },
      },
    });
  });

  it("understands what it is told", () => {
    const [found] = Object.values(aTemplate(anExample({ batchSize: 250 })).findResources("AWS::Lambda::Function"));
    const config = loadConfig({ ...found?.["Properties"]["Environment"]["Variables"], AWS_REGION: "eu-central-1" });
    expect(config).toMatchObject({ DATABASE_USER: "backstop_run", EMAIL_TRANSPORT: "ses", RUN_BATCH_SIZE: 250 });
  });

  it("is tried once: what fails goes to a queue, and the next tick does the work", () => {
    template.hasResourceProperties("AWS::Lambda::EventInvokeConfig", {
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 60,
      DestinationConfig: { OnFailure: { Destination: { "Fn::GetAtt": [queue("backstop-dev-failed-runs"), "Arn"] } } },
    });
  });

  it("keeps its log as long as it was told, and no longer", () => {
    aTemplate(anExample({ logRetentionDays: 90 })).hasResourceProperties("AWS::Logs::LogGroup", {
      LogGroupName: "/aws/lambda/backstop-dev-follow-ups",
      RetentionInDays: 90,
    });
  });

  it("takes reserved concurrency and a batch size only when they are asked for", () => {
    template.hasResourceProperties("AWS::Lambda::Function", { ReservedConcurrentExecutions: Match.absent() });
    aTemplate(anExample({ reservedConcurrency: 2, batchSize: 250 })).hasResourceProperties("AWS::Lambda::Function", {
      ReservedConcurrentExecutions: 2,
      Environment: { Variables: Match.objectLike({ RUN_BATCH_SIZE: "250" }) },
    });
  });
});

describe("the network", () => {
  it("lets the function out to the proxy and to HTTPS, and nothing in to the function", () => {
    template.hasResourceProperties("AWS::EC2::SecurityGroup", {
      SecurityGroupIngress: Match.absent(),
      SecurityGroupEgress: [Match.objectLike({ CidrIp: "0.0.0.0/0", FromPort: 443, ToPort: 443 })],
    });
    const toProxy = { DestinationSecurityGroupId: "sg-0123456789abcdef0", FromPort: 5432, ToPort: 5432 };
    template.allResourcesProperties("AWS::EC2::SecurityGroupEgress", toProxy);
  });

  it("opens the proxy to the function on one port", () => {
    template.resourceCountIs("AWS::EC2::SecurityGroupIngress", 1);
    const [from] = Object.keys(template.findResources("AWS::EC2::SecurityGroup"));
    template.hasResourceProperties("AWS::EC2::SecurityGroupIngress", {
      GroupId: "sg-0123456789abcdef0",
      SourceSecurityGroupId: { "Fn::GetAtt": [from, "GroupId"] },
      FromPort: 5432,
      ToPort: 5432,
    });
  });
});

describe("the stack", () => {
  it("passes the AwsSolutions rules", () => {
    expect(violationsOf(aStack())).toEqual([]);
  });

  it("would not pass them with a queue that speaks without TLS", () => {
    const stack = aStack();
    new Queue(stack, "Open", {
      deadLetterQueue: { queue: new Queue(stack, "Dead", { enforceSSL: true }), maxReceiveCount: 1 },
    });
    expect(violationsOf(stack)).toContain("AwsSolutions-SQS4");
  });

  it("refuses queues without TLS", () => {
    template.resourceCountIs("AWS::SQS::Queue", 2);
    template.allResourcesProperties("AWS::SQS::QueuePolicy", {
      PolicyDocument: {
        Statement: [Match.objectLike({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } })],
      },
    });
  });

  it("carries its stage in every name and tag", () => {
    const resources = Object.values(template.toJSON()["Resources"] as Record<string, Resource>);
    const names = resources.flatMap(({ Properties }) =>
      ["Name", "FunctionName", "QueueName", "LogGroupName"].map((key) => Properties[key]).filter(isText),
    );
    expect(names).toHaveLength(6);
    for (const name of names) expect(name).toContain("backstop-dev");
    for (const { Properties } of resources.filter((resource) => resource.Properties["Tags"])) {
      expect(Properties["Tags"]).toEqual([
        { Key: "application", Value: "backstop" },
        { Key: "stage", Value: "dev" },
      ]);
    }
  });

  it("can only be deployed where its proxy is", () => {
    expect(aStack()).toMatchObject({ account: "111122223333", region: "eu-central-1" });
  });

  it("says what to do next", () => {
    expect(template.findOutputs("*")).toMatchObject({
      FunctionName: { Value: "backstop-dev-follow-ups" },
      ScheduleName: { Value: "backstop-dev-follow-ups" },
      FireTestEvent: { Value: expect.stringContaining("aws lambda invoke") },
      PauseSchedule: { Value: expect.stringContaining("schedule pause --stage dev") },
    });
  });

  it("is the same template every time", () => {
    expect(aTemplate().toJSON()).toEqual(template.toJSON());
  });
});

function violationsOf(stack: BackstopStack): readonly string[] {
  return new AwsSolutionsChecks(stack).validateScope(stack).violations.map((violation) => violation.ruleName);
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

function isText(value: unknown): value is string {
  return typeof value === "string";
}
