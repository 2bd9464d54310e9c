import { Stack, Validations } from "aws-cdk-lib";
import {
  FlowLogDestination,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type IVpc,
  Peer,
  Port,
  SecurityGroup,
  type SubnetConfiguration,
  type SubnetSelection,
  SubnetType,
  Vpc,
} from "aws-cdk-lib/aws-ec2";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import { channelsOf, type VpcEndpoint } from "./channels.ts";
import type { Configuration } from "./configuration.ts";
import { type LogSettings, logGroupNamed } from "./logs.ts";

interface NetworkProps extends LogSettings {
  readonly names: StageNames;
}

const ADDRESSES = "10.0.0.0/16";

/**
 * A network of two or more zones for one stage. Webhooks need the internet, so they add a NAT gateway. Without webhooks
 * the subnets are isolated, and each service that the functions call has an endpoint.
 */
export class CreatedNetwork extends Construct {
  readonly vpc: IVpc;
  readonly functions: SubnetSelection = { subnetGroupName: "functions" };
  readonly database: SubnetSelection = { subnetGroupName: "database" };

  constructor(scope: Construct, id: string, { configuration, names, key }: NetworkProps) {
    super(scope, id);
    const internet = needsInternet(configuration, Stack.of(this));
    const vpc = new Vpc(this, "Vpc", {
      vpcName: names.stack,
      ipAddresses: IpAddresses.cidr(ADDRESSES),
      availabilityZones: [...configuration.vpc.availabilityZones],
      natGateways: internet ? 1 : 0,
      subnetConfiguration: subnets(internet),
      // Nothing uses the default security group, and restricting it would add a custom resource with its own function.
      restrictDefaultSecurityGroup: false,
    });
    const logGroup = logGroupNamed(`/backstop/${configuration.stage}/flow`, this, "FlowLog", { configuration, key });
    vpc.addFlowLog("Flow", { destination: FlowLogDestination.toCloudWatchLogs(logGroup) });
    Validations.of(vpc).acknowledge({
      id: "CloudFormation-Validate::W3010",
      reason: "The zones are configured, so that a synth asks the account for nothing and repeats the same template.",
    });
    if (!internet) this.addEndpoints(vpc, configuration);
    // With exactOptionalPropertyTypes the CDK's class does not match its own interface.
    this.vpc = vpc as IVpc;
  }

  private addEndpoints(vpc: Vpc, configuration: Configuration): void {
    const description = "Backstop: the endpoints of the services that the functions call.";
    const group = new SecurityGroup(this, "Endpoints", { vpc: vpc as IVpc, description, allowAllOutbound: false });
    group.addIngressRule(Peer.ipv4(ADDRESSES), Port.tcp(443), "HTTPS from inside the network");
    for (const { id, service } of vpcEndpointsOf(configuration, Stack.of(this))) {
      if (service instanceof GatewayVpcEndpointAwsService) {
        vpc.addGatewayEndpoint(id, { service, subnets: [this.functions] });
        continue;
      }
      vpc.addInterfaceEndpoint(id, { service, subnets: this.functions, securityGroups: [group], open: false });
    }
  }
}

function subnets(internet: boolean): SubnetConfiguration[] {
  const { PRIVATE_WITH_EGRESS, PRIVATE_ISOLATED, PUBLIC } = SubnetType;
  return [
    { name: "functions", subnetType: internet ? PRIVATE_WITH_EGRESS : PRIVATE_ISOLATED, cidrMask: 22 },
    { name: "database", subnetType: PRIVATE_ISOLATED, cidrMask: 24 },
    ...(internet ? [{ name: "public", subnetType: PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false }] : []),
  ];
}

/**
 * The VPC endpoints that the configuration needs. Database, logs, metrics and failed invocations need none: RDS Proxy
 * is in the VPC, the function signs its own database tokens, and Lambda delivers the rest.
 */
export function vpcEndpointsOf(configuration: Configuration, stack: Stack): readonly VpcEndpoint[] {
  const { delivery, intake, replies } = configuration;
  const queues = [...(delivery ? ["deliveries"] : []), ...(intake ? ["refused events"] : [])];
  return eachOnce([
    ...channelsOf(configuration, stack).endpoints,
    ...(queues.length > 0
      ? [{ id: "Queue", service: InterfaceVpcEndpointAwsService.SQS, use: queues.join(" and ") }]
      : []),
    ...(replies ? [{ id: "S3", service: GatewayVpcEndpointAwsService.S3, use: "mails that people send" }] : []),
  ]);
}

/** One endpoint of each service, with all its uses. */
function eachOnce(endpoints: readonly VpcEndpoint[]): readonly VpcEndpoint[] {
  const byId = Object.groupBy(endpoints, ({ id }) => id);
  return Object.values(byId).flatMap((same = []) => {
    const [first] = same;
    return first ? [{ ...first, use: same.map(({ use }) => use).join(" and ") }] : [];
  });
}

/** Only webhooks, of touches and of digests, go to the public internet. */
export const needsInternet = (configuration: Configuration, stack: Stack): boolean =>
  channelsOf(configuration, stack).internet || configuration.digestWebhooks;
