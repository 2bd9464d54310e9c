import { Duration } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, TreatMissingData } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { Topic } from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";
import { DOWN_METRICS } from "../lib/platform/metrics.ts";
import {
  type AlarmDefinition,
  type AlarmsProps,
  FIVE_MINUTES,
  metricSum,
  nearTimeOut,
  notEmpty,
  ofRunsAndDeliveries,
  tenMinutesOld,
} from "./alarm.ts";
import { runPeriodOf } from "./alarm-options.ts";
import { metricOf } from "./dashboard.ts";
import { DELIVERY_TIME_LIMIT, INTAKE_TIME_LIMIT } from "./queue-workers.ts";
import { promiseAlarms, workAlarms } from "./run-alarms.ts";

/**
 * The stage's alarms. Each notifies the topic of its severity when it fires and when it ends. Only `no-ticks` fires on
 * missing data, so that a paused stage is quiet otherwise.
 */
export class Alarms extends Construct {
  readonly all: readonly Alarm[];

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const definitions = [
      ...promiseAlarms(props),
      ...workAlarms(props),
      ...channelAlarms(props),
      ...deliveryAlarms(props),
      ...intakeAlarms(props),
      ...webhookAlarms(props),
      ...reconcileAlarms(props),
    ];
    const { topics } = props.configuration.alarms;
    const actions = topics && {
      page: new SnsAction(Topic.fromTopicArn(this, "PageTopic", topics.page)),
      ticket: new SnsAction(Topic.fromTopicArn(this, "TicketTopic", topics.ticket)),
    };
    this.all = definitions.map((definition) => {
      const alarm = this.makeAlarm(definition, props);
      const action = actions?.[definition.severity];
      if (!action) return alarm;
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
      return alarm;
    });
  }

  private makeAlarm(definition: AlarmDefinition, { names, configuration }: AlarmsProps): Alarm {
    const { name, severity, description, metric, above, periods = 1, failing = periods } = definition;
    return new Alarm(this, name, {
      alarmName: `${names.alarmPrefix}${name}`,
      alarmDescription: `${description} Severity: ${severity}. What to do: docs/runbook.md#${name}`,
      metric,
      threshold: above,
      comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
      evaluationPeriods: periods,
      datapointsToAlarm: failing,
      treatMissingData: definition.missingFires ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
      actionsEnabled: !(configuration.paused && definition.quietWhilePaused),
    });
  }
}

function channelAlarms({ names, delivery }: AlarmsProps): readonly AlarmDefinition[] {
  return [
    ...DOWN_METRICS.map(
      ({ channel, metric }): AlarmDefinition => ({
        name: `${channel}-down`,
        // Without a queue, runs fail while a channel is down, and no-successful-run pages.
        severity: delivery ? "page" : "ticket",
        description: `The channel ${channel} accepts nothing. Its touches wait and use up no attempt.`,
        metric: ofRunsAndDeliveries(names, delivery, metric, `${channel} down`),
        above: 0,
      }),
    ),
    {
      name: "refused-workspaces",
      severity: "ticket",
      description:
        "A provider accepts nothing from one workspace but messages from others: check the sender or account of the workspace.",
      metric: ofRunsAndDeliveries(names, delivery, "RefusedWorkspaces", "refused workspaces"),
      above: 0,
    },
    {
      name: "paused-workspaces",
      severity: "ticket",
      description:
        "The guardrail paused a workspace: too many of its e-mails bounced or were reported as spam. A person resumes it.",
      metric: metricOf(names.followUpsFunction, "PausedWorkspaces", FIVE_MINUTES),
      above: 0,
    },
  ];
}

function deliveryAlarms({ delivery }: AlarmsProps): readonly AlarmDefinition[] {
  if (!delivery) return [];
  return [
    {
      ...tenMinutesOld(
        "deliveries-wait",
        "Touches have waited in the queue for more than ten minutes: the deliver function does not run, or does not keep up.",
        delivery.queue,
      ),
      // A paused stage delivers none.
      quietWhilePaused: true,
    },
    notEmpty("failed-deliveries", "The deliver function returned the same message five times.", delivery.failed),
    nearTimeOut("deliver-near-time-out", "A delivery", delivery.function, DELIVERY_TIME_LIMIT),
  ];
}

