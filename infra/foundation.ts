import { Validations } from "aws-cdk-lib";
import {
  type ISecurityGroup,
  type IVpc,
  Port,
  SecurityGroup,
  type SubnetSelection,
  SubnetType,
  Vpc,
} from "aws-cdk-lib/aws-ec2";
import { DatabaseProxy, type IDatabaseProxy } from "aws-cdk-lib/aws-rds";
import type { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import { type Configuration, DEFAULT_MIGRATOR } from "./configuration.ts";
import { CreatedDatabase, DatabaseRoles } from "./created-database.ts";
import type { LogSettings } from "./logs.ts";
import { CreatedNetwork } from "./network.ts";

interface FoundationSettings extends LogSettings {
  readonly names: StageNames;
}

export const POSTGRESQL = Port.tcp(5432);

/** The database itself, without the proxy. */
export interface DirectDatabase {
  readonly host: string;
  /** Resource id of the cluster or instance, as IAM uses it. */
  readonly resourceId: string;
  readonly user: string;
  readonly securityGroup: ISecurityGroup;
}

/** The network and the database proxy that the functions use. */
export interface Foundation {
  readonly vpc: IVpc;
  /** Subnets of the functions' network interfaces. */
  readonly subnets: SubnetSelection;
  readonly proxy: IDatabaseProxy;
  readonly proxySecurityGroup: ISecurityGroup;
  /** The proxy's name in CloudWatch. */
  readonly proxyName: string;
  /** Target of migrations. */
  readonly direct: DirectDatabase | undefined;
  /** Creates the database roles, if the stack creates the database. */
  readonly roles: Construct | undefined;
}

/** Uses the network and proxy that the configuration names, and creates those that it does not. */
export function foundationOf(scope: Construct, settings: FoundationSettings): Foundation {
  const { proxy } = settings.configuration;
  return proxy ? existingFoundation(scope, settings.configuration, proxy) : createdFoundation(scope, settings);
}

function createdFoundation(scope: Construct, settings: FoundationSettings): Foundation {
  const { configuration, names } = settings;
  const { vpc, functions, database: subnets } = networkOf(scope, settings);
  const database = new CreatedDatabase(scope, "Database", { ...settings, vpc, subnets });
  const { cluster, proxy, proxySecurityGroup } = database;
  const migrator = configuration.migrate?.user ?? DEFAULT_MIGRATOR;
  return {
    vpc,
    subnets: functions,
    proxy,
    proxySecurityGroup,
    proxyName: names.stack,
    direct: {
      host: cluster.clusterEndpoint.hostname,
      resourceId: cluster.clusterResourceIdentifier,
      user: migrator,
      securityGroup: database.clusterSecurityGroup,
    },
    roles: new DatabaseRoles(scope, "DatabaseRoles", { ...settings, cluster, migrator }),
  };
}

interface Network {
  readonly vpc: IVpc;
  readonly functions: SubnetSelection;
  readonly database: SubnetSelection;
}

function networkOf(scope: Construct, settings: FoundationSettings): Network {
  const { configuration } = settings;
  if (configuration.vpc.vpcId === undefined) return new CreatedNetwork(scope, "Network", settings);
  const subnets = { subnetType: SubnetType.PRIVATE_WITH_EGRESS };
  return { vpc: existingVpc(scope, configuration.vpc), functions: subnets, database: subnets };
}

type Migrate = NonNullable<Configuration["migrate"]>;
type Proxy = NonNullable<Configuration["proxy"]>;

/** An existing network and proxy, exactly as configured: nothing is looked up in the account. */
function existingFoundation(scope: Construct, configuration: Configuration, proxy: Proxy): Foundation {
  const { vpc, migrate, changeExistingSecurityGroups: mutable } = configuration;
  const securityGroup = SecurityGroup.fromSecurityGroupId(scope, "ProxySecurityGroup", proxy.securityGroupId, {
    mutable,
  });
  return {
    vpc: existingVpc(scope, vpc),
    subnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
    proxy: DatabaseProxy.fromDatabaseProxyAttributes(scope, "Proxy", {
      dbProxyName: proxy.name,
      dbProxyArn: proxy.arn,
      endpoint: proxy.endpoint,
      securityGroups: [securityGroup],
    }),
    proxySecurityGroup: securityGroup,
    proxyName: proxy.name,
    direct: migrate && directDatabase(scope, migrate, mutable),
    roles: undefined,
  };
}

function directDatabase(scope: Construct, migrate: Migrate, mutable: boolean): DirectDatabase {
  const { host, resourceId, securityGroupId, user } = migrate;
  if (!host || !resourceId || !securityGroupId)
    throw new Error("the configuration does not name the database to migrate");
  const securityGroup = SecurityGroup.fromSecurityGroupId(scope, "DatabaseSecurityGroup", securityGroupId, { mutable });
  return { host, resourceId, user, securityGroup };
}

function existingVpc(scope: Construct, vpc: Configuration["vpc"]): IVpc {
  if (vpc.vpcId === undefined || vpc.privateSubnetIds === undefined)
    throw new Error("the configuration lacks vpcId or privateSubnetIds");
  const found = Vpc.fromVpcAttributes(scope, "Vpc", {
    vpcId: vpc.vpcId,
    availabilityZones: [...vpc.availabilityZones],
    privateSubnetIds: [...vpc.privateSubnetIds],
  });
  Validations.of(found).acknowledge({
    id: "Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
    reason: "This stack neither reads nor changes the routes of the subnets.",
  });
  return found;
}
