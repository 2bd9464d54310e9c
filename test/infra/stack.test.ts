import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Match, type Template } from "aws-cdk-lib/assertions";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { AwsSolutionsChecks } from "cdk-nag";
import { PROJECT } from "../../infra/bundle.ts";
import { REASONS_IN_REPORT } from "../../infra/dashboard.ts";
import type { BackstopStack } from "../../infra/stack.ts";
import { loadConfig, loadIntakeConfig, loadOperateConfig } from "../../lib/platform/config.ts";
import { namesOf } from "../../lib/platform/names.ts";
import { parseRequest } from "../../lib/run/request.ts";
import { aFreshTemplate, anExample, aStack, aTemplate, everything, REVISION } from "./example.ts";

const template = aTemplate();
const [followUps = ""] = Object.keys(functionsNamed("follow-ups"));

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

  it("passes the scheduled time to the function", () => {
    template.hasResourceProperties("AWS::Scheduler::Schedule", {
      Target: {
        Arn: { "Fn::GetAtt": [followUps, "Arn"] },
        Input: '{"trigger":"schedule","scheduledTime":"<aws.scheduler.scheduled-time>"}',
      },
    });
  });

  it("does not retry a tick, and keeps an undelivered one", () => {
    template.hasResourceProperties("AWS::Scheduler::Schedule", {
      Target: {
        RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 },
        DeadLetterConfig: { Arn: { "Fn::GetAtt": [queue("backstop-dev-undelivered-ticks"), "Arn"] } },
      },
    });
  });

  it("is disabled if the stage is configured as paused", () => {
    aTemplate(anExample({ paused: true })).hasResourceProperties("AWS::Scheduler::Schedule", { State: "DISABLED" });
  });

  it("accepts a cron expression with a time zone", () => {
    const schedule = { expression: "cron(0/5 8-18 ? * MON-FRI *)", timeZone: "Europe/Berlin" };
    aTemplate(anExample({ schedule })).hasResourceProperties("AWS::Scheduler::Schedule", {
      ScheduleExpression: schedule.expression,
      ScheduleExpressionTimezone: schedule.timeZone,
    });
  });

  it("is repeated whole by the command of the runbook that pauses it without this repository", async () => {
    const runbook = await readFile(join(PROJECT, "docs/runbook.md"), "utf8");
    const [, query = ""] = /aws scheduler get-schedule [^"]*--query "\{(.*)\}"/.exec(runbook) ?? [];
    const [schedule] = Object.values(template.findResources("AWS::Scheduler::Schedule"));
    const repeated = [...query.matchAll(/(\w+): /g)].map(([, key]) => key);
    expect(repeated.sort()).toEqual(Object.keys(schedule?.["Properties"]).sort());
  });

  it("is deleted with its group, so that the stage can be deployed again", () => {
    template.hasResource("AWS::Scheduler::ScheduleGroup", { DeletionPolicy: "Delete" });
  });
});

