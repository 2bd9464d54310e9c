import { Duration, RemovalPolicy, Validations } from "aws-cdk-lib";
import { type IVpc, SecurityGroup, type SubnetSelection } from "aws-cdk-lib/aws-ec2";
import { Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
  DatabaseProxy,
  DefaultAuthScheme,
  ProxyTarget,
} from "aws-cdk-lib/aws-rds";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";

export interface CreatedDatabaseProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly vpc: IVpc;
  readonly subnets: SubnetSelection;
}

const ADMINISTRATOR = "backstop_admin";
const BACKUPS = Duration.days(7);
/** In Aurora capacity units. */
const CAPACITY = { least: 0.5, most: 4 };

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
      description: "Backstop: the database. The proxy and the migrations come in; nothing goes out.",
      allowAllOutbound: false,
    });
    this.cluster = this.makeCluster(props);
    this.proxySecurityGroup = new SecurityGroup(this, "ProxySecurityGroup", {
      vpc: props.vpc,
      description: "Backstop: the proxy before the database. Functions come in, the database is all it goes out to.",
      allowAllOutbound: false,
    });
    this.proxy = this.makeProxy(props);
    this.acknowledge();
  }

  private makeCluster({ configuration, names, vpc, subnets }: CreatedDatabaseProps): DatabaseCluster {
    const { least, most } = configuration.database.capacity ?? CAPACITY;
    return new DatabaseCluster(this, "Cluster", {
      clusterIdentifier: names.stack,
      engine: DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_17_9 }),
      defaultDatabaseName: configuration.database.name,
      credentials: Credentials.fromGeneratedSecret(ADMINISTRATOR),
      writer: ClusterInstance.serverlessV2("Writer", { publiclyAccessible: false }),
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
    });
  }

  private makeProxy({ configuration, names, vpc, subnets }: CreatedDatabaseProps): DatabaseProxy {
    const role = new Role(this, "ProxyRole", { assumedBy: new ServicePrincipal("rds.amazonaws.com") });
    // With end-to-end IAM the proxy signs in to the database as the function's own user.
    this.cluster.grantConnect(role, configuration.database.user);
    return new DatabaseProxy(this, "Proxy", {
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
  }

  private acknowledge(): void {
    Validations.of(this.cluster).acknowledge(
      {
        id: "AwsSolutions-RDS11",
        reason:
          "A port that is not the usual one hides nothing: the database is reached from named security groups only.",
      },
      {
        id: "AwsSolutions-SMG4",
        reason: "The administrator makes the two roles, through the Data API; functions and people sign in with IAM.",
      },
    );
  }
}
