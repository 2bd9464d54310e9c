import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import { namesOf } from "../../lib/platform/names.ts";
import { type ErrorAdvice, each, isNamed, whenUnreachable, withAdvice } from "../aws.ts";
import { Problem } from "../problem.ts";

/** The secret of one connection in Secrets Manager. Throws known errors as Problem. */
export interface ConnectionStore {
  readonly name: string;
  /** The text, or undefined if there is none. A secret that waits for its deletion counts as none. */
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
  /** Deletes the secret after seven days; until then `write` restores it. */
  remove(): Promise<void>;
}

const RECOVERY_DAYS = 7;

export function connectionStore(stage: string, name: string): ConnectionStore {
  const client = new SecretsManagerClient({ maxAttempts: 4 });
  const SecretId = name;
  const send = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } catch (thrown) {
      throw withAdvice(thrown, ADVICE, name);
    }
  };

  const read = async (): Promise<string | undefined> => {
    try {
      return (await client.send(new GetSecretValueCommand({ SecretId }))).SecretString ?? "";
    } catch (thrown) {
      if (isNamed(thrown, "ResourceNotFoundException", "InvalidRequestException")) return undefined;
      throw thrown;
    }
  };

  const remove = async (): Promise<void> => {
    try {
      await client.send(new DeleteSecretCommand({ SecretId, RecoveryWindowInDays: RECOVERY_DAYS }));
    } catch (thrown) {
      if (isNamed(thrown, "ResourceNotFoundException", "InvalidRequestException")) return;
      throw thrown;
    }
  };

  return {
    name,
    read: () => send(read()),
    write: (text) => send(write(client, stage, name, text)),
    remove: () => send(remove()),
  };
}

async function write(client: SecretsManagerClient, stage: string, name: string, SecretString: string): Promise<void> {
  const put = () => client.send(new PutSecretValueCommand({ SecretId: name, SecretString }));
  try {
    await put();
  } catch (thrown) {
    if (isNamed(thrown, "InvalidRequestException")) {
      await client.send(new RestoreSecretCommand({ SecretId: name }));
      await put();
    } else if (isNamed(thrown, "ResourceNotFoundException")) {
      const KmsKeyId = await keyOfStage(client, stage);
      const Description = "Backstop: the keys of a connection. Written by backstop connect.";
      const Tags = [
        { Key: "application", Value: "backstop" },
        { Key: "stage", Value: stage },
      ];
      await client.send(new CreateSecretCommand({ Name: name, SecretString, Description, Tags, KmsKeyId }));
    } else throw thrown;
  }
}

/**
 * The key that encrypts the stage's own secret, which the webhooks function may use; undefined for the key of AWS. With
 * any other key, the function could not read the secret.
 */
async function keyOfStage(client: SecretsManagerClient, stage: string): Promise<string | undefined> {
  const { unsubscribeSecret: SecretId } = namesOf(stage);
  try {
    return (await client.send(new DescribeSecretCommand({ SecretId }))).KmsKeyId;
  } catch (thrown) {
    if (!isNamed(thrown, "ResourceNotFoundException")) throw thrown;
    throw new Problem(`there is no secret ${SecretId}: deploy the stage with "webhooks": {}, or check AWS_REGION`);
  }
}

/** Advice for each error, by the name or code that the SDK gives it. */
const ADVICE: ErrorAdvice<string> = {
  AccessDeniedException: (name) =>
    `the credentials lack a permission for the secret ${name}: infra/policies/connect.json lists all of them`,
  ...each(["DecryptionFailure", "EncryptionFailure"], (name: string) => {
    return `the credentials may not use the KMS key of the secret ${name}: kms:Decrypt and kms:GenerateDataKey`;
  }),
  ...whenUnreachable("Secrets Manager"),
};
