import { describe, expect, it } from "@jest/globals";
import { Match } from "aws-cdk-lib/assertions";
import { AwsSolutionsChecks } from "cdk-nag";
import { type Configuration, readConfiguration } from "../../infra/configuration.ts";
import { long } from "../support/long.ts";
import {
  anExample,
  aStack,
  aTemplate,
  cdkJson,
  created,
  everything,
  inbound,
  lookupsOf,
  regulated,
} from "./example.ts";

const existingDatabase = {
  user: "owner",
  host: "db.cluster-abc.eu-central-1.rds.amazonaws.com",
  resourceId: "cluster-ABCDEFGHIJ",
  securityGroupId: "sg-0fedcba9876543210",
};
const exampleVpc = cdkJson.context.backstop.dev["vpc"];

const aStageOfCdkJson = (stage: string): Configuration =>
  readConfiguration({ stages: cdkJson.context.backstop, stage, paused: undefined });

const template = aTemplate(anExample(created));
const withWebhooks = aTemplate(anExample({ ...everything, ...created }));

const ids = (type: string, properties: object = {}): readonly string[] =>
  Object.keys(template.findResources(type, { Properties: properties }));
const dependenciesOf = (type: string, properties: object = {}): readonly string[] =>
  Object.values(template.findResources(type, { Properties: properties })).flatMap(({ DependsOn }) => DependsOn ?? []);

