/** Lower case, starts with a letter, at most 20 characters, so that every derived name fits the AWS limits. */
export const STAGE_PATTERN = /^[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,19}$/;

/** The AWS resource names of one stage. The stack assigns them; the command line looks them up. */
export type StageNames = Readonly<ReturnType<typeof namesOf>>;

/** The names of one stage. Each contains the stage, so that stages can share an account. */
export function namesOf(stage: string) {
  const prefix = `backstop-${stage}`;
  return {
    stack: prefix,
    followUpsFunction: `${prefix}-follow-ups`,
    deliverFunction: `${prefix}-deliver`,
    intakeFunction: `${prefix}-intake`,
    /** Answers questions, with a database role that may only SELECT. */
    lookFunction: `${prefix}-look`,
    /** Carries out orders. */
    operateFunction: `${prefix}-operate`,
    migrateFunction: `${prefix}-migrate`,
    /** Receives facts over HTTP and serves the unsubscribe page. */
    webhooksFunction: `${prefix}-webhooks`,
    /** The log of the HTTP API in front of it. */
    accessLog: `/aws/vendedlogs/${prefix}-webhooks`,
    /** Every secret of the stage that the webhooks function may read starts with it and a slash. */
    secretsPrefix: `backstop/${stage}`,
    /** The keys of the unsubscribe links. */
    unsubscribeSecret: `backstop/${stage}/unsubscribe`,
    /** Compares the booking tools with what webhooks reported. */
    reconcileFunction: `${prefix}-reconcile`,
    /** The name of its schedule, and of the group that only holds it. */
    reconcileSchedule: `${prefix}-reconcile`,
    /** Its ticks that Scheduler could not deliver. */
    undeliveredReconciliations: `${prefix}-undelivered-reconcile`,
    schedule: `${prefix}-follow-ups`,
    scheduleGroup: prefix,
    /** Ticks that Scheduler could not deliver to the function. */
    undeliveredTicks: `${prefix}-undelivered-ticks`,
    /** Invocations that started but did not finish. */
    failedRuns: `${prefix}-failed-runs`,
    /** The queue of touches to send, and its dead-letter queue for messages that failed repeatedly. */
    deliveries: `${prefix}-deliveries`,
    failedDeliveries: `${prefix}-failed-deliveries`,
    /** The name of both the event bus for facts about leads and its forwarding rule. */
    eventBus: prefix,
    /** The queue of facts to apply, and the queue of facts that were refused or failed repeatedly. */
    events: `${prefix}-events`,
    refusedEvents: `${prefix}-refused-events`,
    /** The SES configuration set of the stage's mails, and its event destination. */
    mailEvents: prefix,
    /** The rule that forwards events of SES to the intake. */
    mailEventsRule: `${prefix}-mail-events`,
    /** The topic of texts that people send. */
    smsReplies: `${prefix}-sms-replies`,
    /** The SES receipt rule for mails that people send, and the rule that reports them to the intake. */
    mailReplies: `${prefix}-replies`,
    dashboard: prefix,
    /** Prefix of every alarm name. */
    alarmPrefix: `${prefix}-`,
    /** Folder of the saved queries in CloudWatch Logs Insights. */
    queryPrefix: `${prefix}/`,
  };
}
