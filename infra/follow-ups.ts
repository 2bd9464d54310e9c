import { Duration, RemovalPolicy, Stack, TimeZone } from "aws-cdk-lib";
import { type IRole, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { IFunction, Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { SqsDestination } from "aws-cdk-lib/aws-lambda-destinations";
import {
  ContextAttribute,
  Schedule,
  ScheduleExpression,
  ScheduleGroup,
  ScheduleTargetInput,
  TimeWindow,
} from "aws-cdk-lib/aws-scheduler";
import { ScheduleTargetBase, type ScheduleTargetBaseProps } from "aws-cdk-lib/aws-scheduler-targets";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import { DeadLetters } from "./queues.ts";
import { type StageProps, WorkerFunction } from "./worker-function.ts";

interface FollowUpsFunctionProps extends StageProps {
  /** Receives claimed touches. If undefined, the run sends them itself. */
  readonly deliveries: IQueue | undefined;
}

/** The shortest schedule interval is one minute, and a run must end before the next one starts. */
export const RUN_TIME_LIMIT = Duration.seconds(50);

/** An invocation that waited longer is dropped: the next tick does the same work. */
const OLDEST_USEFUL_EVENT = Duration.minutes(1);

/** The function that performs one run, and the dead-letter queue of failed runs. */
export class FollowUpsFunction extends Construct {
  readonly function: LambdaFunction;
  readonly failedRuns: DeadLetters;

  constructor(scope: Construct, id: string, props: FollowUpsFunctionProps) {
    super(scope, id);
    const { configuration, names, key, deliveries } = props;
    this.failedRuns = new DeadLetters(this, "FailedRuns", names.failedRuns, key);
    const worker = new WorkerFunction(this, "Worker", {
      ...props,
      entry: "followups",
      functionName: names.followUpsFunction,
      description: "Backstop: one run of the follow-ups per tick of the schedule.",
      timeout: RUN_TIME_LIMIT,
      sends: true,
      environment: deliveries ? { DELIVERY_QUEUE_URL: deliveries.queueUrl } : {},
      reservedConcurrency: configuration.reservedConcurrency,
      whenInvokedAsynchronously: {
        // The schedule is the retry: see OLDEST_USEFUL_EVENT.
        retryAttempts: 0,
        maxEventAge: OLDEST_USEFUL_EVENT,
        onFailure: new SqsDestination(this.failedRuns),
      },
    });
    this.function = worker.function;
    deliveries?.grantSendMessages(this.function);
  }
}

interface FollowUpsScheduleProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly key: IKey | undefined;
  readonly function: IFunction;
}

/** A tick that is undelivered for longer is dropped: the next one does the same work. */
const OLDEST_USEFUL_TICK = Duration.minutes(1);

/** The schedule: one invocation per tick, and a dead-letter queue for undelivered ticks. */
export class FollowUpsSchedule extends Construct {
  readonly group: ScheduleGroup;
  readonly undeliveredTicks: DeadLetters;

  constructor(scope: Construct, id: string, props: FollowUpsScheduleProps) {
    super(scope, id);
    const { configuration, names, key, function: target } = props;
    const { expression, timeZone } = configuration.schedule;
    this.group = new ScheduleGroup(this, "Group", { scheduleGroupName: names.scheduleGroup });
    // A retained group would keep its name, and the stage could not be deployed again.
    this.group.applyRemovalPolicy(RemovalPolicy.DESTROY);
    this.undeliveredTicks = new DeadLetters(this, "UndeliveredTicks", names.undeliveredTicks, key);
    new Schedule(this, "Schedule", {
      scheduleName: names.schedule,
      scheduleGroup: this.group,
      description: "Backstop: starts a run of the follow-ups. Pause it with: backstop schedule pause",
      schedule: ScheduleExpression.expression(expression, TimeZone.of(timeZone)),
      timeWindow: TimeWindow.off(),
      enabled: !configuration.paused,
      target: new InvokeFunction(target, {
        role: this.makeRole(this.group, key),
        input: ScheduleTargetInput.fromObject({ trigger: "schedule", scheduledTime: ContextAttribute.scheduledTime }),
        retryAttempts: 0,
        maxEventAge: OLDEST_USEFUL_TICK,
        deadLetterQueue: this.undeliveredTicks,
      }),
    });
  }

  /** Only schedules of this group and account may assume the role. */
  private makeRole(group: ScheduleGroup, key: IKey | undefined): Role {
    const conditions = {
      StringEquals: { "aws:SourceAccount": Stack.of(this).account, "aws:SourceArn": group.scheduleGroupArn },
    };
    const role = new Role(this, "Role", { assumedBy: new ServicePrincipal("scheduler.amazonaws.com", { conditions }) });
    // The CDK lets the role send to the dead-letter queue, but not encrypt with its key.
    key?.grant(role, "kms:Decrypt", "kms:GenerateDataKey");
    return role;
  }
}

/** Like the CDK's LambdaInvoke, but without permission to invoke versions and aliases of the function. */
class InvokeFunction extends ScheduleTargetBase {
  constructor(target: IFunction, props: ScheduleTargetBaseProps) {
    super(props, target.functionArn);
  }

  protected override addTargetActionToRole(role: IRole): void {
    role.addToPrincipalPolicy(new PolicyStatement({ actions: ["lambda:InvokeFunction"], resources: [this.targetArn] }));
  }
}
