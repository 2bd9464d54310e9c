import { Duration } from "aws-cdk-lib";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { Foundation } from "./foundation.ts";
import { WorkQueue } from "./work-queue.ts";
import { WorkerFunction } from "./worker-function.ts";

export interface DeliveryProps {
  readonly configuration: Configuration;
  readonly names: StageNames;
  readonly revision: string;
  readonly foundation: Foundation;
  readonly maximumConcurrency: number;
}

/** Long enough for a batch in which every touch runs into the provider's timeout. */
export const DELIVERY_TIME_LIMIT = Duration.seconds(60);

/** By then `recover-touches` has picked the touch up: it finds touches that the queue lost. */
const RETENTION = Duration.days(1);

const ATTEMPTS = 5;

/** Sends touches outside the run: a queue, the function that sends, and a dead-letter queue. */
export class Delivery extends Construct {
  readonly queue: WorkQueue;
  readonly failed: DeadLetters;
  readonly function: IFunction;

  constructor(scope: Construct, id: string, props: DeliveryProps) {
    super(scope, id);
    const { configuration, names, revision, foundation, maximumConcurrency } = props;
    this.failed = new DeadLetters(this, "FailedDeliveries", names.failedDeliveries);
    this.queue = new WorkQueue(this, "Queue", {
      queueName: names.deliveries,
      timeLimit: DELIVERY_TIME_LIMIT,
      retention: RETENTION,
      attempts: ATTEMPTS,
      deadLetters: this.failed,
    });
    const worker = new WorkerFunction(this, "Worker", {
      configuration,
      revision,
      foundation,
      entry: "deliver",
      functionName: names.deliverFunction,
      logGroupName: names.deliverLogGroup,
      description: "Backstop: sends claimed touches, handed over by id.",
      timeout: DELIVERY_TIME_LIMIT,
      sends: true,
    });
    this.queue.feed(worker.function, maximumConcurrency, !configuration.paused);
    this.function = worker.function;
  }
}
