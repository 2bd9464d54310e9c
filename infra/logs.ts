import { RemovalPolicy } from "aws-cdk-lib";
import type { IKey } from "aws-cdk-lib/aws-kms";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import type { Construct } from "constructs";
import type { Configuration } from "./configuration.ts";

export interface LogSettings {
  readonly configuration: Configuration;
  readonly key: IKey | undefined;
}

/** A log group with the stage's retention and key. A destroy deletes it, unless the stage keeps its logs. */
export function logGroupNamed(
  logGroupName: string,
  scope: Construct,
  id: string,
  { configuration, key }: LogSettings,
): LogGroup {
  return new LogGroup(scope, id, {
    logGroupName,
    retention: configuration.logRetentionDays,
    removalPolicy: configuration.keepLogs ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    ...(key && { encryptionKey: key }),
  });
}
