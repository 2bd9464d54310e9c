import { Duration, Validations } from "aws-cdk-lib";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";

const LONGEST_RETENTION = Duration.days(14);

/** A dead-letter queue: encrypted, TLS only, with the longest retention that SQS allows, so that a person can look. */
export class DeadLetters extends Queue {
  constructor(scope: Construct, id: string, queueName: string) {
    super(scope, id, {
      queueName,
      retentionPeriod: LONGEST_RETENTION,
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
    Validations.of(this).acknowledge({
      id: "AwsSolutions-SQS3",
      reason: "This queue is where failures end; a dead-letter queue of its own would have no reader either.",
    });
  }
}
