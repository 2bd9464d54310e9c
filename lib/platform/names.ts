/** What one stage of Backstop is called in an AWS account. The stack gives these names; the command line looks for them. */
export interface StageNames {
  readonly stack: string;
  readonly followUpsFunction: string;
  readonly followUpsLogGroup: string;
  readonly deliverFunction: string;
  readonly deliverLogGroup: string;
  readonly migrateFunction: string;
  readonly migrateLogGroup: string;
  readonly schedule: string;
  readonly scheduleGroup: string;
  /** Ticks that Scheduler could not hand to the function. */
  readonly undeliveredTicks: string;
  /** Invocations that the function took and did not finish. */
  readonly failedRuns: string;
  /** Touches that are to be sent; and those of which nobody could say, time after time, what became of them. */
  readonly deliveries: string;
  readonly failedDeliveries: string;
  readonly intakeFunction: string;
  readonly intakeLogGroup: string;
  /** The bus of facts about leads, and the rule that hands them on. */
  readonly eventBus: string;
  /** Facts that are to be applied; and those that were refused, or that failed time after time. */
  readonly events: string;
  readonly refusedEvents: string;
  readonly dashboard: string;
  /** The name of an alarm begins with it. */
  readonly alarmPrefix: string;
}

/** Lower case, begins with a letter, at most 20 characters, so that every name made from it fits the limits of AWS. */
export const STAGE_PATTERN = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,19}$/;

/** The names of one stage. Every one carries the stage, so that stages can share an account. */
export function namesOf(stage: string): StageNames {
  const prefix = `backstop-${stage}`;
  return {
    stack: prefix,
    followUpsFunction: `${prefix}-follow-ups`,
    followUpsLogGroup: `/aws/lambda/${prefix}-follow-ups`,
    deliverFunction: `${prefix}-deliver`,
    deliverLogGroup: `/aws/lambda/${prefix}-deliver`,
    migrateFunction: `${prefix}-migrate`,
    migrateLogGroup: `/aws/lambda/${prefix}-migrate`,
    schedule: `${prefix}-follow-ups`,
    scheduleGroup: prefix,
    undeliveredTicks: `${prefix}-undelivered-ticks`,
    failedRuns: `${prefix}-failed-runs`,
    deliveries: `${prefix}-deliveries`,
    failedDeliveries: `${prefix}-failed-deliveries`,
    intakeFunction: `${prefix}-intake`,
    intakeLogGroup: `/aws/lambda/${prefix}-intake`,
    eventBus: prefix,
    events: `${prefix}-events`,
    refusedEvents: `${prefix}-refused-events`,
    dashboard: prefix,
    alarmPrefix: `${prefix}-`,
  };
}

/** What the name of every one-time schedule begins with that a run leaves to work off its backlog. */
export const CATCH_UP_PREFIX = "catch-up-";
