import { Arn, ArnFormat, Duration, Stack, Validations } from "aws-cdk-lib";
import type { EventBus } from "aws-cdk-lib/aws-events";
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import type { LogGroup } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { mayDecryptSecrets } from "./decrypt-secrets.ts";
import { TickSchedule } from "./tick-schedule.ts";
import { codeOf, logGroupOf, mayWrite, NODE_OPTIONS, type StageProps } from "./worker-function.ts";

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
    const { configuration, names, revision, options, bus } = props;
    const logGroup = logGroupOf(this, names.reconcileFunction, props);
    return new LambdaFunction(this, "Function", {
      ...codeOf("reconcile"),
      functionName: names.reconcileFunction,
      description: "Backstop: compares booking tools, and puts what webhooks did not report on the event bus.",
      memorySize: 512,
      timeout: TIME_LIMIT,
      role: this.makeRole(props, logGroup),
      logGroup,
      environment: {
        EVENT_BUS_NAME: bus.eventBusName,
        CONNECTION_SECRETS_PREFIX: names.secretsPrefix,
        RECONCILE_HOT_MINUTES: String(options.hotMinutes),
        RECONCILE_WARM_MINUTES: String(options.warmMinutes),
        RECONCILE_HOT_DAYS: String(options.hotDays),
        LOG_LEVEL: configuration.logLevel,
        NODE_OPTIONS,
        GIT_REVISION: revision,
      },
      // The schedule is the retry.
      retryAttempts: 0,
      maxEventAge: Duration.minutes(1),
    });
  }

  private makeRole({ names, key, bus }: ReconcileProps, logGroup: LogGroup): Role {
    const stack = Stack.of(this);
    // Names with a workspace and a tool, so that the keys of unsubscribe links are not among them.
    const secrets = Arn.format(
      {
        service: "secretsmanager",
        resource: "secret",
        resourceName: `${names.secretsPrefix}/*/*`,
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      },
      stack,
    );
    const statements = [
      new PolicyStatement({ actions: ["events:PutEvents"], resources: [bus.eventBusArn] }),
      new PolicyStatement({ actions: ["secretsmanager:GetSecretValue"], resources: [secrets] }),
      new PolicyStatement({ actions: ["secretsmanager:ListSecrets"], resources: ["*"] }),
      ...(key ? [mayDecryptSecrets(key.keyArn, secrets, stack.region)] : []),
    ];
    const role = new Role(this, "Role", {
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      inlinePolicies: { Log: mayWrite(logGroup), Connections: new PolicyDocument({ statements }) },
    });
    Validations.of(role).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${secrets}]`,
      reason: "The secrets of workspaces are created after the deploy. Their names start with that of the stage.",
    });
    Validations.of(role).acknowledge({
      id: "AwsSolutions-IAM5[Resource::*]",
      reason: "ListSecrets has no narrower resource. It shows names and no values.",
    });
    return role;
  }
}