describe("the function", () => {
  it("ends before the next tick", () => {
    expect(template.toJSON()["Resources"][followUps]["Properties"]["Timeout"]).toBeLessThan(60);
  });

  it("runs on Node 24 on ARM", () => {
    template.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: "backstop-dev-follow-ups",
      Runtime: "nodejs24.x",
      Architectures: ["arm64"],
      Handler: "index.handler",
    });
  });

  it("receives the address of its database, and no secret", () => {
    template.hasResourceProperties("AWS::Lambda::Function", {
      Environment: {
        Variables: {
          DATABASE_HOST: "backstop-dev.proxy-abcdefghijkl.eu-central-1.rds.amazonaws.com",
          DATABASE_PORT: "5432",
          DATABASE_NAME: "backstop",
          DATABASE_USER: "backstop_run",
          EMAIL_TRANSPORT: "ses",
          LOG_LEVEL: "INFO",
          NODE_OPTIONS: "--max-semi-space-size=8",
          GIT_REVISION: REVISION,
          RUN_BATCH_SIZE: Match.absent(),
          RUN_SENDS_AT_ONCE: Match.absent(),
          RUN_SAFETY_MARGIN_MS: Match.absent(),
          DELIVERY_QUEUE_URL: Match.absent(),
        },
      },
    });
  });

  it("accepts the environment of the stack, with every channel", () => {
    const settings = { batchSize: 250, sendsAtOnce: 25, safetyMarginMs: 15_000 };
    const found = aTemplate(anExample({ ...everything, ...settings })).findResources("AWS::Lambda::Function");
    for (const { Properties } of Object.values(found)) {
      // Values that only AWS can supply are objects in the template.
      const filled = Object.entries(Properties["Environment"]["Variables"]).map(
        ([name, value]) => [name, isText(value) ? value : `https://example.com/${name}`] as const,
      );
      const environment = { ...Object.fromEntries(filled), AWS_REGION: "eu-central-1" };
      if (/-(look|operate)$/.test(Properties["FunctionName"])) {
        expect(loadOperateConfig(environment)).toMatchObject({ database: "backstop" });
        continue;
      }
      if (Properties["FunctionName"] === "backstop-dev-intake") {
        const config = loadIntakeConfig(environment);
        expect(config).toMatchObject({ user: "backstop_run", INTAKE_DEAD_LETTERS_URL: expect.any(String) });
        continue;
      }
      expect(loadConfig(environment)).toMatchObject({
        DATABASE_USER: "backstop_run",
        EMAIL_TRANSPORT: "ses",
        RUN_BATCH_SIZE: 250,
        RUN_SENDS_AT_ONCE: 25,
        RUN_SAFETY_MARGIN_MS: 15_000,
        SMS_ORIGINATION_IDENTITY: everything.sms.originationIdentityArn,
        SMS_CONFIGURATION_SET: "follow-ups",
        SMS_MESSAGE_TYPE: "TRANSACTIONAL",
        WEBHOOK_URL: everything.webhook.url,
        WEBHOOK_SECRET_ARN: everything.webhook.secretArn,
        EMAIL_CONFIGURATION_SET: "follow-ups",
        EMAIL_UNSUBSCRIBE_URL: everything.unsubscribe.url,
        EMAIL_UNSUBSCRIBE_MAILTO: everything.unsubscribe.mailto,
      });
    }
  });

  it("is not retried: a failed invocation goes to a queue", () => {
    template.hasResourceProperties("AWS::Lambda::EventInvokeConfig", {
      MaximumRetryAttempts: 0,
      MaximumEventAgeInSeconds: 60,
      DestinationConfig: { OnFailure: { Destination: { "Fn::GetAtt": [queue("backstop-dev-failed-runs"), "Arn"] } } },
    });
  });

  it("keeps its log for the configured time", () => {
    aTemplate(anExample({ logRetentionDays: 90 })).hasResourceProperties("AWS::Logs::LogGroup", {
      LogGroupName: "/aws/lambda/backstop-dev-follow-ups",
      RetentionInDays: 90,
    });
  });

  it("has reserved concurrency and a batch size only if configured", () => {
    template.hasResourceProperties("AWS::Lambda::Function", { ReservedConcurrentExecutions: Match.absent() });
    aTemplate(anExample({ reservedConcurrency: 2, batchSize: 250 })).hasResourceProperties("AWS::Lambda::Function", {
      ReservedConcurrentExecutions: 2,
      Environment: { Variables: Match.objectLike({ RUN_BATCH_SIZE: "250" }) },
    });
  });
});

