import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { type ISecurityGroup, type IVpc, Peer, Port, SecurityGroup, SubnetType } from "aws-cdk-lib/aws-ec2";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Architecture, Runtime } from "aws-cdk-lib/aws-lambda";
import { SqsDestination } from "aws-cdk-lib/aws-lambda-destinations";
import { NodejsFunction } from "aws-cdk-lib/aws-lambda-nodejs";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import type { IDatabaseProxy } from "aws-cdk-lib/aws-rds";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import { bundlingOfFunctions, entryOf, PROJECT } from "./bundle.ts";
import type { Configuration } from "./configuration.ts";
import { DeadLetters } from "./dead-letters.ts";
import { FunctionRole } from "./function-role.ts";

export interface FollowUpsFunctionProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly vpc: IVpc;
  readonly proxy: IDatabaseProxy;
  readonly proxySecurityGroup: ISecurityGroup;
}

/** The shortest interval of a schedule is one minute: a run must be over before the next one begins. */
export const RUN_TIME_LIMIT = Duration.seconds(50);

/** An invocation that has waited longer than this is dropped: the next tick does the same work. */
const OLDEST_USEFUL_EVENT = Duration.minutes(1);

const POSTGRESQL = 5432;

/** The function that does one run, with the permissions, the network and the log that a run needs and no others. */
export class FollowUpsFunction extends Construct {
  readonly function: NodejsFunction;

  constructor(scope: Construct, id: string, props: FollowUpsFunctionProps) {
    super(scope, id);
    this.function = this.makeFunction(props);
    this.letReachDatabase(props);
    this.letSendEmail(props.configuration);
  }

  private makeFunction({ configuration, names, vpc, proxy }: FollowUpsFunctionProps): NodejsFunction {
    const logGroup = new LogGroup(this, "Log", {
      logGroupName: names.followUpsLogGroup,
      retention: configuration.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    return new NodejsFunction(this, "Function", {
      functionName: names.followUpsFunction,
      description: "Backstop: one run of the follow-ups, begun by the schedule.",
      entry: entryOf("followups"),
      projectRoot: PROJECT,
      depsLockFilePath: `${PROJECT}/package-lock.json`,
      bundling: bundlingOfFunctions(),
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      // The share of a processor grows with the memory, and starting cold is the dearest part of a run.
      memorySize: 1024,
      timeout: RUN_TIME_LIMIT,
      role: new FunctionRole(this, "Role", { functionName: names.followUpsFunction, logGroup }),
      logGroup,
      vpc,
      vpcSubnets: { subnetType: SubnetType.PRIVATE_WITH_EGRESS },
      securityGroups: [this.makeSecurityGroup(vpc)],
      environment: environmentOf(configuration, proxy),
      // The schedule is the retry: see OLDEST_USEFUL_EVENT.
      retryAttempts: 0,
      maxEventAge: OLDEST_USEFUL_EVENT,
      onFailure: new SqsDestination(new DeadLetters(this, "FailedRuns", names.failedRuns)),
      ...optional("reservedConcurrentExecutions", configuration.reservedConcurrency),
    });
  }

  private makeSecurityGroup(vpc: IVpc): SecurityGroup {
    const group = new SecurityGroup(this, "SecurityGroup", {
      vpc,
      description: "Backstop: the follow-ups function. Nothing comes in.",
      allowAllOutbound: false,
    });
    group.addEgressRule(Peer.anyIpv4(), Port.tcp(443), "HTTPS to Amazon SES, whose addresses change");
    return group;
  }

  private letReachDatabase({ configuration, proxy, proxySecurityGroup }: FollowUpsFunctionProps): void {
    this.function.connections.allowTo(
      proxySecurityGroup,
      Port.tcp(POSTGRESQL),
      "Backstop: PostgreSQL through RDS Proxy",
    );
    proxy.grantConnect(this.function, configuration.database.user);
  }

  private letSendEmail({ emailIdentityArns }: Configuration): void {
    // The mail is handed to SendEmail ready-made, and for such SES asks for the permission of SendRawEmail.
    const actions = ["ses:SendEmail", "ses:SendRawEmail"];
    this.function.addToRolePolicy(new PolicyStatement({ actions, resources: [...emailIdentityArns] }));
  }
}

function environmentOf(configuration: Configuration, proxy: IDatabaseProxy): Record<string, string> {
  return {
    DATABASE_HOST: proxy.endpoint,
    DATABASE_PORT: String(POSTGRESQL),
    DATABASE_NAME: configuration.database.name,
    DATABASE_USER: configuration.database.user,
    EMAIL_TRANSPORT: "ses",
    LOG_LEVEL: configuration.logLevel,
    NODE_OPTIONS: "--enable-source-maps",
    ...optional("RUN_BATCH_SIZE", configuration.batchSize?.toString()),
  };
}

/** One property, or none at all where there is no value. */
function optional<Name extends string, Value>(name: Name, value: Value | undefined): { [key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [key in Name]: Value });
}
