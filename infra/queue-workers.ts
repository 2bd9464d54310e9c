import { Duration } from "aws-cdk-lib";
import { EventBus, Match, Rule } from "aws-cdk-lib/aws-events";
import { SqsQueue } from "aws-cdk-lib/aws-events-targets";
import { AccountPrincipal, PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { DeadLetters, WorkQueue } from "./queues.ts";
import { type StageProps, WorkerFunction } from "./worker-function.ts";

interface QueueWorkerProps extends StageProps {
  readonly maximumConcurrency: number;
}

interface IntakeProps extends QueueWorkerProps {
  /** Other accounts that may put events on the bus. */
  readonly accounts: readonly string[];
}

/** Long enough for a batch in which every touch runs into the provider's timeout. */
export const DELIVERY_TIME_LIMIT = Duration.seconds(60);

/** Sends touches outside the run: a queue, the function that sends, and a dead-letter queue. */
export class Delivery extends Construct {
  readonly queue: WorkQueue;
  readonly failed: DeadLetters;
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, props: QueueWorkerProps) {
    super(scope, id);
    const { configuration, names, key, maximumConcurrency } = props;
    this.failed = new DeadLetters(this, "FailedDeliveries", names.failedDeliveries, key);
    this.queue = new WorkQueue(this, "Queue", {
      queueName: names.deliveries,
      timeLimit: DELIVERY_TIME_LIMIT,
      // `recover-touches` picks up the touches of expired messages long before.
      retention: Duration.days(1),
      attempts: 5,
      deadLetters: this.failed,
      key,
    });
    const worker = new WorkerFunction(this, "Worker", {
      ...props,
      entry: "deliver",
      functionName: names.deliverFunction,
      description: "Backstop: sends the claimed touches that the delivery queue names.",
      timeout: DELIVERY_TIME_LIMIT,
      sends: true,
    });
    this.queue.feed(worker.function, maximumConcurrency, !configuration.paused);
    this.function = worker.function;
  }
}

/** Long enough for a batch of ten enrolments with a thousand leads each. */
export const INTAKE_TIME_LIMIT = Duration.seconds(60);

/** Applies facts about leads: a dedicated event bus, a queue, the function that applies them, and refused events. */
export class Intake extends Construct {
  readonly queue: WorkQueue;
  readonly refused: DeadLetters;
  readonly bus: EventBus;
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, props: IntakeProps) {
    super(scope, id);
    const { names, key, maximumConcurrency } = props;
    this.refused = new DeadLetters(this, "RefusedEvents", names.refusedEvents, key);
    this.queue = new WorkQueue(this, "Queue", {
      queueName: names.events,
      timeLimit: INTAKE_TIME_LIMIT,
      // The SQS maximum. After four days of attempts, an event spends the rest in the dead-letter queue.
      retention: Duration.days(14),
      // The SQS maximum. At six minutes each this is four days: a database outage over a long weekend loses no booking.
      // The function refuses invalid events itself, so only transient errors cause a redelivery.
      attempts: 1_000,
      deadLetters: this.refused,
      key,
    });
    this.bus = this.makeBus(props);
    const worker = new WorkerFunction(this, "Worker", {
      ...props,
      entry: "intake",
      functionName: names.intakeFunction,
      description: "Backstop: applies facts about leads, each once.",
      timeout: INTAKE_TIME_LIMIT,
      sends: false,
      environment: { INTAKE_DEAD_LETTERS_URL: this.refused.queueUrl },
    });
    this.refused.grantSendMessages(worker.function);
    this.queue.feed(worker.function, maximumConcurrency);
    this.function = worker.function;
  }

  /** The target of a rule whose events the intake applies. Undelivered ones go to the refused events. */
  asTarget(): SqsQueue {
    return new SqsQueue(this.queue, { deadLetterQueue: this.refused });
  }

  /**
   * A bus that its own account and the configured ones may use. Its policy alone decides: a rule for some accounts would
   * drop the events of others without a trace.
   * @see https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html
   */
  private makeBus({ names, key, accounts }: IntakeProps): EventBus {
    const eventBus = new EventBus(this, "Bus", { eventBusName: names.eventBus, ...(key && { kmsKey: key }) });
    for (const account of accounts) {
      const statement = new PolicyStatement({
        sid: `account-${account}`,
        principals: [new AccountPrincipal(account)],
        actions: ["events:PutEvents"],
        resources: [eventBus.eventBusArn],
      });
      eventBus.addToResourcePolicy(statement);
    }
    new Rule(this, "Everything", {
      ruleName: names.eventBus,
      description: "Backstop: sends every event of this bus to the intake, which refuses unknown types.",
      eventBus,
      eventPattern: { source: Match.prefix("") },
      targets: [this.asTarget()],
    });
    return eventBus;
  }
}