describe("delivery through a queue", () => {
  const withQueue = aTemplate(anExample(everything));
  const idOf = (type: string, properties: object) =>
    Object.keys(withQueue.findResources(type, { Properties: properties }))[0];
  const deliveries = idOf("AWS::SQS::Queue", { QueueName: "backstop-dev-deliveries" });
  const deliver = idOf("AWS::Lambda::Function", { FunctionName: "backstop-dev-deliver" });

  it("exists only if configured", () => {
    template.resourceCountIs("AWS::Lambda::EventSourceMapping", 0);
    template.resourceCountIs("AWS::SQS::Queue", 2);
  });

  it("passes the queue's URL to the run", () => {
    withQueue.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: "backstop-dev-follow-ups",
      Environment: { Variables: Match.objectLike({ DELIVERY_QUEUE_URL: { Ref: deliveries } }) },
    });
  });

  it("delivers batches of ten to the configured number of workers, with partial batch responses", () => {
    withQueue.hasResourceProperties("AWS::Lambda::EventSourceMapping", {
      EventSourceArn: { "Fn::GetAtt": [deliveries, "Arn"] },
      FunctionName: { Ref: deliver },
      BatchSize: 10,
      FunctionResponseTypes: ["ReportBatchItemFailures"],
      ScalingConfig: { MaximumConcurrency: 7 },
    });
  });

  it("is disabled in a paused stage, and the intake is not", () => {
    const paused = aTemplate(anExample({ ...everything, paused: true }));
    const mappings = Object.values(paused.findResources("AWS::Lambda::EventSourceMapping")).map(
      ({ Properties }) => [Properties["EventSourceArn"]["Fn::GetAtt"][0], Properties["Enabled"]] as const,
    );
    expect(Object.fromEntries(mappings.map(([id, enabled]) => [id?.replace(/Queue.*/, ""), enabled]))).toEqual({
      Delivery: false,
      Intake: true,
    });
    withQueue.allResourcesProperties("AWS::Lambda::EventSourceMapping", { Enabled: true });
  });

  it("has a visibility timeout of six function time limits, and five attempts", () => {
    const dead = idOf("AWS::SQS::Queue", { QueueName: "backstop-dev-failed-deliveries" });
    withQueue.hasResourceProperties("AWS::Lambda::Function", { FunctionName: "backstop-dev-deliver", Timeout: 60 });
    withQueue.hasResourceProperties("AWS::SQS::Queue", {
      QueueName: "backstop-dev-deliveries",
      VisibilityTimeout: 360,
      RedrivePolicy: { deadLetterTargetArn: { "Fn::GetAtt": [dead, "Arn"] }, maxReceiveCount: 5 },
    });
  });

  it("passes the AwsSolutions rules", () => {
    expect(violationsOf(aStack(anExample(everything)))).toEqual([]);
  });
});

describe("the intake", () => {
  const withIntake = aTemplate(anExample({ intake: {} }));
  const idOf = (type: string, properties: object) =>
    Object.keys(withIntake.findResources(type, { Properties: properties }))[0];
  const events = idOf("AWS::SQS::Queue", { QueueName: "backstop-dev-events" });
  const refused = idOf("AWS::SQS::Queue", { QueueName: "backstop-dev-refused-events" });
  const arnOf = (id: string | undefined) => ({ "Fn::GetAtt": [id, "Arn"] });

  it("exists only if configured, and so does all that brings facts to it", () => {
    template.resourceCountIs("AWS::Events::EventBus", 0);
    for (const type of ["ApiGatewayV2::Api", "SNS::Topic", "S3::Bucket", "SES::ConfigurationSet", "SES::ReceiptRule"]) {
      withIntake.resourceCountIs(`AWS::${type}`, 0);
    }
    template.resourceCountIs("AWS::Events::Rule", 0);
  });

  it("forwards every event of its own bus, and keeps undelivered ones", () => {
    withIntake.hasResourceProperties("AWS::Events::EventBus", { Name: "backstop-dev" });
    withIntake.hasResourceProperties("AWS::Events::Rule", {
      EventBusName: { Ref: idOf("AWS::Events::EventBus", { Name: "backstop-dev" }) },
      EventPattern: { source: [{ prefix: "" }] },
      State: "ENABLED",
      Targets: [Match.objectLike({ Arn: arnOf(events), DeadLetterConfig: { Arn: arnOf(refused) } })],
    });
  });

  it("accepts the events of other accounts only if they are configured", () => {
    withIntake.resourceCountIs("AWS::Events::EventBusPolicy", 0);
    const accounts = ["222233334444", "333344445555"];
    const shared = aTemplate(anExample({ intake: { accounts } }));
    shared.hasResourceProperties("AWS::Events::Rule", { EventPattern: { source: [{ prefix: "" }] } });
    shared.resourceCountIs("AWS::Events::EventBusPolicy", 2);
    for (const account of accounts) {
      shared.hasResourceProperties("AWS::Events::EventBusPolicy", {
        StatementId: `cdk-account-${account}`,
        Statement: {
          Effect: "Allow",
          Principal: { AWS: `arn:aws:iam::${account}:root` },
          Action: "events:PutEvents",
          Resource: { "Fn::GetAtt": [Match.stringLikeRegexp("^IntakeBus"), "Arn"] },
        },
      });
    }
  });

  it("delivers batches of ten with partial batch responses, and retries for four days", () => {
    withIntake.hasResourceProperties("AWS::Lambda::EventSourceMapping", {
      EventSourceArn: arnOf(events),
      FunctionName: { Ref: idOf("AWS::Lambda::Function", { FunctionName: "backstop-dev-intake" }) },
      BatchSize: 10,
      FunctionResponseTypes: ["ReportBatchItemFailures"],
      ScalingConfig: { MaximumConcurrency: 2 },
    });
    withIntake.hasResourceProperties("AWS::SQS::Queue", {
      QueueName: "backstop-dev-events",
      VisibilityTimeout: 360,
      MessageRetentionPeriod: 1_209_600,
      RedrivePolicy: { deadLetterTargetArn: arnOf(refused), maxReceiveCount: 1000 },
    });
  });

  it("has both queue names of the runbook's redrive command", async () => {
    const runbook = await readFile(join(PROJECT, "docs/runbook.md"), "utf8");
    const { refusedEvents, events: queueName } = namesOf("<stage>");
    expect(runbook).toContain(
      `start-message-move-task --source-arn "$arn:${refusedEvents}" --destination-arn "$arn:${queueName}"`,
    );
  });

  it("has no channel, because it sends nothing", () => {
    const [found] = Object.values(
      withIntake.findResources("AWS::Lambda::Function", { Properties: { FunctionName: "backstop-dev-intake" } }),
    );
    expect(Object.keys(found?.["Properties"]["Environment"]["Variables"])).not.toContain("EMAIL_TRANSPORT");
  });

  it("has an output that puts an event on the bus, with valid JSON in one shell argument", () => {
    const value: string = withIntake.findOutputs("PutEvent")["PutEvent"]?.["Value"];
    const [, entries = ""] = /--entries '([^']+)'$/.exec(value) ?? [];
    expect(JSON.parse(entries)).toMatchObject([{ EventBusName: "backstop-dev", DetailType: "lead.opted_out" }]);
  });

  it("offers the files of events/intake as test events", async () => {
    const [schema] = Object.values(
      withIntake.findResources("AWS::EventSchemas::Schema", {
        Properties: { SchemaName: "_backstop-dev-intake-schema" },
      }),
    );
    const { examples } = JSON.parse(schema?.["Properties"]["Content"]).components;
    const files = await readdir(join(PROJECT, "events/intake"));
    expect(Object.keys(examples)).toEqual(files.map((file) => file.replace(".json", "")).sort());
  });

  it("passes the AwsSolutions rules", () => {
    expect(violationsOf(aStack(anExample({ intake: {} })))).toEqual([]);
  });
});

