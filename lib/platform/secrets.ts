import { once } from "../domain/once.ts";
import { SDK_OPTIONS } from "./unavailable.ts";

/** Limited, because a secret may be rotated while the process lives. */
export const SECRET_CACHED_MS = 5 * 60_000;

/** Returns the text of a secret that was fetched at most `maxAgeMs` ago. */
type CachedSecret = (maxAgeMs?: number) => Promise<string>;

/**
 * Fetches a Secrets Manager secret on the first call and caches it for five minutes. A failure is not cached, and leaves
 * what was cached before.
 */
export function secretByArn(arn: string, clock: () => number = Date.now): CachedSecret {
  // arn:aws:secretsmanager:<region>:<account>:secret:<name>
  const fetchSecret = secretReader(arn.split(":").at(3) ?? "");
  let cached: { readonly text: Promise<string>; at: number } | undefined;
  return (maxAgeMs = SECRET_CACHED_MS) => {
    if (cached && clock() < cached.at + maxAgeMs) return cached.text;
    const before = cached;
    const fetched = { text: fetchSecret(arn), at: clock() };
    cached = fetched;
    fetched.text.catch(() => {
      if (cached === fetched) cached = before;
    });
    return fetched.text;
  };
}

/**
 * Fetches the texts of secrets, by name or ARN. `region` defaults to the function's own. Rejects with the error of the
 * AWS SDK. Loads the SDK with the first secret, and keeps its connections.
 */
export function secretReader(region?: string): (secretId: string) => Promise<string> {
  const sdk = once(async () => {
    const { GetSecretValueCommand, SecretsManagerClient } = await import("@aws-sdk/client-secrets-manager");
    const client = new SecretsManagerClient({ ...SDK_OPTIONS, ...(region !== undefined && { region }) });
    return { client, GetSecretValueCommand };
  });
  return async (SecretId) => {
    const { client, GetSecretValueCommand } = await sdk();
    const limits = { abortSignal: AbortSignal.timeout(5_000) };
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId }), limits);
    if (SecretString === undefined) throw new Error("the secret holds no text");
    return SecretString;
  };
}
