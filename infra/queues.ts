import { Duration, Validations } from "aws-cdk-lib";
import type { IKey } from "aws-cdk-lib/aws-kms";
import type { IFunction } from "aws-cdk-lib/aws-lambda";
import { SqsEventSource } from "aws-cdk-lib/aws-lambda-event-sources";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";

interface WorkQueueProps {
  readonly queueName: string;
  /** Time limit of the function that consumes the queue. */
  readonly timeLimit: Duration;
  readonly retention: Duration;
  /** Deliveries of a message before it goes to the dead-letter queue. */
  readonly attempts: number;
  readonly deadLetters: DeadLetters;
  readonly key: IKey | undefined;
}

/** AWS recommends a visibility timeout of six times the function's time limit. */
const VISIBLE_AGAIN_AFTER = 6;
const MESSAGES_AT_ONCE = 10;

/** A queue that feeds a function: encrypted, TLS only, with a dead-letter queue. */
export class WorkQueue extends Queue {
  constructor(scope: Construct, id: string, props: WorkQueueProps) {
    const { queueName, timeLimit, retention, attempts, deadLetters, key } = props;
    super(scope, id, {
      queueName,
      visibilityTimeout: Duration.seconds(VISIBLE_AGAIN_AFTER * timeLimit.toSeconds()),
      retentionPeriod: retention,
      ...encryptionWith(key),
      enforceSSL: true,
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: attempts },
    });
  }

  /**
   * Delivers batches of up to ten messages to the worker, which returns the ones to redeliver.
   * If `enabled` is false, the messages wait.
   */
  feed(worker: IFunction, maxConcurrency: number, enabled = true): void {
    const source = { batchSize: MESSAGES_AT_ONCE, reportBatchItemFailures: true, maxConcurrency, enabled };
    worker.addEventSource(new SqsEventSource(this, source));
  }
}

/** With the key of the stage, or else with one that SQS owns. */
const encryptionWith = (key: IKey | undefined) =>
  key ? { encryption: QueueEncryption.KMS, encryptionMasterKey: key } : { encryption: QueueEncryption.SQS_MANAGED };

const LONGEST_RETENTION = Duration.days(14);

/** A dead-letter queue: encrypted, TLS only, with the longest retention that SQS allows, so that a person can look. */
export class DeadLetters extends Queue {
  constructor(scope: Construct, id: string, queueName: string, key: IKey | undefined) {
    super(scope, id, {
      queueName,
      retentionPeriod: LONGEST_RETENTION,
      ...encryptionWith(key),
      enforceSSL: true,
    });
    Validations.of(this).acknowledge({
      id: "AwsSolutions-SQS3",
      reason: "This is a dead-letter queue, which needs no dead-letter queue of its own.",
    });
  }
}