describe("the functions that people call", () => {
  const propertiesOf = (name: string) => Object.values(functionsNamed(name))[0]?.["Properties"];

  it("are one bundle, each with its handler and its database role, and a limit above that of an answer", () => {
    const [look, operate] = [propertiesOf("look"), propertiesOf("operate")];
    expect(look).toMatchObject({
      Handler: "index.look",
      Timeout: 60,
      Environment: { Variables: { DATABASE_USER: "backstop_look" } },
    });
    expect(operate).toMatchObject({
      Handler: "index.operate",
      Timeout: 60,
      Environment: { Variables: { DATABASE_USER: "backstop_run" } },
    });
    expect(operate.Code).toEqual(look.Code);
  });

  it("have no channel, because they send nothing", () => {
    const full = aTemplate(anExample(everything));
    for (const name of ["look", "operate"]) {
      const properties = { FunctionName: `backstop-dev-${name}` };
      const [found] = Object.values(full.findResources("AWS::Lambda::Function", { Properties: properties }));
      expect(Object.keys(found?.["Properties"]["Environment"]["Variables"])).not.toContain("EMAIL_TRANSPORT");
    }
  });

  it("sign in as the configured users", () => {
    const database = { name: "backstop", user: "runner", lookUser: "reader" };
    const named = aTemplate(anExample({ database }));
    for (const [name, user] of [
      ["look", "reader"],
      ["operate", "runner"],
    ]) {
      named.hasResourceProperties("AWS::Lambda::Function", {
        FunctionName: `backstop-dev-${name}`,
        Environment: { Variables: Match.objectLike({ DATABASE_USER: user }) },
      });
    }
  });

  it.each(["look", "operate"])("offer the files of events/%s as test events", async (name) => {
    const files = (await readdir(join(PROJECT, "events", name))).sort();
    const schemas = template.findResources("AWS::EventSchemas::Schema", {
      Properties: { SchemaName: `_backstop-dev-${name}-schema` },
    });
    const [schema] = Object.values(schemas);
    const { examples } = JSON.parse(schema?.["Properties"]["Content"]).components;
    expect(Object.keys(examples)).toEqual(files.map((file) => file.replace(".json", "")));
  });
});

