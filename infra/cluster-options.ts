import { ClusterInstance, Credentials, type DatabaseClusterProps } from "aws-cdk-lib/aws-rds";
import { ADMINISTRATOR } from "./configuration.ts";
import type { LogSettings } from "./logs.ts";

/** The properties of a cluster that follow from the options of the stage. */
export function clusterOptionsOf({ configuration, key }: LogSettings): Partial<DatabaseClusterProps> {
  const { standby, exportLog, performanceInsights, rotatePassword } = configuration.database;
  const insights = performanceInsights && {
    enablePerformanceInsights: true,
    ...(key && { performanceInsightEncryptionKey: key }),
  };
  const instance = { publiclyAccessible: false, ...insights };
  return {
    ...(key && { storageEncryptionKey: key }),
    writer: ClusterInstance.serverlessV2("Writer", instance),
    ...(standby && { readers: [ClusterInstance.serverlessV2("Standby", { ...instance, scaleWithWriter: true })] }),
    ...(exportLog && {
      cloudwatchLogsExports: ["postgresql"],
      // Without it, PostgreSQL logs the values of rows that break a constraint.
      parameters: { log_error_verbosity: "terse" },
    }),
    ...insights,
    ...credentialsOf(rotatePassword === true, key),
  };
}

function credentialsOf(managed: boolean, key: LogSettings["key"]): Partial<DatabaseClusterProps> {
  const encryption = key ? { encryptionKey: key } : {};
  return managed
    ? { manageMasterUserPassword: true, credentials: Credentials.fromUsername(ADMINISTRATOR, encryption) }
    : { credentials: Credentials.fromGeneratedSecret(ADMINISTRATOR, encryption) };
}
