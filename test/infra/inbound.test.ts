import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Match, type Template } from "aws-cdk-lib/assertions";
import { PROJECT } from "../../infra/bundle.ts";
import { twoWayCommand } from "../../infra/sms-replies.ts";
import { loadConfig } from "../../lib/platform/config.ts";
import { requestOf } from "../../lib/platform/http.ts";
import { loadReconcileConfig } from "../../lib/platform/reconcile-config.ts";
import { loadWebhooksConfig } from "../../lib/platform/webhooks-config.ts";
import { anExample, aTemplate, everything, inbound } from "./example.ts";

const template = aTemplate(anExample(inbound));
/** Without a domain, and with parts of the user's: a configuration set and an unsubscribe page. */
const limits = { requestsPerSecond: 5, burst: 6, reservedConcurrency: 7 };
const own = aTemplate(anExample({ ...everything, webhooks: limits, mailEvents: {} }));

type Properties = Readonly<Record<string, unknown>>;

const propertiesOf = (from: Template, type: string): readonly Properties[] =>
  Object.values(from.findResources(type)).map((resource) => resource["Properties"] as Properties);

const idOf = (from: Template, type: string, properties: object = {}): string =>
  Object.keys(from.findResources(type, { Properties: properties }))[0] ?? "";

const arnOf = (id: string) => ({ "Fn::GetAtt": [id, "Arn"] });
const queue = (name: string) => arnOf(idOf(template, "AWS::SQS::Queue", { QueueName: `backstop-dev-${name}` }));
const toTheIntake = [Match.objectLike({ Arn: queue("events"), DeadLetterConfig: { Arn: queue("refused-events") } })];

const environmentOf = (from: Template, name: string): Readonly<Record<string, unknown>> => {
  const functions = from.findResources("AWS::Lambda::Function", {
    Properties: { FunctionName: `backstop-dev-${name}` },
  });
  return Object.values(functions)[0]?.["Properties"]["Environment"]["Variables"];
};

const outputOf = (from: Template, name: string): string =>
  JSON.stringify(from.findOutputs(name)[name]?.["Value"] ?? "");

