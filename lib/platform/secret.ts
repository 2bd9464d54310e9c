const CONNECT_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 5_000;

/** A secret may be rotated while the process lives. */
const KEPT_MS = 5 * 60_000;

/**
 * The text of a secret in Secrets Manager: fetched when it is first asked for, kept for five minutes. A fetch that failed
 * is not kept, so that the next one may succeed.
 */
export function secretByArn(arn: string, clock: () => number = Date.now): () => Promise<string> {
  // An ARN names its region fourth: arn:aws:secretsmanager:<region>:<account>:secret:<name>
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

/** The client is loaded here, so that a process which asks for no secret does not wait for it. */
async function fetchText(region: string, arn: string): Promise<string> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import("@aws-sdk/client-secrets-manager");
  const client = new SecretsManagerClient({ region, requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS } });
  const signal = { abortSignal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) };
  const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: arn }), signal);
  if (SecretString === undefined) throw new Error("the secret holds no text");
  return SecretString;
}
