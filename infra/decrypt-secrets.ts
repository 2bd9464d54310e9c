import { PolicyStatement } from "aws-cdk-lib/aws-iam";

/** A function may use the key only through Secrets Manager, and only for the secrets whose ARN matches. */
export const mayDecryptSecrets = (keyArn: string, secretArn: string, region: string): PolicyStatement =>
  new PolicyStatement({
    actions: ["kms:Decrypt"],
    resources: [keyArn],
    conditions: {
      StringEquals: { "kms:ViaService": `secretsmanager.${region}.amazonaws.com` },
      StringLike: { "kms:EncryptionContext:SecretARN": secretArn },
    },
  });
