import { Arn, type ArnComponents, ArnFormat, type Duration, Stack, Validations } from "aws-cdk-lib";
import { Peer, Port, SecurityGroup } from "aws-cdk-lib/aws-ec2";
import { Effect, PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import {
  Architecture,
  type EventInvokeConfigOptions,
  Function as LambdaFunction,
  Runtime,
} from "aws-cdk-lib/aws-lambda";
import type { ILogGroup, LogGroup } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import { codeOfFunction } from "./bundle.ts";
import { channelsOf, letUseChannels, NO_CHANNELS } from "./channels.ts";
import type { Configuration } from "./configuration.ts";
import { type Foundation, POSTGRESQL } from "./foundation.ts";
import { type LogSettings, logGroupNamed } from "./logs.ts";
import type { LinkSettings } from "./unsubscribe-links.ts";

/** The parts that all functions of a stage share. */
export interface StageProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly revision: string;
  readonly foundation: Foundation;
  /** The customer-managed key, if the stage has one. */
  readonly key: IKey | undefined;
  /** The stage's own unsubscribe page, if mails link to it. */
  readonly links?: LinkSettings | undefined;
}

interface WorkerFunctionProps extends StageProps {
  /** The file in functions/, without its extension. */
  readonly entry: string;
  /** The name of its exported handler. */
  readonly handler?: string;
  readonly functionName: string;
  readonly description: string;
  readonly timeout: Duration;
  /** In MB. */
  readonly memorySize?: number;
  /** The database role that it signs in as, if it is not that of the runs. */
  readonly databaseUser?: string;
  /** If true, the function sends touches and may use the stage's channels. */
  readonly sends: boolean;
  /** If true, the function reaches the database and nothing else. */
  readonly onlyDatabase?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly reservedConcurrency?: number | undefined;
  readonly whenInvokedAsynchronously?: EventInvokeConfigOptions;
}

/** A function that uses the database, with a minimal role, network access and log group. */
export class WorkerFunction extends Construct {
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, props: WorkerFunctionProps) {
    super(scope, id);
    const { configuration, foundation, sends, databaseUser = configuration.database.user } = props;
    const channels = sends ? channelsOf(configuration, Stack.of(this)) : NO_CHANNELS;
    const links = sends ? props.links : undefined;
    this.function = this.makeFunction(props, {
      ...environmentOf(props, databaseUser),
      ...channels.environment,
      ...links?.environment,
    });
    const { proxySecurityGroup } = foundation;
    this.function.connections.allowTo(proxySecurityGroup, POSTGRESQL, "Backstop: PostgreSQL through RDS Proxy");
    foundation.proxy.grantConnect(this.function, databaseUser);
    letUseChannels(this.function, channels);
    links?.letSign(this.function);
  }

  private makeFunction(props: WorkerFunctionProps, environment: Readonly<Record<string, string>>): LambdaFunction {
    const { foundation, functionName, reservedConcurrency, memorySize = 1024 } = props;
    const logGroup = logGroupOf(this, functionName, props);
    return new LambdaFunction(this, "Function", {
      ...codeOf(props.entry, props.handler),
      functionName,
      description: props.description,
      // CPU grows with memory, and the cold start is the most expensive part of a run.
      memorySize,
      timeout: props.timeout,
      role: new FunctionRole(this, "Role", { functionName, logGroup }),
      logGroup,
      vpc: foundation.vpc,
      vpcSubnets: foundation.subnets,
      securityGroups: [securityGroupOf(this, props)],
      environment,
      ...(reservedConcurrency !== undefined && { reservedConcurrentExecutions: reservedConcurrency }),
      ...props.whenInvokedAsynchronously,
    });
  }
}

/** A small young generation keeps a run below 256 MB, however much is due (`npm run bench -- engine`). */
export const NODE_OPTIONS = "--max-semi-space-size=8";

export const logGroupNameOf = (functionName: string): string => `/aws/lambda/${functionName}`;

/** Properties that all functions share. */
export function codeOf(entry: string, handler = "handler") {
  return {
    code: codeOfFunction(entry),
    handler: `index.${handler}`,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
  };
}

