import { Stack } from "aws-cdk-lib";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { Topic } from "aws-cdk-lib/aws-sns";
import { SqsSubscription } from "aws-cdk-lib/aws-sns-subscriptions";
import { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import type { Intake } from "./queue-workers.ts";

interface SmsRepliesProps {
  readonly names: StageNames;
  readonly key: IKey | undefined;
  readonly intake: Intake;
}

/**
 * The topic to which AWS End User Messaging publishes the texts that people send, subscribed by the intake. A topic
 * without the stage's key is encrypted at rest by SNS itself: a service cannot publish with the key `alias/aws/sns`.
 * @see https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-iam-policy-sns-topic.html
 */
export class SmsReplies extends Construct {
  readonly topic: Topic;

  constructor(scope: Construct, id: string, { names, key, intake }: SmsRepliesProps) {
    super(scope, id);
    const conditions = { StringEquals: { "aws:SourceAccount": Stack.of(this).account } };
    const principals = [new ServicePrincipal("sms-voice.amazonaws.com")];
    this.topic = new Topic(this, "Topic", {
      topicName: names.smsReplies,
      enforceSSL: true,
      ...(key && { masterKey: key }),
    });
    this.topic.addToResourcePolicy(
      new PolicyStatement({ principals, actions: ["sns:Publish"], resources: [this.topic.topicArn], conditions }),
    );
    key?.addToResourcePolicy(
      new PolicyStatement({
        principals,
        actions: ["kms:Decrypt", "kms:GenerateDataKey*"],
        resources: ["*"],
        conditions,
      }),
    );
    // Refers to the topic by name, because the key's policy names the topic, which names the key.
    const named = Topic.fromTopicArn(
      this,
      "Named",
      Stack.of(this).formatArn({ service: "sns", resource: names.smsReplies }),
    );
    const subscription = new SqsSubscription(intake.queue, { deadLetterQueue: intake.refused });
    named.addSubscription(subscription).node.addDependency(this.topic);
  }
}

/** The command that connects the number or pool of the stage with the topic. */
export function twoWayCommand(originationIdentityArn: string, topicArn: string, region: string): string {
  const [, kind = "", id = ""] = /:(phone-number|pool)\/(.+)$/.exec(originationIdentityArn) ?? [];
  const identity = `update-${kind} --${kind === "pool" ? "pool" : "phone-number"}-id ${id}`;
  return `aws pinpoint-sms-voice-v2 ${identity} --region ${region} --two-way-enabled --two-way-channel-arn ${topicArn}`;
}
