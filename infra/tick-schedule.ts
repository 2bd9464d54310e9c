import { Duration, RemovalPolicy, Stack, TimeZone } from "aws-cdk-lib";
import { type IRole, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import {
  ContextAttribute,
  Schedule,
  ScheduleExpression,
  ScheduleGroup,
  ScheduleTargetInput,
  TimeWindow,
} from "aws-cdk-lib/aws-scheduler";
import { ScheduleTargetBase, type ScheduleTargetBaseProps } from "aws-cdk-lib/aws-scheduler-targets";
import { Construct } from "constructs";
import { DeadLetters } from "./queues.ts";

interface TickScheduleProps {
  readonly names: {
    readonly schedule: string;
    /** A group of its own: its metrics are those of this schedule. */
    readonly group: string;
    readonly undelivered: string;
  };
  readonly description: string;
  /** As EventBridge Scheduler writes it. */
  readonly expression: string;
  readonly timeZone: string;
  readonly enabled: boolean;
  readonly key: IKey | undefined;
  readonly function: IFunction;
}

/** A tick that is undelivered for longer is dropped: the next one does the same work. */
const OLDEST_USEFUL_TICK = Duration.minutes(1);

/** A schedule: one invocation per tick without retries, and a dead-letter queue for undelivered ticks. */
export class TickSchedule extends Construct {
  readonly group: ScheduleGroup;
  readonly undeliveredTicks: DeadLetters;

  constructor(scope: Construct, id: string, props: TickScheduleProps) {
    super(scope, id);
    const { names, description, expression, timeZone, enabled, key, function: target } = props;
    this.group = new ScheduleGroup(this, "Group", { scheduleGroupName: names.group });
    // A retained group would keep its name, and the stage could not be deployed again.
    this.group.applyRemovalPolicy(RemovalPolicy.DESTROY);
    this.undeliveredTicks = new DeadLetters(this, "UndeliveredTicks", names.undelivered, key);
    new Schedule(this, "Schedule", {
      scheduleName: names.schedule,
      scheduleGroup: this.group,
      description,
      schedule: ScheduleExpression.expression(expression, TimeZone.of(timeZone)),
      timeWindow: TimeWindow.off(),
      enabled,
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
