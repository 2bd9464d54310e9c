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
import type { Configuration } from "./configuration.ts";

export const POSTGRESQL = Port.tcp(5432);

/** What the functions stand on: a network, and a proxy in it that lets them at the database. */
export interface Foundation {
  readonly vpc: IVpc;
  /** Where the functions have their network interfaces. */
  readonly subnets: SubnetSelection;
  readonly proxy: IDatabaseProxy;
  readonly proxySecurityGroup: ISecurityGroup;
  /** As CloudWatch knows it. */
  readonly proxyName: string;
}

type Proxy = NonNullable<Configuration["proxy"]>;

/** A network and a proxy that were there before. They are taken at their word: nothing is looked up. */
export function existingFoundation(scope: Construct, { vpc }: Configuration, proxy: Proxy): Foundation {
  const securityGroup = SecurityGroup.fromSecurityGroupId(scope, "ProxySecurityGroup", proxy.securityGroupId);
  return {
    vpc: existingVpc(scope, vpc),
    subnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
    proxy: existingProxy(scope, proxy, securityGroup),
    proxySecurityGroup: securityGroup,
    proxyName: proxy.name,
  };
}

export function existingVpc(scope: Construct, vpc: Configuration["vpc"]): IVpc {
  if (vpc.vpcId === undefined || vpc.privateSubnetIds === undefined) throw new Error("there is no vpcId");
  const found = Vpc.fromVpcAttributes(scope, "Vpc", {
    vpcId: vpc.vpcId,
    availabilityZones: [...vpc.availabilityZones],
    privateSubnetIds: [...vpc.privateSubnetIds],
  });
  Validations.of(found).acknowledge({
    id: "Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
    reason: "Nothing in this stack reads or changes the routes of the subnets.",
  });
  return found;
}

function existingProxy(
  scope: Construct,
  { name, arn, endpoint }: Proxy,
  securityGroup: ISecurityGroup,
): IDatabaseProxy {
  return DatabaseProxy.fromDatabaseProxyAttributes(scope, "Proxy", {
    dbProxyName: name,
    dbProxyArn: arn,
    endpoint,
    securityGroups: [securityGroup],
  });
}