describe("the HTTP API", () => {
  it("has the known routes only, each without CORS and in payload format 2.0", () => {
    const routes = propertiesOf(template, "AWS::ApiGatewayV2::Route").map(({ RouteKey }) => RouteKey);
    expect(routes.sort()).toEqual([
      "GET /unsubscribe/{token}",
      "HEAD /unsubscribe/{token}",
      "POST /calcom/{workspace}",
      "POST /calendly/{workspace}",
      "POST /facts/{workspace}",
      "POST /unsubscribe/{token}",
    ]);
    expect(propertiesOf(template, "AWS::ApiGatewayV2::Api")).toEqual([
      expect.not.objectContaining({ CorsConfiguration: expect.anything() }),
    ]);
    template.allResourcesProperties("AWS::ApiGatewayV2::Integration", { PayloadFormatVersion: "2.0" });
  });

  it("throttles, by default and as configured", () => {
    const settings = (rate: number, burst: number) => ({
      DefaultRouteSettings: { ThrottlingRateLimit: rate, ThrottlingBurstLimit: burst },
    });
    template.hasResourceProperties("AWS::ApiGatewayV2::Stage", settings(100, 200));
    own.hasResourceProperties("AWS::ApiGatewayV2::Stage", settings(5, 6));
    const reserved = { FunctionName: "backstop-dev-webhooks", ReservedConcurrentExecutions: 7 };
    own.hasResourceProperties("AWS::Lambda::Function", reserved);
  });

  it("logs JSON without paths, query strings, addresses and bodies, also where values are missing", () => {
    const [{ AccessLogSettings } = {}] = propertiesOf(template, "AWS::ApiGatewayV2::Stage");
    const { Format: format } = AccessLogSettings as { readonly Format: string };
    const used = [...format.matchAll(/\$context\.([A-Za-z.]+)/g)].map(([, name = ""]) => name);
    expect(used).toContain("routeKey");
    expect(used.filter((name) => /path|sourceIp|userAgent|queryString|identity|domain|authorizer/i.test(name))).toEqual(
      [],
    );
    const line = JSON.parse(format.replaceAll("$context.status", "429").replaceAll(/\$context\.[A-Za-z.]+/g, "-"));
    expect(line).toMatchObject({ service: "backstop-dev-webhooks", status: 429, route: "-" });
  });

  it("counts throttled requests from its log, under the name that the alarm watches", () => {
    template.hasResourceProperties("AWS::Logs::MetricFilter", {
      FilterPattern: "{ $.status = 429 }",
      MetricTransformations: [
        Match.objectLike({
          MetricNamespace: "Backstop",
          MetricName: "ThrottledRequests",
          Dimensions: [{ Key: "service", Value: "$.service" }],
        }),
      ],
    });
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      MetricName: "ThrottledRequests",
      Dimensions: [{ Name: "service", Value: "backstop-dev-webhooks" }],
    });
  });

  it("answers at its domain only, and names the DNS record", () => {
    template.hasResourceProperties("AWS::ApiGatewayV2::DomainName", {
      DomainName: "links.example.com",
      DomainNameConfigurations: [Match.objectLike({ EndpointType: "REGIONAL", SecurityPolicy: "TLS_1_2" })],
    });
    template.hasResourceProperties("AWS::ApiGatewayV2::Api", { DisableExecuteApiEndpoint: true });
    expect(outputOf(template, "WebhooksUrl")).toContain("https://links.example.com");
    expect(outputOf(template, "WebhooksDnsRecord")).toMatch(/ CNAME .*RegionalDomainName/);
    own.resourceCountIs("AWS::ApiGatewayV2::DomainName", 0);
    own.hasResourceProperties("AWS::ApiGatewayV2::Api", { DisableExecuteApiEndpoint: false });
    expect(outputOf(own, "WebhooksUrl")).toContain("ApiEndpoint");
  });
});

describe("the webhooks function", () => {
  it("is outside the VPC, and has neither database nor channels", () => {
    const [{ VpcConfig, Timeout } = {}] = propertiesOf(template, "AWS::Lambda::Function").filter(
      ({ FunctionName }) => FunctionName === "backstop-dev-webhooks",
    );
    expect(VpcConfig).toBeUndefined();
    expect(Timeout).toBeLessThanOrEqual(10);
    const names = Object.keys(environmentOf(template, "webhooks"));
    expect(names.filter((name) => /^(DATABASE|EMAIL|SMS|WEBHOOK|DELIVERY)_/.test(name))).toEqual([]);
  });

  it("accepts the environment of the stage", () => {
    const environment = { ...environmentOf(template, "webhooks"), EVENT_BUS_NAME: "backstop-dev" };
    const config = loadWebhooksConfig({ ...environment, UNSUBSCRIBE_SECRET_ARN: A_SECRET } as Record<string, string>);
    expect(config).toMatchObject({ EVENT_BUS_NAME: "backstop-dev", CONNECTION_SECRETS_PREFIX: "backstop/dev" });
  });

  it("offers the files of events/webhooks as test events, and can read each", async () => {
    const [schema] = propertiesOf(template, "AWS::EventSchemas::Schema").filter(
      ({ SchemaName }) => SchemaName === "_backstop-dev-webhooks-schema",
    );
    const { examples } = JSON.parse(String(schema?.["Content"])).components;
    const files = (await readdir(join(PROJECT, "events/webhooks"))).sort();
    expect(Object.keys(examples)).toEqual(files.map((file) => file.replace(".json", "")));
    for (const { value } of Object.values<{ value: { routeKey: string } }>(examples)) {
      const { method, path } = requestOf(value);
      expect(value.routeKey).toMatch(new RegExp(`^${method} /${path[0]}/\\{`));
    }
  });
});