describe("a network that the stack creates", () => {
  long.it("has no internet access without webhooks, and an endpoint for each service in use", () => {
    for (const type of ["AWS::EC2::NatGateway", "AWS::EC2::InternetGateway"]) template.resourceCountIs(type, 0);
    template.resourceCountIs("AWS::EC2::VPCEndpoint", 1);
    template.hasResourceProperties("AWS::EC2::VPCEndpoint", {
      ServiceName: "com.amazonaws.eu-central-1.email",
      PrivateDnsEnabled: true,
    });
    const full = aTemplate(anExample({ ...inbound, webhook: undefined, ...created }));
    const endpoints = Object.values(full.findResources("AWS::EC2::VPCEndpoint")).map(({ Properties }) => [
      JSON.stringify(Properties["ServiceName"]).match(/\.([a-z0-9-]+)"[^.]*$/)?.[1],
      Properties["VpcEndpointType"],
    ]);
    expect(endpoints.sort()).toEqual([
      ["email", "Interface"],
      ["pinpoint-sms-voice-v2", "Interface"],
      ["s3", "Gateway"],
      ["secretsmanager", "Interface"],
      ["sqs", "Interface"],
    ]);
  });

  it("has one NAT gateway and no endpoints if there are webhooks", () => {
    withWebhooks.resourceCountIs("AWS::EC2::NatGateway", 1);
    withWebhooks.resourceCountIs("AWS::EC2::VPCEndpoint", 0);
  });

  it("has a NAT gateway if only digests use webhooks", () => {
    aTemplate(anExample({ ...created, digestWebhooks: true })).resourceCountIs("AWS::EC2::NatGateway", 1);
  });

  it("has its subnets in the configured zones", () => {
    template.allResourcesProperties("AWS::EC2::Subnet", {
      AvailabilityZone: Match.stringLikeRegexp("^eu-central-1[ab]$"),
      MapPublicIpOnLaunch: false,
    });
    template.resourceCountIs("AWS::EC2::FlowLog", 1);
  });
});

describe("a database that the stack creates", () => {
  it("is encrypted, protected from deletion, backed up, and accepts IAM", () => {
    template.hasResource("AWS::RDS::DBCluster", {
      Properties: {
        DBClusterIdentifier: "backstop-dev",
        Engine: "aurora-postgresql",
        EngineVersion: Match.stringLikeRegexp("^17\\."),
        DatabaseName: "backstop",
        StorageEncrypted: true,
        DeletionProtection: true,
        EnableIAMDatabaseAuthentication: true,
        BackupRetentionPeriod: 7,
        ServerlessV2ScalingConfiguration: { MinCapacity: 0.5, MaxCapacity: 4 },
      },
      DeletionPolicy: "Snapshot",
    });
    template.hasResourceProperties("AWS::RDS::DBInstance", {
      DBInstanceClass: "db.serverless",
      PubliclyAccessible: false,
    });
  });

  it("has the configured capacity", () => {
    const database = { name: "backstop", user: "backstop_run", capacity: { least: 1, most: 16 } };
    aTemplate(anExample({ ...created, database })).hasResourceProperties("AWS::RDS::DBCluster", {
      ServerlessV2ScalingConfiguration: { MinCapacity: 1, MaxCapacity: 16 },
    });
  });

  it("is behind a proxy that requires TLS and IAM, and signs in as the users of the functions", () => {
    template.hasResourceProperties("AWS::RDS::DBProxy", {
      DBProxyName: "backstop-dev",
      RequireTLS: true,
      DefaultAuthScheme: "IAM_AUTH",
      Auth: Match.absent(),
    });
    const [cluster] = ids("AWS::RDS::DBCluster");
    template.hasResourceProperties("AWS::IAM::Policy", {
      PolicyName: Match.stringLikeRegexp("ProxyRole"),
      PolicyDocument: {
        Statement: [
          {
            Action: "rds-db:connect",
            Effect: "Allow",
            Resource: ["backstop_look", "backstop_run"].map((user) => dbUser(cluster, user)),
          },
        ],
      },
    });
  });

  it("allows inbound traffic from the proxy and the migrations, and the proxy from the functions", () => {
    const ingress = Object.values(template.findResources("AWS::EC2::SecurityGroupIngress")).map(
      ({ Properties }) =>
        `${Properties["SourceSecurityGroupId"]["Fn::GetAtt"][0]} → ${Properties["GroupId"]["Fn::GetAtt"][0]}`,
    );
    expect(ingress.map((rule) => rule.replaceAll(/[0-9A-F]{8}/g, "")).sort()).toEqual([
      "DatabaseProxySecurityGroup → DatabaseSecurityGroup",
      "FollowUpsWorkerSecurityGroup → DatabaseProxySecurityGroup",
      "MigrationSecurityGroup → DatabaseSecurityGroup",
      "OperateOrdersSecurityGroup → DatabaseProxySecurityGroup",
      "OperateQuestionsSecurityGroup → DatabaseProxySecurityGroup",
    ]);
  });
});

describe("the migrations of a deploy", () => {
  it("run after the roles, and before any function is updated", () => {
    const [trigger] = ids("Custom::Trigger");
    const [roles] = ids("Custom::AWS");
    expect(dependenciesOf("Custom::Trigger")).toContain(roles);
    for (const FunctionName of ["follow-ups", "deliver", "look", "operate"].map((name) => `backstop-dev-${name}`)) {
      const found = Object.values(
        withWebhooks.findResources("AWS::Lambda::Function", { Properties: { FunctionName } }),
      );
      expect(found.flatMap(({ DependsOn }) => DependsOn)).toContain(trigger);
    }
  });

  it("run again if their function has changed", () => {
    const [version] = ids("AWS::Lambda::Version");
    template.hasResourceProperties("Custom::Trigger", { HandlerArn: { Ref: version }, ExecuteOnHandlerChange: true });
  });

  it("connect directly to the database, as their own user", () => {
    const [cluster] = ids("AWS::RDS::DBCluster");
    template.hasResourceProperties("AWS::Lambda::Function", {
      FunctionName: "backstop-dev-migrate",
      Timeout: 840,
      Environment: {
        Variables: Match.objectLike({
          DATABASE_HOST: { "Fn::GetAtt": [cluster, "Endpoint.Address"] },
          DATABASE_USER: "backstop_migrate",
          NODE_EXTRA_CA_CERTS: "/var/runtime/ca-cert.pem",
        }),
      },
    });
    template.hasResourceProperties("AWS::IAM::Policy", {
      PolicyName: Match.stringLikeRegexp("MigrationRole"),
      PolicyDocument: {
        Statement: [{ Action: "rds-db:connect", Effect: "Allow", Resource: dbUser(cluster, "backstop_migrate") }],
      },
    });
  });

  long.it("connect to a configured existing database, and exist only if configured", () => {
    const existing = aTemplate(anExample({ migrate: existingDatabase }));
    existing.hasResourceProperties("AWS::IAM::Policy", {
      PolicyDocument: {
        Statement: [
          Match.objectLike({ Resource: "arn:aws:rds-db:eu-central-1:111122223333:dbuser:cluster-ABCDEFGHIJ/owner" }),
        ],
      },
    });
    existing.hasResourceProperties("AWS::EC2::SecurityGroupIngress", {
      GroupId: "sg-0fedcba9876543210",
      FromPort: 5432,
    });
    aTemplate().resourceCountIs("Custom::Trigger", 0);
    aTemplate(anExample({ ...created, migrate: undefined })).resourceCountIs("Custom::Trigger", 0);
  });
});

const shapes: readonly (readonly [string, Configuration])[] = [
  ["an existing network and proxy", anExample()],
  ["existing ones, with every option", anExample({ ...everything, migrate: existingDatabase })],
  ["a network and a database that the stack creates", anExample(created)],
  ["created ones, with every option", anExample({ ...everything, ...created })],
  ["created ones, with the options for regulated accounts", anExample(regulated)],
  ["a database that the stack creates in an existing network", anExample({ ...created, vpc: exampleVpc })],
  ...Object.keys(cdkJson.context.backstop).map(
    (stage) => [`the stage ${stage} of cdk.json`, aStageOfCdkJson(stage)] as const,
  ),
];

long.it.each(shapes)("needs no credentials to synthesise: %s", (_, configuration) => {
  expect(lookupsOf(configuration)).toEqual([]);
});

it.each([
  ["without internet access", created],
  ["with internet access", { ...everything, ...created }],
])("the whole stack passes the AwsSolutions rules: %s", (_, changes) => {
  const stack = aStack(anExample(changes));
  expect(new AwsSolutionsChecks(stack).validateScope(stack).violations.map(({ ruleName }) => ruleName)).toEqual([]);
});

it("the boundary applies to every role of the whole stack", () => {
  const permissionsBoundary = "arn:aws:iam::111122223333:policy/boundary";
  aTemplate(anExample({ ...everything, ...created, permissionsBoundary })).allResourcesProperties("AWS::IAM::Role", {
    PermissionsBoundary: permissionsBoundary,
  });
});

const dbUser = (cluster: string | undefined, user: string) => ({
  "Fn::Join": [
    "",
    [
      "arn:aws:rds-db:eu-central-1:111122223333:dbuser:",
      { "Fn::GetAtt": [cluster, "DBClusterResourceId"] },
      `/${user}`,
    ],
  ],
});
