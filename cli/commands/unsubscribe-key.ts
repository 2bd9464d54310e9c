import { randomBytes } from "node:crypto";
import {
  GetSecretValueCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from "@aws-sdk/client-secrets-manager";
import { Command } from "commander";
import { withNextKey } from "../../lib/inbound/unsubscribe-link.ts";
import { namesOf, STAGE_PATTERN } from "../../lib/platform/names.ts";
import { Unavailable } from "../../lib/platform/unavailable.ts";
import { unsubscribeKeysIn } from "../../lib/platform/unsubscribe-links.ts";
import { type ErrorAdvice, whenUnreachable, withAdvice } from "../aws.ts";
import { print } from "../print.ts";
import { Problem, UsageProblem } from "../problem.ts";

const HELP = `
\`rotate\` replaces the key that signs the unsubscribe links of a stage. Rotate it if others may know it.

Links in messages that were sent before stay valid for 13 months. Functions that send use the new key within five minutes; the
unsubscribe page accepts it at once. Keys whose 13 months are over are dropped.

If the command is interrupted, either the old key is in use or the new one, and no link is lost: run it again.

Required permissions: infra/policies/rotate-unsubscribe-key.json. Region and credentials come from AWS_REGION, AWS_PROFILE or the
shared AWS configuration files.

Example:
  $ npm run backstop -- unsubscribe-key rotate --stage production`;

/** The command `unsubscribe-key rotate`. Throws known errors as Problem. */
export function unsubscribeKeyCommand(): Command {
  return new Command("unsubscribe-key")
    .description("replace the key that signs the unsubscribe links of a stage")
    .addCommand(
      new Command("rotate")
        .description("replace the key; links that were sent before stay valid for 13 months")
        .requiredOption("--stage <stage>", "the stage")
        .action(({ stage }: { readonly stage: string }) => rotate(stage)),
    )
    .addHelpText("after", HELP);
}

async function rotate(stage: string): Promise<void> {
  if (!STAGE_PATTERN.test(stage)) throw new UsageProblem(`"${stage}" is not a valid stage name; a valid name is dev`);
  const secret = namesOf(stage).unsubscribeSecret;
  const client = new SecretsManagerClient({ maxAttempts: MAX_ATTEMPTS });
  try {
    const former = await replaceKey(client, secret, new Date());
    print(`${secret} has a new key. Functions that send use it within five minutes.\n`);
    print(`Links of ${former === 1 ? "the former key" : `${former} former keys`} stay valid, each for 13 months.\n`);
  } catch (thrown) {
    if (thrown instanceof Unavailable) throw new Problem(`nothing was changed: ${thrown.message}`, { cause: thrown });
    throw withAdvice(thrown, ADVICE, secret);
  } finally {
    client.destroy();
  }
}

/** Marks a version that is not in use yet. */
const NEXT = "BACKSTOP_NEXT";

/**
 * Writes the keys as a version of its own, and then puts it in place of exactly the version that was read: of two
 * rotations at once, one fails, because a key that only one of them knows may have signed links. Returns the number of
 * former keys.
 */
async function replaceKey(client: SecretsManagerClient, SecretId: string, now: Date): Promise<number> {
  const { SecretString = "", VersionId: RemoveFromVersionId } = await client.send(
    new GetSecretValueCommand({ SecretId }),
  );
  const keys = withNextKey(unsubscribeKeysIn(SecretString), randomBytes(32).toString("base64url"), now);
  const { VersionId: MoveToVersionId } = await client.send(
    new PutSecretValueCommand({ SecretId, SecretString: JSON.stringify(keys), VersionStages: [NEXT] }),
  );
  const move = { SecretId, VersionStage: "AWSCURRENT", RemoveFromVersionId, MoveToVersionId };
  await client.send(new UpdateSecretVersionStageCommand(move));
  return keys.former.length;
}

const MAX_ATTEMPTS = 4;

/** Advice for each error, by the name or code that the SDK gives it. */
const ADVICE: ErrorAdvice<string> = {
  ResourceNotFoundException: (secret) =>
    `there is no secret ${secret} in this account and region: deploy the stage with webhooks, or check --stage and AWS_REGION`,
  AccessDeniedException: (secret) =>
    `the credentials lack a permission for ${secret}: secretsmanager:GetSecretValue, PutSecretValue or UpdateSecretVersionStage`,
  InvalidParameterException: (secret) =>
    `another rotation changed ${secret} at the same time, and this one changed nothing: see whether one more is needed`,
  ...whenUnreachable("Secrets Manager"),
};