const A_SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:backstop/dev/unsubscribe-AbCdEf";

describe("unsubscribe links", () => {
  const secret = { Ref: idOf(template, "AWS::SecretsManager::Secret", { Name: "backstop/dev/unsubscribe" }) };

  it("are signed with a generated key, which outlives the stage", () => {
    template.hasResource("AWS::SecretsManager::Secret", {
      Properties: {
        Name: "backstop/dev/unsubscribe",
        GenerateSecretString: {
          GenerateStringKey: "current",
          SecretStringTemplate: '{"former":[]}',
          PasswordLength: 64,
          ExcludePunctuation: true,
        },
      },
      DeletionPolicy: "Retain",
      UpdateReplacePolicy: "Retain",
    });
  });

  it("are in the mails of every function that sends, and of no other", () => {
    for (const name of ["follow-ups", "deliver"]) {
      expect(environmentOf(template, name)).toMatchObject({
        UNSUBSCRIBE_BASE_URL: "https://links.example.com",
        UNSUBSCRIBE_SECRET_ARN: secret,
      });
    }
    for (const name of ["intake", "look", "operate"]) {
      expect(Object.keys(environmentOf(template, name)).filter((key) => key.startsWith("UNSUBSCRIBE_"))).toEqual([]);
    }
    expect(environmentOf(template, "webhooks")).toMatchObject({ UNSUBSCRIBE_SECRET_ARN: secret });
  });

  it("have a configuration that the functions accept", () => {
    const given = { UNSUBSCRIBE_SECRET_ARN: A_SECRET, DELIVERY_QUEUE_URL: "https://sqs.example.com/deliveries" };
    for (const name of ["follow-ups", "deliver"]) {
      const environment = { ...environmentOf(template, name), ...given, AWS_REGION: "eu-central-1" };
      expect(loadConfig(environment as Record<string, string>)).toMatchObject({
        UNSUBSCRIBE_BASE_URL: "https://links.example.com",
        EMAIL_CONFIGURATION_SET: "backstop-dev",
      });
    }
  });

  it("are not in mails that link to a page of the user's", () => {
    const { EMAIL_UNSUBSCRIBE_URL: page, ...others } = environmentOf(own, "follow-ups");
    expect(page).toBe(everything.unsubscribe.url);
    expect(Object.keys(others).filter((key) => key.startsWith("UNSUBSCRIBE_"))).toEqual([]);
    expect(outputOf(own, "RequiredEndpoints")).not.toContain("unsubscribe");
  });

  it("need one endpoint of Secrets Manager, also if other parts use it", () => {
    expect(outputOf(template, "RequiredEndpoints")).toContain(
      "Secrets (the key of unsubscribe links and the webhook's signing secret)",
    );
  });
});

