import { describe, expect, it } from "@jest/globals";
import { Match } from "aws-cdk-lib/assertions";
import { AwsSolutionsChecks } from "cdk-nag";
import { anExample, aStack, aTemplate, created, everything } from "./example.ts";

const template = aTemplate(anExample(created));
const withWebhooks = aTemplate(anExample({ ...everything, ...created }));

const ids = (type: string, properties: object = {}): readonly string[] =>
  Object.keys(template.findResources(type, { Properties: properties }));
const dependenciesOf = (type: string, properties: object = {}): readonly string[] =>
  Object.values(template.findResources(type, { Properties: properties })).flatMap(({ DependsOn }) => DependsOn ?? []);

describe("a network that the stack makes", () => {
  it("has no way to the internet where nothing needs one, and an endpoint for each service that is called", () => {
    for (const type of ["AWS::EC2::NatGateway", "AWS::EC2::InternetGateway"]) template.resourceCountIs(type, 0);
    template.resourceCountIs("AWS::EC2::VPCEndpoint", 1);
    template.hasResourceProperties("AWS::EC2::VPCEndpoint", {
      ServiceName: "com.amazonaws.eu-central-1.email",
      PrivateDnsEnabled: true,
    });
    const sms = aTemplate(anExample({ ...everything, webhook: undefined, ...created }));
    const names = Object.values(sms.findResources("AWS::EC2::VPCEndpoint")).map(
      ({ Properties }) => Properties["ServiceName"],
    );
    expect(names.sort()).toEqual(
      ["email", "pinpoint-sms-voice-v2", "scheduler", "sqs"].map((name) => `com.amazonaws.eu-central-1.${name}`),
    );
  });

  it("has one NAT gateway, and no endpoints beside it, for webhooks", () => {
    withWebhooks.resourceCountIs("AWS::EC2::NatGateway", 1);
    withWebhooks.resourceCountIs("AWS::EC2::VPCEndpoint", 0);
  });

  it("has a NAT gateway for the webhooks of digests alone", () => {
    aTemplate(anExample({ ...created, digestWebhooks: true })).resourceCountIs("AWS::EC2::NatGateway", 1);
  });

  it("is asked of nobody: the zones are those of the configuration", () => {
    expect(aStack(anExample(created)).availabilityZones).toBeDefined();
    template.allResourcesProperties("AWS::EC2::Subnet", {
      AvailabilityZone: Match.stringLikeRegexp("^eu-central-1[ab]$"),
      MapPublicIpOnLaunch: false,
    });
    template.resourceCountIs("AWS::EC2::FlowLog", 1);
  });
});

describe("a database that the stack makes", () => {
  it("is encrypted, cannot be deleted by mistake, is backed up, and takes IAM", () => {
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

  it("is as large as the configuration says", () => {
    const database = { name: "backstop", user: "backstop_run", capacity: { least: 1, most: 16 } };
    aTemplate(anExample({ ...created, database })).hasResourceProperties("AWS::RDS::DBCluster", {
      ServerlessV2ScalingConfiguration: { MinCapacity: 1, MaxCapacity: 16 },
    });
  });

  it("stands behind a proxy that takes TLS and IAM alone, and signs in as one user", () => {
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
        Statement: [{ Action: "rds-db:connect", Effect: "Allow", Resource: dbUser(cluster, "backstop_run") }],
      },
    });
  });

  it("lets in the proxy and the migrations, and the proxy lets in the functions", () => {
    const ingress = Object.values(template.findResources("AWS::EC2::SecurityGroupIngress")).map(
      ({ Properties }) =>
        `${Properties["SourceSecurityGroupId"]["Fn::GetAtt"][0]} → ${Properties["GroupId"]["Fn::GetAtt"][0]}`,
    );
    expect(ingress.map((rule) => rule.replaceAll(/[0-9A-F]{8}/g, "")).sort()).toEqual([
      "DatabaseProxySecurityGroup → DatabaseSecurityGroup",
      "FollowUpsWorkerSecurityGroup → DatabaseProxySecurityGroup",
      "MigrationSecurityGroup → DatabaseSecurityGroup",
    ]);
  });
});

describe("the migrations of a deploy", () => {
  it("come after the roles, and before any function is switched over", () => {
    const [trigger] = ids("Custom::Trigger");
    const [roles] = ids("Custom::AWS");
    expect(dependenciesOf("Custom::Trigger")).toContain(roles);
    for (const FunctionName of ["backstop-dev-follow-ups", "backstop-dev-deliver"]) {
      const found = Object.values(
        withWebhooks.findResources("AWS::Lambda::Function", { Properties: { FunctionName } }),
      );
      expect(found.flatMap(({ DependsOn }) => DependsOn)).toContain(trigger);
    }
  });

  it("run again whenever the function that applies them has changed", () => {
    const [version] = ids("AWS::Lambda::Version");
    template.hasResourceProperties("Custom::Trigger", { HandlerArn: { Ref: version }, ExecuteOnHandlerChange: true });
  });

  it("go to the database itself, as a user of their own", () => {
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

  it("go to an existing database where one is named, and are no part of the stack where they are not asked for", () => {
    const migrate = {
      user: "owner",
      host: "db.cluster-abc.eu-central-1.rds.amazonaws.com",
      resourceId: "cluster-ABCDEFGHIJ",
      securityGroupId: "sg-0fedcba9876543210",
    };
    const existing = aTemplate(anExample({ migrate }));
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

it.each([
  ["without a way to the internet", created],
  ["with one", { ...everything, ...created }],
])("the whole passes the AwsSolutions rules %s", (_, changes) => {
  const stack = aStack(anExample(changes));
  expect(new AwsSolutionsChecks(stack).validateScope(stack).violations.map(({ ruleName }) => ruleName)).toEqual([]);
});

it("every role of the whole stays inside the boundary", () => {
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
