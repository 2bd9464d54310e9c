import { createHash } from "node:crypto";
import { Duration, RemovalPolicy, Stack, Validations } from "aws-cdk-lib";
import { type IVpc, SecurityGroup, type SubnetSelection } from "aws-cdk-lib/aws-ec2";
import { PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import {
  AuroraPostgresEngineVersion,
  DatabaseCluster,
  DatabaseClusterEngine,
  DatabaseProxy,
  DefaultAuthScheme,
  ProxyTarget,
} from "aws-cdk-lib/aws-rds";
import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from "aws-cdk-lib/custom-resources";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import { clusterOptionsOf } from "./cluster-options.ts";
import { CAPACITY } from "./connections.ts";
import { type LogSettings, logGroupNamed } from "./logs.ts";

interface CreatedDatabaseProps extends LogSettings {
  readonly names: StageNames;
  readonly vpc: IVpc;
  readonly subnets: SubnetSelection;
}

const BACKUPS = Duration.days(7);

/** Aurora Serverless PostgreSQL behind an RDS Proxy. Both accept IAM tokens; the functions have no password. */
export class CreatedDatabase extends Construct {
  readonly cluster: DatabaseCluster;
  readonly clusterSecurityGroup: SecurityGroup;
  readonly proxy: DatabaseProxy;
  readonly proxySecurityGroup: SecurityGroup;

  constructor(scope: Construct, id: string, props: CreatedDatabaseProps) {
    super(scope, id);
    this.clusterSecurityGroup = new SecurityGroup(this, "SecurityGroup", {
      vpc: props.vpc,
      description: "Backstop: the database. Inbound from the proxy and the migrations, no outbound.",
      allowAllOutbound: false,
    });
    this.cluster = this.makeCluster(props);
    this.proxySecurityGroup = new SecurityGroup(this, "ProxySecurityGroup", {
      vpc: props.vpc,
      description: "Backstop: the proxy. Inbound from the functions, outbound to the database.",
      allowAllOutbound: false,
    });
    this.proxy = this.makeProxy(props);
    this.acknowledge();
  }

  private makeCluster(props: CreatedDatabaseProps): DatabaseCluster {
    const { configuration, names, vpc, subnets } = props;
    const { least, most } = configuration.database.capacity ?? CAPACITY;
    const cluster = new DatabaseCluster(this, "Cluster", {
      clusterIdentifier: names.stack,
      engine: DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_17_9 }),
      defaultDatabaseName: configuration.database.name,
      serverlessV2MinCapacity: least,
      serverlessV2MaxCapacity: most,
      vpc,
      vpcSubnets: subnets,
      securityGroups: [this.clusterSecurityGroup],
      iamAuthentication: true,
      enableDataApi: true,
      storageEncrypted: true,
      deletionProtection: true,
      removalPolicy: RemovalPolicy.SNAPSHOT,
      backup: { retention: BACKUPS },
      copyTagsToSnapshot: true,
      ...clusterOptionsOf(props),
    });
    if (configuration.database.exportLog) {
      const name = `/aws/rds/cluster/${names.stack}/postgresql`;
      // Otherwise RDS would create the log group, without retention and key.
      cluster.node.addDependency(logGroupNamed(name, this, "ClusterLog", props));
    }
    return cluster;
  }

  private makeProxy(props: CreatedDatabaseProps): DatabaseProxy {
    const { configuration, names, vpc, subnets } = props;
    const role = new Role(this, "ProxyRole", { assumedBy: new ServicePrincipal("rds.amazonaws.com") });
    // With end-to-end IAM the proxy signs in to the database as the function's own user.
    const { user, lookUser } = configuration.database;
    for (const one of [user, lookUser]) this.cluster.grantConnect(role, one);
    const proxy = new DatabaseProxy(this, "Proxy", {
      dbProxyName: names.stack,
      proxyTarget: ProxyTarget.fromCluster(this.cluster),
      defaultAuthScheme: DefaultAuthScheme.IAM_AUTH,
      role,
      requireTLS: true,
      vpc,
      vpcSubnets: subnets,
      securityGroups: [this.proxySecurityGroup],
      // Shorter than a run, so that a run without a connection can still report it.
      borrowTimeout: Duration.seconds(10),
    });
    // Otherwise RDS creates the log group, without the key.
    if (props.key) proxy.node.addDependency(logGroupNamed(`/aws/rds/proxy/${names.stack}`, this, "ProxyLog", props));
    return proxy;
  }

  private acknowledge(): void {
    Validations.of(this.cluster).acknowledge(
      {
        id: "AwsSolutions-RDS11",
        reason: "Another port would not improve security: only named security groups reach the database.",
      },
      {
        id: "AwsSolutions-SMG4",
        reason:
          "The administrator only creates the roles, through the Data API. Functions and people sign in with IAM.",
      },
    );
  }
}

