import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { Match, type Template } from "aws-cdk-lib/assertions";
import { AwsSolutionsChecks } from "cdk-nag";
import { PROJECT } from "../../infra/bundle.ts";
import { findingsOf } from "../../infra/findings.ts";
import { long } from "../support/long.ts";
import { anExample, aStack, aTemplate, created, inbound, lookupsOf, regulated } from "./example.ts";

const stack = aStack(anExample(regulated));
const template = aTemplate(anExample(regulated));
const plain = aTemplate(anExample({ ...inbound, ...created }));
const [keyId = ""] = Object.keys(template.findResources("AWS::KMS::Key"));
const KEY = { "Fn::GetAtt": [keyId, "Arn"] };

const propertiesOf = (from: Template, type: string) =>
  Object.values(from.findResources(type)).map(({ Properties }) => Properties as Readonly<Record<string, unknown>>);

describe("a stage with a customer-managed key", () => {
  it("has one key, which rotates and survives the stage", () => {
    template.resourceCountIs("AWS::KMS::Key", 1);
    template.hasResource("AWS::KMS::Key", { Properties: { EnableKeyRotation: true }, DeletionPolicy: "Retain" });
    plain.resourceCountIs("AWS::KMS::Key", 0);
  });

  it.each([
    ["AWS::Logs::LogGroup", "KmsKeyId"],
    ["AWS::SQS::Queue", "KmsMasterKeyId"],
    ["AWS::Events::EventBus", "KmsKeyIdentifier"],
    ["AWS::SNS::Topic", "KmsMasterKeyId"],
    ["AWS::RDS::DBCluster", "KmsKeyId"],
    ["AWS::RDS::DBCluster", "PerformanceInsightsKmsKeyId"],
    ["AWS::RDS::DBInstance", "PerformanceInsightsKMSKeyId"],
  ])("encrypts every %s with it (%s)", (type, property) => {
    const encrypted = propertiesOf(template, type);
    expect(encrypted.length).toBeGreaterThan(0);
    for (const properties of encrypted) expect(properties[property]).toEqual(KEY);
    for (const properties of propertiesOf(plain, type)) expect(properties[property]).toBeUndefined();
  });

  long.it("encrypts the administrator's secret with it, with and without rotation by RDS", () => {
    template.hasResourceProperties("AWS::RDS::DBCluster", { MasterUserSecret: { KmsKeyId: KEY } });
    const database = { name: "backstop", user: "backstop_run" };
    const unrotated = aTemplate(anExample({ ...regulated, database }));
    unrotated.hasResourceProperties("AWS::SecretsManager::Secret", { KmsKeyId: Match.objectLike({}) });
  });

  it("lets CloudWatch Logs use it for each of its log groups, and for no other stage's", () => {
    const statements = propertiesOf(template, "AWS::KMS::Key").flatMap(
      ({ KeyPolicy }) => (KeyPolicy as { Statement: readonly Record<string, never>[] }).Statement,
    );
    const ofLogs = statements.find(({ Principal }) => Principal?.["Service"] === "logs.eu-central-1.amazonaws.com");
    const patterns: readonly string[] =
      ofLogs?.["Condition"]?.["ArnLike"]?.["kms:EncryptionContext:aws:logs:arn"] ?? [];
    const allowed = (name: string) =>
      patterns.some((pattern) =>
        new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(
          `arn:aws:logs:eu-central-1:111122223333:log-group:${name}`,
        ),
      );
    const groups = propertiesOf(template, "AWS::Logs::LogGroup").map(({ LogGroupName }) => String(LogGroupName));
    expect(groups.filter((name) => !allowed(name))).toEqual([]);
    expect(
      ["/aws/lambda/backstop-other-follow-ups", "/backstop/other/flow", "/aws/lambda/mine"].filter(allowed),
    ).toEqual([]);
  });

  it("encrypts the keys of unsubscribe links and the mails that people send with it", () => {
    template.hasResourceProperties("AWS::SecretsManager::Secret", { Name: "backstop/dev/unsubscribe", KmsKeyId: KEY });
    const [{ ServerSideEncryptionByDefault: chosen }] = propertiesOf(template, "AWS::S3::Bucket").flatMap(
      ({ BucketEncryption }) => (BucketEncryption as Record<string, never>)["ServerSideEncryptionConfiguration"],
    ) as unknown as [Record<string, unknown>];
    expect(chosen).toEqual({ KMSMasterKeyID: KEY, SSEAlgorithm: "aws:kms" });
  });

  it("lets the services that store answers of people use it, for this account only", () => {
    const statements = propertiesOf(template, "AWS::KMS::Key").flatMap(
      ({ KeyPolicy }) => (KeyPolicy as { Statement: readonly Record<string, never>[] }).Statement,
    );
    for (const service of ["ses", "sms-voice"]) {
      const found = statements.filter(({ Principal }) => Principal?.["Service"] === `${service}.amazonaws.com`);
      expect(found).toMatchObject([
        {
          Action: ["kms:Decrypt", "kms:GenerateDataKey*"],
          Condition: { StringEquals: { "aws:SourceAccount": "111122223333" } },
        },
      ]);
    }
  });

  it("lets senders and webhooks decrypt only their secrets, and the intake only mails", () => {
    const decrypting = (prefix: string) =>
      [
        ...Object.entries(template.findResources("AWS::IAM::Policy")),
        ...Object.entries(template.findResources("AWS::IAM::Role")),
      ]
        .filter(([id]) => id.startsWith(prefix))
        .flatMap(([, { Properties }]) => [Properties, ...(Properties["Policies"] ?? [])])
        .flatMap(({ PolicyDocument }) => PolicyDocument?.["Statement"] ?? [])
        .filter(({ Action, Condition }) => Action === "kms:Decrypt" && Condition)
        .map(({ Condition }) => Condition);
    const through = (service: string) => ({ "kms:ViaService": `${service}.eu-central-1.amazonaws.com` });
    const [secret] = Object.keys(
      template.findResources("AWS::SecretsManager::Secret", { Properties: { Name: "backstop/dev/unsubscribe" } }),
    );
    expect(decrypting("FollowUps")).toContainEqual({
      StringEquals: through("secretsmanager"),
      StringLike: { "kms:EncryptionContext:SecretARN": { Ref: secret } },
    });
    expect(decrypting("Webhooks")).toEqual([
      {
        StringEquals: through("secretsmanager"),
        StringLike: {
          "kms:EncryptionContext:SecretARN": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:backstop/dev/*",
        },
      },
    ]);
    expect(decrypting("Intake")).toEqual([{ StringEquals: through("s3") }]);
  });

  it.each(["FollowUps", "Intake", "ScheduleRole"])("lets %s encrypt what it puts into a queue", (prefix) => {
    const policies = Object.entries(template.findResources("AWS::IAM::Policy"));
    const statements = policies
      .filter(([id]) => id.startsWith(prefix))
      .flatMap(([, { Properties }]) => Properties["PolicyDocument"]["Statement"]);
    const onKey = statements.filter(({ Resource }) => JSON.stringify(Resource) === JSON.stringify(KEY));
    const actions = onKey.flatMap(({ Action }) => Action);
    expect(actions).toContain("kms:Decrypt");
    expect(actions.filter((action: string) => action.startsWith("kms:GenerateDataKey"))).toHaveLength(1);
  });
});

describe("the options of a created database", () => {
  it("add a second instance, to which Aurora fails over", () => {
    expect(propertiesOf(template, "AWS::RDS::DBInstance").map((one) => one["PromotionTier"])).toEqual([0, 1]);
    plain.resourceCountIs("AWS::RDS::DBInstance", 1);
  });

  it("export PostgreSQL's log without values of rows, to a log group that exists before", () => {
    template.hasResource("AWS::RDS::DBCluster", {
      Properties: { EnableCloudwatchLogsExports: ["postgresql"] },
      DependsOn: [Match.stringLikeRegexp("ClusterLog")],
    });
    template.hasResourceProperties("AWS::RDS::DBClusterParameterGroup", {
      Parameters: { log_error_verbosity: "terse" },
    });
    template.hasResourceProperties("AWS::Logs::LogGroup", {
      LogGroupName: "/aws/rds/cluster/backstop-dev/postgresql",
      RetentionInDays: 400,
    });
    plain.hasResourceProperties("AWS::RDS::DBCluster", { EnableCloudwatchLogsExports: Match.absent() });
  });

  it("let RDS rotate the administrator's password, which the roles' statement then uses", () => {
    template.hasResourceProperties("AWS::RDS::DBCluster", {
      ManageMasterUserPassword: true,
      MasterUserPassword: Match.absent(),
    });
    const secrets = (from: Template) => propertiesOf(from, "AWS::SecretsManager::Secret").filter(({ Name }) => !Name);
    expect(secrets(template)).toEqual([]);
    const [statement] = propertiesOf(template, "Custom::AWS");
    expect(JSON.stringify(statement?.["Create"])).toContain("MasterUserSecret.SecretArn");
    expect(secrets(plain)).toHaveLength(1);
  });
});

describe("a stage", () => {
  it("with all options needs no credentials to synthesise", () => {
    expect(lookupsOf(anExample(regulated))).toEqual([]);
  });

  it("keeps its log groups after a destroy only if configured", () => {
    const policies = (from: Template) =>
      Object.values(from.findResources("AWS::Logs::LogGroup")).map((group) => group["DeletionPolicy"]);
    expect(new Set(policies(template))).toEqual(new Set(["Retain"]));
    expect(new Set(policies(plain))).toEqual(new Set(["Delete"]));
  });

  it("is protected from deletion only if configured", () => {
    expect(stack.terminationProtection).toBe(true);
    expect(aStack(anExample({ terminationProtection: false })).terminationProtection).toBe(false);
  });

  it("changes no existing security group if configured so, and says which rules are missing", () => {
    const migrate = {
      host: "db.cluster-abc.eu-central-1.rds.amazonaws.com",
      resourceId: "cluster-ABCDEFGHIJ",
      securityGroupId: "sg-0fedcba9876543210",
    };
    const changed = aTemplate(anExample({ migrate }));
    const kept = aTemplate(anExample({ migrate, intake: {}, changeExistingSecurityGroups: false }));
    changed.resourceCountIs("AWS::EC2::SecurityGroupIngress", 4);
    expect(changed.findOutputs("RequiredRules")).toEqual({});
    kept.resourceCountIs("AWS::EC2::SecurityGroupIngress", 0);
    const own = Object.keys(kept.findResources("AWS::EC2::SecurityGroup"));
    for (const { GroupId } of propertiesOf(kept, "AWS::EC2::SecurityGroupEgress")) {
      expect(own).toContain((GroupId as { "Fn::GetAtt": readonly string[] })["Fn::GetAtt"][0]);
    }
    const output = JSON.stringify(kept.findOutputs("RequiredRules"));
    for (const part of ["sg-0123456789abcdef0 from", "sg-0fedcba9876543210 from", ...own])
      expect(output).toContain(part);
  });
});

describe("the rule packs", () => {
  const page = readFile(join(PROJECT, "docs/security.md"), "utf8");
  const rulesUnder = (text: string, heading: string) => {
    const [, section = ""] = text.split(`## ${heading}\n`);
    const [rows = ""] = section.split("\n## ");
    return [...rows.matchAll(/^\| `([^`]+)` \|/gm)]
      .map(([, rule = ""]) => rule)
      .sort((one, other) => one.localeCompare(other));
  };
  const remaining = findingsOf(stack).map(({ rule }) => rule);

  it("for NIST 800-53 and PCI DSS find what the page lists, with a reason each", async () => {
    expect(rulesUnder(await page, "What remains")).toEqual(remaining);
  });

  it("find in a stage without the options also what the page says an option removes", async () => {
    const all = findingsOf(aStack(anExample({ ...inbound, ...created }))).map(({ rule }) => rule);
    expect(rulesUnder(await page, "What an option removes")).toEqual(all.filter((rule) => !remaining.includes(rule)));
  });

  it("of AWS find nothing in a stage with all options", () => {
    expect(new AwsSolutionsChecks(stack).validateScope(stack).violations.map(({ ruleName }) => ruleName)).toEqual([]);
  });
});
