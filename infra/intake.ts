import { Duration, Stack } from "aws-cdk-lib";
import { EventBus, Rule } from "aws-cdk-lib/aws-events";
import { SqsQueue } from "aws-cdk-lib/aws-events-targets";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { Foundation } from "./foundation.ts";
import { WorkQueue } from "./work-queue.ts";
import { WorkerFunction } from "./worker-function.ts";

export interface IntakeProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly revision: string;
  readonly foundation: Foundation;
  readonly maximumConcurrency: number;
}

/** Long enough for a batch of ten enrolments with a thousand leads each. */
export const INTAKE_TIME_LIMIT = Duration.seconds(60);

/** The SQS maximum. After four days of attempts, an event spends the rest in the dead-letter queue. */
const RETENTION = Duration.days(14);

/**
 * The SQS maximum. At six minutes each this is four days: a database outage over a long weekend loses no booking.
 * The function refuses invalid events itself, so only transient errors cause a redelivery.
 */
const ATTEMPTS = 1_000;

/** Takes in facts about leads: a dedicated event bus, a queue, the function that applies them, and refused events. */
export class Intake extends Construct {
  readonly bus: EventBus;
  readonly queue: WorkQueue;
  readonly refused: DeadLetters;
  readonly function: IFunction;

  constructor(scope: Construct, id: string, props: IntakeProps) {
    super(scope, id);
    const { names, maximumConcurrency } = props;
    this.refused = new DeadLetters(this, "RefusedEvents", names.refusedEvents);
    this.queue = new WorkQueue(this, "Queue", {
      queueName: names.events,
      timeLimit: INTAKE_TIME_LIMIT,
      retention: RETENTION,
      attempts: ATTEMPTS,
      deadLetters: this.refused,
    });
    this.bus = new EventBus(this, "Bus", { eventBusName: names.eventBus });
    new Rule(this, "Everything", {
      ruleName: names.eventBus,
      description: "Backstop: every event of this bus goes to the intake, which refuses by name what it does not know.",
      eventBus: this.bus,
      eventPattern: { account: [Stack.of(this).account] },
      targets: [new SqsQueue(this.queue, { deadLetterQueue: this.refused })],
    });
    this.function = this.makeFunction(props);
    this.queue.feed(this.function, maximumConcurrency);
  }

  private makeFunction({ configuration, names, revision, foundation }: IntakeProps): IFunction {
    const worker = new WorkerFunction(this, "Worker", {
      configuration,
      revision,
      foundation,
      entry: "intake",
      functionName: names.intakeFunction,
      logGroupName: names.intakeLogGroup,
      description: "Backstop: applies facts about leads, each once.",
      timeout: INTAKE_TIME_LIMIT,
      sends: false,
      environment: { INTAKE_DEAD_LETTERS_URL: this.refused.queueUrl },
    });
    this.refused.grantSendMessages(worker.function);
    return worker.function;
  }
}