describe("events of SES", () => {
  const detailTypes = [
    "Email Bounced",
    "Email Complaint Received",
    "Email Delivered",
    "Email Rejected",
    "Email Rendering Failed",
  ];

  it("are published by a configuration set of the stage, which every mail names", () => {
    template.hasResourceProperties("AWS::SES::ConfigurationSet", {
      Name: "backstop-dev",
      ReputationOptions: { ReputationMetricsEnabled: true },
      SuppressionOptions: { SuppressedReasons: ["BOUNCE"] },
    });
    template.hasResourceProperties("AWS::SES::ConfigurationSetEventDestination", {
      EventDestination: {
        Enabled: true,
        EventBridgeDestination: { EventBusArn: "arn:aws:events:eu-central-1:111122223333:event-bus/default" },
        MatchingEventTypes: ["bounce", "complaint", "delivery", "reject", "renderingFailure"],
      },
    });
    for (const name of ["follow-ups", "deliver"]) {
      expect(environmentOf(template, name)).toMatchObject({ EMAIL_CONFIGURATION_SET: "backstop-dev" });
    }
  });

  it("reach the intake from the default bus, if they are of this set", () => {
    template.hasResourceProperties("AWS::Events::Rule", {
      Name: "backstop-dev-mail-events",
      EventBusName: Match.absent(),
      EventPattern: {
        source: ["aws.ses"],
        "detail-type": detailTypes,
        detail: { mail: { tags: { "ses:configuration-set": ["backstop-dev"] } } },
      },
      Targets: toTheIntake,
    });
  });

  it("are those of a configured set instead, which stays the user's", () => {
    own.resourceCountIs("AWS::SES::ConfigurationSet", 0);
    own.hasResourceProperties("AWS::SES::ConfigurationSetEventDestination", { ConfigurationSetName: "follow-ups" });
    own.hasResourceProperties("AWS::Events::Rule", {
      EventPattern: Match.objectLike({ detail: { mail: { tags: { "ses:configuration-set": ["follow-ups"] } } } }),
    });
    expect(environmentOf(own, "follow-ups")).toMatchObject({ EMAIL_CONFIGURATION_SET: "follow-ups" });
  });
});

describe("texts that people send", () => {
  it("are published to a topic, by AWS End User Messaging of this account only, over TLS", () => {
    const [{ PolicyDocument } = {}] = propertiesOf(template, "AWS::SNS::TopicPolicy");
    const statements = (PolicyDocument as { readonly Statement: readonly Properties[] }).Statement;
    expect(statements.filter(({ Effect }) => Effect === "Allow")).toMatchObject([
      {
        Principal: { Service: "sms-voice.amazonaws.com" },
        Action: "sns:Publish",
        Condition: { StringEquals: { "aws:SourceAccount": "111122223333" } },
      },
    ]);
    expect(statements.filter(({ Effect }) => Effect === "Deny")).toMatchObject([
      { Condition: { Bool: { "aws:SecureTransport": "false" } } },
    ]);
  });

  it("reach the intake in the envelope of SNS, and the refused events if they cannot", () => {
    template.hasResource("AWS::SNS::Subscription", {
      Properties: {
        TopicArn: "arn:aws:sns:eu-central-1:111122223333:backstop-dev-sms-replies",
        Protocol: "sqs",
        Endpoint: queue("events"),
        RawMessageDelivery: Match.absent(),
        RedrivePolicy: { deadLetterTargetArn: queue("refused-events") },
      },
      DependsOn: Match.arrayWith([idOf(template, "AWS::SNS::Topic", { TopicName: "backstop-dev-sms-replies" })]),
    });
  });

  it("need a command that connects the number or the pool", () => {
    expect(outputOf(template, "ConnectSmsReplies")).toContain(
      "aws pinpoint-sms-voice-v2 update-phone-number --phone-number-id phone-0123 --region eu-central-1 --two-way-enabled --two-way-channel-arn ",
    );
    const pool = "arn:aws:sms-voice:eu-central-1:111122223333:pool/pool-0123";
    expect(twoWayCommand(pool, "arn:topic", "eu-central-1")).toBe(
      "aws pinpoint-sms-voice-v2 update-pool --pool-id pool-0123 --region eu-central-1 --two-way-enabled --two-way-channel-arn arn:topic",
    );
  });
});