describe("the test events", () => {
  const eventsIn = (from: Template): Readonly<Record<string, { readonly value: unknown }>> => {
    const [schema] = Object.values(
      from.findResources("AWS::EventSchemas::Schema", {
        Properties: { SchemaName: "_backstop-dev-follow-ups-schema" },
      }),
    );
    return JSON.parse(schema?.["Properties"]["Content"]).components.examples;
  };

  it("are the files of events/, and the function accepts each", async () => {
    const files = (await readdir(join(PROJECT, "events"))).filter((file) => file.endsWith(".json"));
    const events = eventsIn(template);
    expect(Object.keys(events).map((name) => `${name}.json`)).toEqual(files.sort());
    for (const { value } of Object.values(events)) expect(parseRequest(value)).toMatchObject({ ok: true });
  });

  it("are in the registry and schema that the console reads", () => {
    template.hasResourceProperties("AWS::EventSchemas::Schema", {
      RegistryName: "lambda-testevent-schemas",
      SchemaName: "_backstop-dev-follow-ups-schema",
      Type: "OpenApi3",
    });
  });

  it("can create the registry, which is retained for other functions", () => {
    template.hasResource("AWS::EventSchemas::Registry", {
      Properties: { RegistryName: "lambda-testevent-schemas" },
      DeletionPolicy: "Retain",
    });
    const shared = aTemplate(anExample({ testEvents: "useRegistry" }));
    shared.resourceCountIs("AWS::EventSchemas::Registry", 0);
    expect(eventsIn(shared)).toEqual(eventsIn(template));
    aTemplate(anExample({ testEvents: undefined })).resourceCountIs("AWS::EventSchemas::Schema", 0);
  });
});

describe("the dashboard", () => {
  it("shows booking-to-stop and the revision first", () => {
    const [{ Properties } = { Properties: {} }] = Object.values(template.findResources("AWS::CloudWatch::Dashboard"));
    const body = (Properties["DashboardBody"]["Fn::Join"][1] as readonly unknown[]).filter(isText).join("");
    const widgets = [...body.matchAll(/"title":"([^"]*)"/g)].map(([, title]) => title);
    expect(widgets.slice(0, 2)).toEqual(["Slowest stop of the last day (seconds)", "Booking to stop (seconds)"]);
    expect(body.indexOf(REVISION)).toBeLessThan(body.indexOf("Slowest stop"));
    expect(body).toContain("When a lead books, its sequences stop");
  });

  it("finds the reasons in the line of a report", () => {
    const reasons = { outside_window: 3, ready: 1 };
    const line = JSON.stringify({ message: "run.finished", report: { results: { due: 4, reasons, holds: {} } } });
    expect(new RegExp(REASONS_IN_REPORT).exec(line)?.groups).toEqual({ reasons: '"outside_window":3,"ready":1' });
  });
});

describe("the network", () => {
  it("allows outbound traffic to the proxy and to HTTPS, and no inbound traffic", () => {
    template.hasResourceProperties("AWS::EC2::SecurityGroup", {
      SecurityGroupIngress: Match.absent(),
      SecurityGroupEgress: [Match.objectLike({ CidrIp: "0.0.0.0/0", FromPort: 443, ToPort: 443 })],
    });
    const toProxy = { DestinationSecurityGroupId: "sg-0123456789abcdef0", FromPort: 5432, ToPort: 5432 };
    template.allResourcesProperties("AWS::EC2::SecurityGroupEgress", toProxy);
  });

  it("allows the functions that people call only outbound traffic to the proxy", () => {
    const groups = Object.entries(template.findResources("AWS::EC2::SecurityGroup"));
    const outside = groups.filter(([, { Properties }]) =>
      Properties["SecurityGroupEgress"]?.some(({ FromPort }: { FromPort?: number }) => FromPort === 443),
    );
    expect(outside.map(([id]) => id.replace(/SecurityGroup.*/, ""))).toEqual(["FollowUpsWorker"]);
    expect(groups).toHaveLength(3);
  });

  it("opens the proxy to the functions on one port", () => {
    const groups = Object.keys(template.findResources("AWS::EC2::SecurityGroup"));
    template.resourceCountIs("AWS::EC2::SecurityGroupIngress", groups.length);
    for (const from of groups) {
      template.hasResourceProperties("AWS::EC2::SecurityGroupIngress", {
        GroupId: "sg-0123456789abcdef0",
        SourceSecurityGroupId: { "Fn::GetAtt": [from, "GroupId"] },
        FromPort: 5432,
        ToPort: 5432,
      });
    }
  });
});

