import { type Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { type IVpc, Peer, Port, SecurityGroup } from "aws-cdk-lib/aws-ec2";
import {
  Architecture,
  type EventInvokeConfigOptions,
  Function as LambdaFunction,
  Runtime,
} from "aws-cdk-lib/aws-lambda";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { codeOfFunction } from "./bundle.ts";
import { channelsOf, letUseChannels, NO_CHANNELS } from "./channels.ts";
import type { Configuration } from "./configuration.ts";
import { type Foundation, POSTGRESQL } from "./foundation.ts";
import { FunctionRole } from "./function-role.ts";

export interface WorkerFunctionProps {
  readonly configuration: Configuration;
  readonly revision: string;
  readonly foundation: Foundation;
  /** The file in functions/, without its ending. */
  readonly entry: string;
  readonly functionName: string;
  readonly logGroupName: string;
  readonly description: string;
  readonly timeout: Duration;
  /** Whether it sends touches: then it may use the channels of the stage. */
  readonly sends: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly reservedConcurrency?: number | undefined;
  readonly whenInvokedAsynchronously?: EventInvokeConfigOptions;
}

/** A function that works on the database, with the permissions, the network and the log for that and no others. */
export class WorkerFunction extends Construct {
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, props: WorkerFunctionProps) {
    super(scope, id);
    const { configuration, foundation, sends } = props;
    const channels = sends ? channelsOf(configuration, Stack.of(this)) : NO_CHANNELS;
    this.function = this.makeFunction(props, { ...environmentOf(props), ...channels.environment });
    const { proxySecurityGroup } = foundation;
    this.function.connections.allowTo(proxySecurityGroup, POSTGRESQL, "Backstop: PostgreSQL through RDS Proxy");
    foundation.proxy.grantConnect(this.function, configuration.database.user);
    letUseChannels(this.function, channels);
  }

  private makeFunction(props: WorkerFunctionProps, environment: Readonly<Record<string, string>>): LambdaFunction {
    const { configuration, foundation, functionName, reservedConcurrency } = props;
    const logGroup = logGroupOf(this, props.logGroupName, configuration);
    return new LambdaFunction(this, "Function", {
      ...codeOf(props.entry),
      functionName,
      description: props.description,
      // The share of a processor grows with the memory, and starting cold is the dearest part of a run.
      memorySize: 1024,
      timeout: props.timeout,
      role: new FunctionRole(this, "Role", { functionName, logGroup }),
      logGroup,
      vpc: foundation.vpc,
      vpcSubnets: foundation.subnets,
      securityGroups: [securityGroupOf(this, foundation.vpc, props.entry)],
      environment,
      ...(reservedConcurrency !== undefined && { reservedConcurrentExecutions: reservedConcurrency }),
      ...props.whenInvokedAsynchronously,
    });
  }
}

/** With a small nursery a run stays below 256 MB however much is due (`npm run bench -- engine`). */
export const NODE_OPTIONS = "--enable-source-maps --max-semi-space-size=8";

/** What all functions have in common in how they are built and run. */
export function codeOf(entry: string) {
  return {
    code: codeOfFunction(entry),
    handler: "index.handler",
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
  };
}

export function logGroupOf(scope: Construct, logGroupName: string, configuration: Configuration): LogGroup {
  const retention = configuration.logRetentionDays;
  return new LogGroup(scope, "Log", { logGroupName, retention, removalPolicy: RemovalPolicy.DESTROY });
}

function securityGroupOf(scope: Construct, vpc: IVpc, entry: string): SecurityGroup {
  const description = `Backstop: the function ${entry}. Nothing comes in.`;
  const group = new SecurityGroup(scope, "SecurityGroup", { vpc, description, allowAllOutbound: false });
  group.addEgressRule(Peer.anyIpv4(), Port.tcp(443), "HTTPS to the providers, whose addresses change");
  return group;
}

function environmentOf({ configuration, foundation, revision, environment }: WorkerFunctionProps) {
  const { database, logLevel, batchSize } = configuration;
  return {
    DATABASE_HOST: foundation.proxy.endpoint,
    DATABASE_PORT: "5432",
    DATABASE_NAME: database.name,
    DATABASE_USER: database.user,
    LOG_LEVEL: logLevel,
    NODE_OPTIONS,
    GIT_REVISION: revision,
    ...(batchSize !== undefined && { RUN_BATCH_SIZE: String(batchSize) }),
    ...environment,
  };
}
