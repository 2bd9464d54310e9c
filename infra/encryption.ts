import { Arn, ArnFormat, RemovalPolicy, Stack } from "aws-cdk-lib";
import { PolicyStatement, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Key } from "aws-cdk-lib/aws-kms";
import type { Construct } from "constructs";
import type { StageNames } from "../lib/platform/names.ts";
import type { Configuration } from "./configuration.ts";

/**
 * The customer-managed key of the stage, if configured: for its logs, queues, event bus, cluster and secrets. A destroy
 * keeps it, because kept logs and snapshots are unreadable without it.
 */
export function stageKeyOf(scope: Construct, configuration: Configuration, names: StageNames): Key | undefined {
  if (!configuration.customerKey) return undefined;
  const key = new Key(scope, "Key", {
    alias: names.stack,
    description: `Backstop, stage ${configuration.stage}: logs, queues, event bus, database and secrets.`,
    enableKeyRotation: true,
    removalPolicy: RemovalPolicy.RETAIN,
  });
  key.addToResourcePolicy(letLogsUseKey(Stack.of(scope), configuration.stage, names));
  return key;
}

/**
 * CloudWatch Logs may use the key for the log groups of the stage only.
 * @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
 */
function letLogsUseKey(stack: Stack, stage: string, names: StageNames): PolicyStatement {
  const groups = [
    `/aws/lambda/${names.stack}-*`,
    `/aws/rds/*/${names.stack}*`,
    `/backstop/${stage}/*`,
    names.accessLog,
  ];
  const components = { service: "logs", resource: "log-group", arnFormat: ArnFormat.COLON_RESOURCE_NAME };
  return new PolicyStatement({
    principals: [new ServicePrincipal(`logs.${stack.region}.amazonaws.com`)],
    actions: ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
    resources: ["*"],
    conditions: {
      ArnLike: {
        "kms:EncryptionContext:aws:logs:arn": groups.map((resourceName) =>
          Arn.format({ ...components, resourceName }, stack),
        ),
      },
    },
  });
}
