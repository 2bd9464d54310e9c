const CONNECT_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 5_000;

/** Limited, because a secret may be rotated while the process lives. */
const KEPT_MS = 5 * 60_000;

/** Returns a function that fetches a Secrets Manager secret and caches it for five minutes. Failures are not cached. */
export function secretByArn(arn: string, clock: () => number = Date.now): () => Promise<string> {
  // arn:aws:secretsmanager:<region>:<account>:secret:<name>
  const region = arn.split(":").at(3) ?? "";
  let kept: { readonly text: Promise<string>; until: number } | undefined;
  return () => {
    if (kept && clock() < kept.until) return kept.text;
    const fetched = { text: fetchText(region, arn), until: clock() + KEPT_MS };
    kept = fetched;
    fetched.text.catch(() => (fetched.until = 0));
    return fetched.text;
  };
}

/** Imports the client lazily, so that a process without a secret does not load it. */
async function fetchText(region: string, arn: string): Promise<string> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import("@aws-sdk/client-secrets-manager");
  const client = new SecretsManagerClient({ region, requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS } });
  const signal = { abortSignal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) };
  const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }), signal);
  if (SecretString === undefined) throw new Error("the secret holds no text");
  return SecretString;
}
