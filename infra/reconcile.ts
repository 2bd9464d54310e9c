import { Duration, Validations } from "aws-cdk-lib";
import type { EventBus } from "aws-cdk-lib/aws-events";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { edgeFunction } from "./edge-function.ts";
import { TickSchedule } from "./tick-schedule.ts";
import type { StageProps } from "./worker-function.ts";

type Options = NonNullable<StageProps["configuration"]["reconcile"]>;

interface ReconcileProps extends StageProps {
  readonly options: Options;
  readonly bus: EventBus;
}

/** A run ends before the next tick, so that one process remembers what it has sent. */
const TIME_LIMIT = Duration.seconds(50);

/** Connections are compared when they are due. A tick without work costs one call. */
const EVERY_MINUTE = "rate(1 minute)";

/**
 * Compares booking tools with what webhooks reported: a function outside the VPC and without the database, and its
 * schedule. It may list secrets, read those of the stage's connections, and put events on the stage's bus.
 */
export class Reconcile extends Construct {
  readonly function: LambdaFunction;
  readonly schedule: TickSchedule;

  constructor(scope: Construct, id: string, props: ReconcileProps) {
    super(scope, id);
    const { configuration, names, key } = props;
    this.function = this.makeFunction(props);
    this.schedule = new TickSchedule(this, "Schedule", {
      names: {
        schedule: names.reconcileSchedule,
        group: names.reconcileSchedule,
        undelivered: names.undeliveredReconciliations,
      },
      description: "Backstop: compares the booking tools that are due.",
      expression: EVERY_MINUTE,
      timeZone: "UTC",
      enabled: !configuration.paused,
      key,
      function: this.function,
    });
  }

  private makeFunction(props: ReconcileProps): LambdaFunction {
    const { names, options } = props;
    const made = edgeFunction(this, {
      ...props,
      entry: "reconcile",
      functionName: names.reconcileFunction,
      timeout: TIME_LIMIT,
      // Names with a workspace and a tool, so that the keys of unsubscribe links are not among them.
      secrets: "*/*",
      statements: [new PolicyStatement({ actions: ["secretsmanager:ListSecrets"], resources: ["*"] })],
      overrides: {
        description: "Backstop: compares booking tools, and puts what webhooks did not report on the event bus.",
        memorySize: 512,
        // The schedule is the retry.
        retryAttempts: 0,
        maxEventAge: Duration.minutes(1),
      },
      environment: {
        RECONCILE_HOT_MINUTES: String(options.hotMinutes),
        RECONCILE_WARM_MINUTES: String(options.warmMinutes),
        RECONCILE_HOT_DAYS: String(options.hotDays),
      },
    });
    if (made.role) {
      Validations.of(made.role).acknowledge({
        id: "AwsSolutions-IAM5[Resource::*]",
        reason: "ListSecrets has no narrower resource. It shows names and no values.",
      });
    }
    return made;
  }
}