export const logGroupOf = (scope: Construct, functionName: string, settings: LogSettings): LogGroup =>
  logGroupNamed(logGroupNameOf(functionName), scope, "Log", settings);

function securityGroupOf(
  scope: Construct,
  { foundation, entry, handler, onlyDatabase }: WorkerFunctionProps,
): SecurityGroup {
  const description = `Backstop: the function ${handler ?? entry}, without inbound traffic.`;
  const group = new SecurityGroup(scope, "SecurityGroup", {
    vpc: foundation.vpc,
    description,
    allowAllOutbound: false,
  });
  if (onlyDatabase) return group;
  group.addEgressRule(Peer.anyIpv4(), Port.tcp(443), "HTTPS to the providers, whose addresses change");
  return group;
}

function environmentOf(
  { configuration, foundation, revision, environment }: WorkerFunctionProps,
  databaseUser: string,
) {
  const { database, logLevel, batchSize, sendsAtOnce, safetyMarginMs } = configuration;
  return {
    DATABASE_HOST: foundation.proxy.endpoint,
    DATABASE_PORT: "5432",
    DATABASE_NAME: database.name,
    DATABASE_USER: databaseUser,
    LOG_LEVEL: logLevel,
    NODE_OPTIONS,
    GIT_REVISION: revision,
    ...(batchSize !== undefined && { RUN_BATCH_SIZE: String(batchSize) }),
    ...(sendsAtOnce !== undefined && { RUN_SENDS_AT_ONCE: String(sendsAtOnce) }),
    ...(safetyMarginMs !== undefined && { RUN_SAFETY_MARGIN_MS: String(safetyMarginMs) }),
    ...environment,
  };
}

interface FunctionRoleProps {
  readonly functionName: string;
  readonly logGroup: ILogGroup;
}

const NETWORK_INTERFACE_ACTIONS = [
  "ec2:AssignPrivateIpAddresses",
  "ec2:CreateNetworkInterface",
  "ec2:DeleteNetworkInterface",
  "ec2:DescribeNetworkInterfaces",
  "ec2:DescribeSubnets",
  "ec2:UnassignPrivateIpAddresses",
];

/**
 * Base role of a function in the VPC: it may write its own log, and Lambda may manage its network interfaces.
 * The AWS managed policies would allow every log group of the account.
 */
export class FunctionRole extends Role {
  constructor(scope: Construct, id: string, props: FunctionRoleProps) {
    super(scope, id, {
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      inlinePolicies: {
        Log: mayWrite(props.logGroup),
        Network: document(
          new PolicyStatement({ actions: NETWORK_INTERFACE_ACTIONS, resources: ["*"] }),
          // The Lambda service needs these; the function's code does not.
          new PolicyStatement({
            effect: Effect.DENY,
            actions: NETWORK_INTERFACE_ACTIONS,
            resources: ["*"],
            conditions: { ArnEquals: { "lambda:SourceFunctionArn": arnOf(scope, props.functionName) } },
          }),
        ),
      },
    });
    Validations.of(this).acknowledge({
      id: "AwsSolutions-IAM5[Resource::*]",
      reason:
        "Lambda creates network interfaces whose ids are not known in advance. The function's code is denied these actions.",
    });
    for (const action of ["GenerateDataKey", "ReEncrypt"]) {
      Validations.of(this).acknowledge({
        id: `AwsSolutions-IAM5[Action::kms:${action}*]`,
        reason: "The CDK's grant to send to an encrypted queue. It is limited to the key of the stage.",
      });
    }
  }
}

export const mayWrite = ({ logGroupArn }: ILogGroup): PolicyDocument =>
  document(new PolicyStatement({ actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [logGroupArn] }));

function document(...statements: PolicyStatement[]): PolicyDocument {
  return new PolicyDocument({ statements });
}

function arnOf(scope: Construct, functionName: string): string {
  const components: ArnComponents = {
    service: "lambda",
    resource: "function",
    resourceName: functionName,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  };
  return Arn.format(components, Stack.of(scope));
}