describe("the stack", () => {
  it("passes the AwsSolutions rules", () => {
    expect(violationsOf(aStack())).toEqual([]);
  });

  it("fails them with a queue without TLS", () => {
    const stack = aStack();
    new Queue(stack, "Open", {
      deadLetterQueue: { queue: new Queue(stack, "Dead", { enforceSSL: true }), maxReceiveCount: 1 },
    });
    expect(violationsOf(stack)).toContain("AwsSolutions-SQS4");
  });

  it("requires TLS on every queue", () => {
    template.resourceCountIs("AWS::SQS::Queue", 2);
    template.allResourcesProperties("AWS::SQS::QueuePolicy", {
      PolicyDocument: {
        Statement: [Match.objectLike({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } })],
      },
    });
  });

  it("has its stage in every name and tag", () => {
    const resources = Object.values(template.toJSON()["Resources"] as Record<string, Resource>);
    const names = resources.flatMap(({ Properties }) =>
      ["Name", "FunctionName", "QueueName", "LogGroupName", "AlarmName", "DashboardName"]
        .map((key) => Properties[key])
        .filter(isText),
    );
    expect(names.length).toBeGreaterThanOrEqual(6);
    for (const name of names) expect(name).toContain("backstop-dev");
    for (const { Properties } of resources.filter((resource) => Array.isArray(resource.Properties["Tags"]))) {
      expect(Properties["Tags"]).toEqual([
        { Key: "application", Value: "backstop" },
        { Key: "stage", Value: "dev" },
      ]);
    }
  });

  it("deploys to the account and region of its proxy", () => {
    expect(aStack()).toMatchObject({ account: "111122223333", region: "eu-central-1" });
  });

  it("has outputs for the next steps", () => {
    expect(template.findOutputs("*")).toMatchObject({
      FunctionName: { Value: "backstop-dev-follow-ups" },
      LookFunctionName: { Value: "backstop-dev-look" },
      OperateFunctionName: { Value: "backstop-dev-operate" },
      ListWorkspaces: { Value: expect.stringContaining("workspaces list --stage dev") },
      ScheduleName: { Value: "backstop-dev-follow-ups" },
      FireTestEvent: { Value: expect.stringContaining("aws lambda invoke") },
      PauseSchedule: { Value: expect.stringContaining("schedule pause --stage dev") },
      Revision: { Value: REVISION },
      MostConnections: { Value: "2 runs at once, with 4 connections each, need 8" },
      RequiredEndpoints: {
        Value: "without a NAT gateway, the subnets need VPC endpoints for: Email (mails through Amazon SES)",
      },
    });
  });

  it("has an output with the required VPC endpoints, and the NAT gateway for webhooks", () => {
    const value: string = aTemplate(anExample(everything)).findOutputs("RequiredEndpoints")["RequiredEndpoints"]?.[
      "Value"
    ];
    for (const part of ["Email", "Sms", "Secrets", "Queue", "a NAT gateway"]) expect(value).toContain(part);
  });

  it("is the same template every time", () => {
    expect(aFreshTemplate().toJSON()).toEqual(template.toJSON());
  });
});

function violationsOf(stack: BackstopStack): readonly string[] {
  return new AwsSolutionsChecks(stack).validateScope(stack).violations.map((violation) => violation.ruleName);
}

function functionsNamed(name: string) {
  return template.findResources("AWS::Lambda::Function", { Properties: { FunctionName: `backstop-dev-${name}` } });
}

function queue(name: string): string {
  const [found = ""] = Object.keys(template.findResources("AWS::SQS::Queue", { Properties: { QueueName: name } }));
  return found;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
