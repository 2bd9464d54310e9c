import { Duration } from "aws-cdk-lib";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { SqsEventSource } from "aws-cdk-lib/aws-lambda-event-sources";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import type { DeadLetters } from "./dead-letters.ts";

export interface WorkQueueProps {
  readonly queueName: string;
  /** Of the function that works on what the queue holds. */
  readonly timeLimit: Duration;
  readonly retention: Duration;
  /** How often a message is handed out before it goes to the dead letters. */
  readonly attempts: number;
  readonly deadLetters: DeadLetters;
}

/** What AWS advises for a queue before a function: six times the function's time limit. */
const VISIBLE_AGAIN_AFTER = 6;
const MESSAGES_AT_ONCE = 10;

/** A queue before a function, encrypted and over TLS only. What was handed out time after time goes to the dead letters. */
export class WorkQueue extends Queue {
  constructor(scope: Construct, id: string, props: WorkQueueProps) {
    const { queueName, timeLimit, retention, attempts, deadLetters } = props;
    super(scope, id, {
      queueName,
      visibilityTimeout: Duration.seconds(VISIBLE_AGAIN_AFTER * timeLimit.toSeconds()),
      retentionPeriod: retention,
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: attempts },
    });
  }

  /**
   * Hands the messages to the function, ten at once at most; it answers which of them have to be handed out again. Where it is
   * not enabled, they wait.
   */
  feed(worker: IFunction, maxConcurrency: number, enabled = true): void {
    const source = { batchSize: MESSAGES_AT_ONCE, reportBatchItemFailures: true, maxConcurrency, enabled };
    worker.addEventSource(new SqsEventSource(this, source));
  }
}
