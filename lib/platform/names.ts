/** The AWS resource names of one stage. The stack assigns them; the command line looks them up. */
export interface StageNames {
  readonly stack: string;
  readonly followUpsFunction: string;
  readonly deliverFunction: string;
  readonly migrateFunction: string;
  readonly schedule: string;
  readonly scheduleGroup: string;
  /** Ticks that Scheduler could not deliver to the function. */
  readonly undeliveredTicks: string;
  /** Invocations that started but did not finish. */
  readonly failedRuns: string;
  /** The queue of touches to send, and its dead-letter queue for messages that failed repeatedly. */
  readonly deliveries: string;
  readonly failedDeliveries: string;
  readonly intakeFunction: string;
  /** The name of both the event bus for facts about leads and its forwarding rule. */
  readonly eventBus: string;
  /** The queue of facts to apply, and the queue of facts that were refused or failed repeatedly. */
  readonly events: string;
  readonly refusedEvents: string;
  readonly dashboard: string;
  /** Prefix of every alarm name. */
  readonly alarmPrefix: string;
}

/** Lower case, starts with a letter, at most 20 characters, so that every derived name fits the AWS limits. */
export const STAGE_PATTERN = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,19}$/;

/** The names of one stage. Each contains the stage, so that stages can share an account. */
export function namesOf(stage: string): StageNames {
  const prefix = `backstop-${stage}`;
  return {
    stack: prefix,
    followUpsFunction: `${prefix}-follow-ups`,
    deliverFunction: `${prefix}-deliver`,
    migrateFunction: `${prefix}-migrate`,
    schedule: `${prefix}-follow-ups`,
    scheduleGroup: prefix,
    undeliveredTicks: `${prefix}-undelivered-ticks`,
    failedRuns: `${prefix}-failed-runs`,
    deliveries: `${prefix}-deliveries`,
    failedDeliveries: `${prefix}-failed-deliveries`,
    intakeFunction: `${prefix}-intake`,
    eventBus: prefix,
    events: `${prefix}-events`,
    refusedEvents: `${prefix}-refused-events`,
    dashboard: prefix,
    alarmPrefix: `${prefix}-`,
  };
}

/** Name prefix of the one-time schedules that a run creates for its backlog. */
export const CATCH_UP_PREFIX = "catch-up-";
