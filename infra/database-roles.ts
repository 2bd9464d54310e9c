import { createHash } from "node:crypto";
import { RemovalPolicy, type Stack, Validations } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import type { DatabaseCluster } from "aws-cdk-lib/aws-rds";
import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from "aws-cdk-lib/custom-resources";
import { Construct } from "constructs";
import type { Configuration } from "./configuration.ts";

export interface Roles {
  readonly database: string;
  /** May read and write rows. */
  readonly runner: string;
  /** May create and alter tables. */
  readonly migrator: string;
}

/**
 * One idempotent statement that creates both roles with IAM sign-in. It grants what they need, also on future tables.
 * The configuration schema allows only names that need no quotes.
 */
export function rolesStatement({ database, runner, migrator }: Roles): string {
  const make = (role: string) =>
    `if not exists (select from pg_roles where rolname = '${role}') then create role ${role} login; end if; grant rds_iam to ${role}; grant connect on database ${database} to ${role};`;
  return [
    "do $$ begin",
    make(runner),
    make(migrator),
    `grant create on database ${database} to ${migrator};`,
    `grant usage, create on schema public to ${migrator};`,
    `grant usage on schema public to ${runner};`,
    `grant ${migrator} to current_user;`,
    `alter default privileges for role ${migrator} in schema public grant select, insert, update, delete on tables to ${runner};`,
    "end $$",
  ].join("\n");
}

/** Creates the roles of the stack's own database, as its administrator, through the Data API. */
export class DatabaseRoles extends Construct {
  constructor(scope: Construct, id: string, cluster: DatabaseCluster, configuration: Configuration, migrator: string) {
    super(scope, id);
    const { name, user } = configuration.database;
    const sql = rolesStatement({ database: name, runner: user, migrator });
    const secretArn = cluster.secret?.secretArn ?? "";
    const call = {
      service: "rds-data",
      action: "ExecuteStatement",
      parameters: { resourceArn: cluster.clusterArn, secretArn, database: name, sql },
      physicalResourceId: PhysicalResourceId.of(createHash("sha256").update(sql).digest("hex")),
    };
    const resource = new AwsCustomResource(this, "Statement", {
      onCreate: call,
      onUpdate: call,
      installLatestAwsSdk: false,
      policy: AwsCustomResourcePolicy.fromStatements([
        new PolicyStatement({ actions: ["rds-data:ExecuteStatement"], resources: [cluster.clusterArn] }),
        new PolicyStatement({ actions: ["secretsmanager:GetSecretValue"], resources: [secretArn] }),
      ]),
      logGroup: new LogGroup(this, "Log", {
        logGroupName: `/backstop/${configuration.stage}/database-roles`,
        retention: configuration.logRetentionDays,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    });
    // The Data API needs an instance, not only the cluster.
    resource.node.addDependency(cluster);
  }
}

/** The CDK defines the functions behind custom resources, with their roles and runtimes. We cannot change them. */
export function acknowledgeProviders(stack: Stack): void {
  for (const child of stack.node.children) {
    if (!/^(AWS679f53fac002430cb0da5b7982bd2287|AWSCDK\.Trigger.*)$/.test(child.node.id)) continue;
    Validations.of(child).acknowledge(
      {
        id: "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]",
        reason:
          "The provider is the cloud development kit's own; it may write its log, and no more than that by this policy.",
      },
      { id: "AwsSolutions-L1", reason: "The provider is the cloud development kit's own, and it chooses the runtime." },
    );
  }
}
