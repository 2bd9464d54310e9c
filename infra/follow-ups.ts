import { Duration } from "aws-cdk-lib";
import type { Function as LambdaFunction } from "aws-cdk-lib/aws-lambda";
import { SqsDestination } from "aws-cdk-lib/aws-lambda-destinations";
import type { IQueue } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { DeadLetters } from "./queues.ts";
import { type StageProps, WorkerFunction } from "./worker-function.ts";

interface FollowUpsFunctionProps extends StageProps {
  /** Receives claimed touches. If undefined, the run sends them itself. */
  readonly deliveries: IQueue | undefined;
}

/** The shortest schedule interval is one minute, and a run must end before the next one starts. */
export const RUN_TIME_LIMIT = Duration.seconds(50);

/** An invocation that waited longer is dropped: the next tick does the same work. */
const OLDEST_USEFUL_EVENT = Duration.minutes(1);

/** The function that performs one run, and the dead-letter queue of failed runs. */
export class FollowUpsFunction extends Construct {
  readonly function: LambdaFunction;
  readonly failedRuns: DeadLetters;

  constructor(scope: Construct, id: string, props: FollowUpsFunctionProps) {
    super(scope, id);
    const { configuration, names, key, deliveries } = props;
    this.failedRuns = new DeadLetters(this, "FailedRuns", names.failedRuns, key);
    const worker = new WorkerFunction(this, "Worker", {
      ...props,
      entry: "followups",
      functionName: names.followUpsFunction,
      description: "Backstop: one run of the follow-ups per tick of the schedule.",
      timeout: RUN_TIME_LIMIT,
      sends: true,
      environment: deliveries ? { DELIVERY_QUEUE_URL: deliveries.queueUrl } : {},
      reservedConcurrency: configuration.reservedConcurrency,
      whenInvokedAsynchronously: {
        // The schedule is the retry: see OLDEST_USEFUL_EVENT.
        retryAttempts: 0,
        maxEventAge: OLDEST_USEFUL_EVENT,
        onFailure: new SqsDestination(this.failedRuns),
      },
    });
    this.function = worker.function;
    deliveries?.grantSendMessages(this.function);
  }
}