interface Roles {
  readonly database: string;
  /** May read and write rows. */
  readonly runner: string;
  /** May read rows, and nothing else. */
  readonly reader: string;
  /** May create and alter tables. */
  readonly migrator: string;
}

/**
 * One idempotent statement that creates the roles with IAM sign-in. It grants them, and the administrator who runs it,
 * what they need on present and future tables. The configuration schema allows only names that need no quotes.
 *
 * RDS refuses the password of every role that inherits from `rds_iam`, also through other roles (Aurora User Guide,
 * "Database authentication"). Only a member of the migrator can change its default privileges. The administrator is a
 * member until the end of the statement, and never has both memberships. PostgreSQL 16 and later keep a membership
 * with ADMIN only, from which nothing is inherited.
 */
export function rolesStatement({ database, runner, reader, migrator }: Roles): string {
  const make = (role: string) =>
    `if not exists (select from pg_roles where rolname = '${role}') then create role ${role} login; end if;`;
  const rows = "select, insert, update, delete";
  const all = [runner, reader, migrator].join(", ");
  const defaults = `alter default privileges for role ${migrator} in schema public`;
  return `do $$
declare existing regclass;
begin
  ${make(runner)}
  ${make(reader)}
  ${make(migrator)}
  grant connect on database ${database} to ${all};
  grant create on database ${database} to ${migrator};
  grant usage on schema public to ${runner}, ${reader};
  grant usage, create on schema public to ${migrator};
  grant ${migrator} to current_user;
  ${defaults} grant ${rows} on tables to ${runner}, current_user;
  ${defaults} grant select on tables to ${reader};
  for existing in
    select oid from pg_class
     where relnamespace = 'public'::regnamespace and relkind = 'r' and relowner = '${migrator}'::regrole
  loop
    execute format('grant ${rows} on %s to ${runner}, current_user', existing);
    execute format('grant select on %s to ${reader}', existing);
  end loop;
  revoke ${all} from current_user;
  grant rds_iam to ${all};
  if pg_has_role(current_user, 'rds_iam', 'usage') then
    raise exception '% inherits from rds_iam, and RDS would refuse its password: revoke ${all} from the roles that it is a member of; nothing was changed', current_user;
  end if;
end $$`;
}

interface DatabaseRolesProps extends LogSettings {
  readonly cluster: DatabaseCluster;
  readonly migrator: string;
}

/** Creates the roles of the stack's own database, as its administrator with its password, through the Data API. */
export class DatabaseRoles extends Construct {
  constructor(scope: Construct, id: string, props: DatabaseRolesProps) {
    super(scope, id);
    const { configuration, cluster, migrator } = props;
    const { name, user, lookUser } = configuration.database;
    const sql = rolesStatement({ database: name, runner: user, reader: lookUser, migrator });
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
        ...this.decryptSecret(props),
      ]),
      logGroup: logGroupNamed(`/backstop/${configuration.stage}/database-roles`, this, "Log", props),
    });
    // The Data API needs an instance, not only the cluster.
    resource.node.addDependency(cluster);
  }

  private decryptSecret({ key }: DatabaseRolesProps): readonly PolicyStatement[] {
    if (!key) return [];
    const conditions = { StringEquals: { "kms:ViaService": `secretsmanager.${Stack.of(this).region}.amazonaws.com` } };
    return [new PolicyStatement({ actions: ["kms:Decrypt"], resources: [key.keyArn], conditions })];
  }
}

/** The CDK defines the functions behind custom resources, with their roles and runtimes. We cannot change them. */
export function acknowledgeProviders(stack: Stack): void {
  for (const child of stack.node.children) {
    if (!/^(AWS679f53fac002430cb0da5b7982bd2287|AWSCDK\.Trigger.*)$/.test(child.node.id)) continue;
    Validations.of(child).acknowledge(
      {
        id: "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]",
        reason: "The CDK defines this provider. The policy allows only writing its log.",
      },
      { id: "AwsSolutions-L1", reason: "The CDK defines this provider and its runtime." },
    );
  }
}