/** Longer than the six minutes after which the queue redelivers an event, so that each period has an attempt. */
const REDELIVERED = Duration.minutes(10);

function intakeAlarms({ names, intake }: AlarmsProps): readonly AlarmDefinition[] {
  if (!intake) return [];
  return [
    tenMinutesOld(
      "events-wait",
      "Events have not been applied for more than ten minutes. Bookings and opt-outs among them are not known yet.",
      intake.queue,
    ),
    {
      name: "events-fail",
      severity: "ticket",
      // SQS leaves messages with more than three attempts out of the age that events-wait watches.
      description:
        "Events have failed for half an hour. They are retried for four days, and events-wait may have ended.",
      metric: metricSum(
        "failed attempts",
        {
          facts: metricOf(names.intakeFunction, "FailedFacts", REDELIVERED),
          errors: intake.function.metricErrors({ period: REDELIVERED }),
        },
        REDELIVERED,
      ),
      above: 0,
      periods: 3,
    },
    notEmpty("refused-events", "An event was refused, or could not be applied for four days.", intake.refused),
    nearTimeOut("intake-near-time-out", "A batch of events", intake.function, INTAKE_TIME_LIMIT),
  ];
}

function webhookAlarms({ names, webhooks }: AlarmsProps): readonly AlarmDefinition[] {
  if (!webhooks) return [];
  return [
    {
      name: "webhooks-fail",
      severity: "page",
      description:
        "Requests were answered with 5xx in two of three periods. Bookings and opt-outs arrive only if their senders retry.",
      metric: webhooks.stage.metricServerError({ statistic: "Sum", period: FIVE_MINUTES }),
      above: 0,
      periods: 3,
      failing: 2,
    },
    {
      name: "rejected-signatures",
      severity: "ticket",
      description:
        "Requests to a known workspace had a wrong signature or token: its facts do not arrive, or another party forges them.",
      metric: metricOf(names.webhooksFunction, "RejectedSignatures", FIVE_MINUTES),
      above: 0,
    },
    {
      name: "throttled-requests",
      severity: "ticket",
      description: "API Gateway answered requests with 429. Facts among them are lost if their sender does not retry.",
      metric: metricOf(names.webhooksFunction, "ThrottledRequests", FIVE_MINUTES),
      above: 0,
    },
  ];
}

function reconcileAlarms({ names, configuration, reconcile }: AlarmsProps): readonly AlarmDefinition[] {
  const options = configuration.reconcile;
  if (!reconcile || !options) return [];
  const minutes = Math.max(20, 4 * options.hotMinutes);
  const { group } = reconcile.schedule;
  return [
    {
      name: "sweep-age",
      severity: "ticket",
      description: `A booking tool has not been compared completely for ${minutes} minutes. A booking without a webhook may be unknown for as long.`,
      metric: metricOf(
        names.followUpsFunction,
        "SweepAge",
        longerOf(FIVE_MINUTES, runPeriodOf(configuration.schedule.expression)),
      ),
      above: minutes * 60,
      periods: 2,
    },
    {
      name: "reconcile-failed",
      severity: "ticket",
      description: "The function that compares booking tools failed, did not finish, or could not be started.",
      metric: metricSum("failed reconciliations", {
        errors: reconcile.function.metricErrors({ period: FIVE_MINUTES }),
        dropped: reconcile.function.metric("AsyncEventsDropped", { statistic: "Sum", period: FIVE_MINUTES }),
        undelivered: group.metricDropped({ statistic: "Sum", period: FIVE_MINUTES }),
      }),
      above: 0,
      periods: 3,
      failing: 2,
    },
  ];
}

const longerOf = (one: Duration, other: Duration): Duration => (one.toMinutes() > other.toMinutes() ? one : other);
