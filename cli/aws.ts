import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { oneAttempt, within } from "../lib/channels/aws-request.ts";
import { Problem } from "./problem.ts";

/** Advice for each error, by the name or code that the SDK gives it. */
export type ErrorAdvice<Subject> = Readonly<Record<string, (subject: Subject) => string>>;

export function each<Value>(names: readonly string[], value: Value): Record<string, Value> {
  return Object.fromEntries(names.map((name) => [name, value]));
}

/** Whether it is an error of the SDK with one of these names. */
export const isNamed = (thrown: unknown, ...names: readonly string[]): boolean =>
  thrown instanceof Error && names.includes(thrown.name);

/** Advice for a service that cannot be reached. */
export const whenUnreachable = (service: string): ErrorAdvice<unknown> =>
  each(["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "ETIMEDOUT", "TimeoutError"], () => {
    return `${service} cannot be reached: check the network and AWS_REGION`;
  });

/** Advice that all services share. */
const COMMON: ErrorAdvice<unknown> = {
  CredentialsProviderError: () => "no AWS credentials were found: set AWS_PROFILE, or sign in with: aws sso login",
  "Region not accepted": () => "AWS_REGION is not the name of a region; a valid name is eu-central-1",
  "Region is missing": () => "no AWS region is set: set AWS_REGION to the region of the stage",
  ...each(["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"], () => {
    return "AWS rejected the credentials, which are expired or invalid: sign in again";
  }),
};

/** Translates an error into a Problem with advice. Returns an error without advice unchanged. */
export function withAdvice<Subject>(thrown: unknown, advice: ErrorAdvice<Subject>, subject: Subject): unknown {
  if (!(thrown instanceof Error) || thrown instanceof Problem) return thrown;
  const code = "code" in thrown ? String(thrown.code) : "";
  // The SDK wraps some network errors so that only the message contains the name or the code.
  const nameInMessage = /^Region not accepted|\b(?:E[A-Z]{4,}|TimeoutError)\b/.exec(thrown.message)?.[0] ?? "";
  const keys = [thrown.name, code, thrown.message, nameInMessage];
  const found = keys.map((key) => (advice[key] ?? COMMON[key])?.(subject)).find((text) => text !== undefined);
  return found === undefined ? thrown : new Problem(found, { cause: thrown });
}

interface Invocation {
  readonly answerMs: number;
  readonly maxAttempts: number;
  /** Advice that differs from that of `invokeFunction`. */
  readonly advice?: ErrorAdvice<string>;
  /** The remedy if the function reaches a limit of Lambda: its time, its memory or the size of its answer. */
  readonly whenLimited?: string;
}

/** Lambda's limit for the event of a synchronous invocation. */
const MOST_BYTES = 6 * 1024 ** 2;

/** Returns what the function returned. Throws a Problem if it failed, or if there is no answer. */
export async function invokeFunction(
  name: string,
  event: unknown,
  { answerMs, maxAttempts, advice, whenLimited }: Invocation,
): Promise<unknown> {
  const Payload = Buffer.from(JSON.stringify(event));
  if (Payload.length > MOST_BYTES)
    throw new Problem(`the request has ${Payload.length} bytes; Lambda takes ${MOST_BYTES}`);
  const limits = { connectMs: 5_000, answerMs };
  const client = new LambdaClient({ ...oneAttempt(limits), maxAttempts });
  const command = new InvokeCommand({ FunctionName: name, InvocationType: "RequestResponse", Payload });
  try {
    const answer = await client.send(command, within(limits));
    const text = answer.Payload?.transformToString() ?? "";
    if (answer.FunctionError) {
      const toDo = whenLimited && MEETS_A_LIMIT.test(text) ? `; ${whenLimited}` : "";
      throw new Problem(`the function failed (${answer.FunctionError}): ${text}${toDo}`);
    }
    return JSON.parse(text);
  } catch (thrown) {
    throw withAdvice(thrown, { ...INVOCATION_ADVICE, ...advice }, name);
  } finally {
    client.destroy();
  }
}

/** Lambda's own words for these limits. */
const MEETS_A_LIMIT = /Task timed out|Runtime\.OutOfMemory|signal: killed|ResponseSizeTooLarge/;

const INVOCATION_ADVICE: ErrorAdvice<string> = {
  ResourceNotFoundException: (name) =>
    `there is no function ${name} in this account and region: deploy the stage again, or check --stage and AWS_REGION`,
  AccessDeniedException: (name) => `the credentials lack the permission lambda:InvokeFunction for ${name}`,
  TooManyRequestsException: (name) => `${name} uses all of its concurrency: try again in a minute`,
  ...each(["ECONNREFUSED", "ENOTFOUND"], () => "Lambda cannot be reached: check the network and AWS_REGION"),
  ...each(["AbortError", "TimeoutError", "ECONNRESET", "ETIMEDOUT", "EPIPE", "ServiceException"], (name: string) => {
    return `there was no answer from ${name}: try again`;
  }),
};