describe("mails that people send", () => {
  const bucket = idOf(template, "AWS::S3::Bucket");
  const rule =
    "arn:aws:ses:eu-central-1:111122223333:receipt-rule-set/default-rule-set:receipt-rule/backstop-dev-replies";

  it("are stored for 14 days, encrypted, without versions and without public access", () => {
    template.hasResource("AWS::S3::Bucket", {
      Properties: {
        BucketEncryption: Match.objectLike({}),
        LifecycleConfiguration: { Rules: [Match.objectLike({ ExpirationInDays: 14, Status: "Enabled" })] },
        NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        VersioningConfiguration: Match.absent(),
      },
      DeletionPolicy: "Retain",
    });
  });

  it("are stored by one receipt rule in the named set, which alone may write, over TLS", () => {
    template.hasResource("AWS::SES::ReceiptRule", {
      Properties: {
        RuleSetName: "default-rule-set",
        Rule: {
          Name: "backstop-dev-replies",
          Enabled: true,
          Recipients: ["replies@mail.example.com"],
          ScanEnabled: true,
          Actions: [{ S3Action: { BucketName: { Ref: bucket } } }],
        },
      },
      DependsOn: [idOf(template, "AWS::S3::BucketPolicy")],
    });
    const [{ PolicyDocument } = {}] = propertiesOf(template, "AWS::S3::BucketPolicy");
    expect((PolicyDocument as { readonly Statement: readonly Properties[] }).Statement).toMatchObject([
      { Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } },
      {
        Effect: "Allow",
        Principal: { Service: "ses.amazonaws.com" },
        Action: "s3:PutObject",
        Condition: { StringEquals: { "aws:SourceAccount": "111122223333", "aws:SourceArn": rule } },
      },
    ]);
  });

  it("are reported to the intake by bucket and key, except the object with which SES tries the bucket", () => {
    template.hasResourceProperties("AWS::Events::Rule", {
      Name: "backstop-dev-replies",
      EventBusName: Match.absent(),
      EventPattern: {
        source: ["aws.s3"],
        "detail-type": ["Object Created"],
        detail: {
          bucket: { name: [{ Ref: bucket }] },
          object: { key: [{ "anything-but": { suffix: "AMAZON_SES_SETUP_NOTIFICATION" } }] },
        },
      },
      Targets: toTheIntake,
    });
    expect(environmentOf(template, "intake")).toMatchObject({ INBOUND_MAIL_BUCKET: { Ref: bucket } });
  });

  it("need a DNS record and a way to S3", () => {
    expect(outputOf(template, "RepliesDnsRecord")).toContain(
      "mail.example.com MX 10 inbound-smtp.eu-central-1.amazonaws.com",
    );
    expect(outputOf(template, "RequiredEndpoints")).toContain("S3 (mails that people send)");
  });
});

describe("the function that compares booking tools", () => {
  it("is outside the VPC without a database, ends before its next tick, and is not retried", () => {
    template.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: "backstop-dev-reconcile",
      VpcConfig: Match.absent(),
      Timeout: 50,
    });
    template.hasResourceProperties("AWS::Scheduler::Schedule", {
      Name: "backstop-dev-reconcile",
      GroupName: Match.anyValue(),
      ScheduleExpression: "rate(1 minute)",
      State: "ENABLED",
      Target: Match.objectLike({ RetryPolicy: { MaximumEventAgeInSeconds: 60, MaximumRetryAttempts: 0 } }),
    });
    const names = Object.keys(environmentOf(template, "reconcile"));
    expect(names.filter((name) => /^(DATABASE|EMAIL|SMS|WEBHOOK|DELIVERY)_/.test(name))).toEqual([]);
  });

  it("accepts the environment of the stage", () => {
    const environment = { ...environmentOf(template, "reconcile"), EVENT_BUS_NAME: "backstop-dev" };
    expect(loadReconcileConfig(environment as Record<string, string>)).toMatchObject({
      CONNECTION_SECRETS_PREFIX: "backstop/dev",
      RECONCILE_HOT_MINUTES: 5,
      RECONCILE_WARM_MINUTES: 60,
      RECONCILE_HOT_DAYS: 14,
    });
  });

  it("alarms on the age that runs report", () => {
    template.hasResourceProperties("AWS::CloudWatch::Alarm", {
      AlarmName: "backstop-dev-sweep-age",
      MetricName: "SweepAge",
      Threshold: 1_200,
      Dimensions: [{ Name: "service", Value: "backstop-dev-follow-ups" }],
    });
  });
});
