import { isThrottlingError } from "@smithy/core/retry";
import * as z from "zod";
import type { SendOutcome } from "../run/channel-ports.ts";
import { type Meaning, outcomeOfMeaning } from "./meaning.ts";

/** How long a provider may take before its channel stops waiting. */
export interface TimeLimits {
  readonly connectMs: number;
  /** For the whole request, including the connection. After this the outcome is unknown. */
  readonly answerMs: number;
}

export const PROVIDER_LIMITS: TimeLimits = { connectMs: 5_000, answerMs: 10_000 };

/** Unlimited sockets: with a limit, a request could wait for another request's connection and reuse it. */
const CONNECTION_OF_ITS_OWN = { keepAlive: false, maxSockets: Number.POSITIVE_INFINITY };

/**
 * Client options for one attempt on a new connection. Backstop retries the touch itself; a retry inside the SDK would
 * hide an unknown outcome. A kept-alive connection may die while the function is frozen. The error appears only after
 * the request is written, so a message that was never sent would count as unknown.
 */
export const oneAttempt = ({ connectMs }: TimeLimits) => ({
  maxAttempts: 1,
  requestHandler: {
    connectionTimeout: connectMs,
    httpAgent: CONNECTION_OF_ITS_OWN,
    httpsAgent: CONNECTION_OF_ITS_OWN,
  },
});

/** Bounds the whole request, including a response that never ends. */
export const within = ({ answerMs }: TimeLimits) => ({ abortSignal: AbortSignal.timeout(answerMs) });

/** How to interpret the exceptions of one AWS service. */
export interface Service {
  /** Prefix of each reason. */
  readonly name: string;
  /** The first matching row decides. */
  readonly answers: readonly AwsAnswer[];
}

/** Maps an exception to its meaning. All given patterns must match. */
type AwsAnswer = Meaning & {
  readonly exception?: RegExp;
  readonly reason?: RegExp;
  /** The request field that a validation error names. */
  readonly field?: RegExp;
  /** Used only where the service documents no distinct exception name. */
  readonly text?: RegExp;
};

/** Credentials and permissions: "Common Error Types" in the AWS API references. */
const COMMON: readonly AwsAnswer[] = [
  {
    exception:
      /^(AccessDenied|UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|ExpiredToken|RequestExpired|NotAuthorized|OptInRequired)(Exception)?$/,
    means: "down",
    scope: "channel",
  },
];

/** A plain label. Other text could leak message content into the reason. */
const label = z
  .string()
  .regex(/^[A-Za-z_]{1,80}$/)
  .optional()
  .catch(undefined);

const faultSchema = z
  .object({
    name: label,
    code: z.string().optional().catch(undefined),
    syscall: z.string().optional().catch(undefined),
    errors: z.array(z.unknown()).optional().catch(undefined),
    Reason: label,
    message: z.string().optional().catch(undefined),
    Fields: z
      .array(z.object({ Name: z.string() }))
      .optional()
      .catch(undefined),
    $retryable: z.looseObject({ throttling: z.boolean().optional() }).optional().catch(undefined),
    $metadata: z.object({ httpStatusCode: z.number() }).optional().catch(undefined),
  })
  .partial()
  .catch({});
type Fault = z.infer<typeof faultSchema>;

/**
 * The outcome of a failed request.
 *
 * - With a response: the service's table decides. Otherwise 4xx and 503 mean that the request was not carried out
 *   (RFC 9110 sections 15.5 and 15.6.4). Any other 5xx, or an unreadable success, is unknown.
 * - Without a response: unknown, unless no connection was made.
 * - Throttling: the SDK detects it by exception name, the `retryable` trait of the service model, and status 429.
 */
export function outcomeOfFault(thrown: unknown, { name, answers }: Service): SendOutcome {
  const fault = faultSchema.parse(thrown);
  const status = fault.$metadata?.httpStatusCode;
  if (status === undefined) {
    if (!neverLeft(fault)) return { kind: "unknown", reason: `${name}_no_answer` };
    return { kind: "channel_down", scope: "channel", reason: `${name}_not_reached` };
  }
  const reason = `${name}_${snakeCase(fault.Reason ?? `${status}_${fault.name ?? ""}`)}`;
  const row = [...answers, ...COMMON].find((answer) => fits(answer, fault));
  return outcomeOfMeaning(row ?? meaningOfStatus(status, fault), reason);
}

const fits = ({ exception, reason, field, text }: AwsAnswer, fault: Fault): boolean =>
  (exception?.test(fault.name ?? "") ?? true) &&
  (reason?.test(fault.Reason ?? "") ?? true) &&
  (field === undefined || (fault.Fields?.some(({ Name }) => field.test(Name)) ?? false)) &&
  (text?.test(fault.message ?? "") ?? true);

function meaningOfStatus(status: number, fault: Fault): Meaning {
  if (isThrottling(fault)) return { means: "slow", waitMs: null };
  if (status === 401 || status === 403) return { means: "down", scope: "channel" };
  return { means: (status >= 400 && status < 500) || status === 503 ? "retry" : "unknown" };
}

const isThrottling = ({ name = "", $metadata, $retryable }: Fault): boolean =>
  isThrottlingError({
    name,
    message: "",
    ...($metadata && { $metadata }),
    $retryable: { throttling: $retryable?.throttling ?? false },
  });

/** `ThrottlingException` becomes `throttling`. */
const snakeCase = (words: string): string =>
  words
    .replace(/Exception$/, "")
    .replace(/(?<=[a-z])(?=[A-Z])/g, "_")
    .toLowerCase();

/** Whether the error occurred before anything was sent: no credentials, no address or no connection. */
function neverLeft(fault: Fault): boolean {
  if (fault.name === "CredentialsProviderError") return true;
  // Only the client's connection timeout has no code; other timeouts are an AbortError or ETIMEDOUT.
  if (fault.name === "TimeoutError" && fault.code === undefined) return true;
  // For a host with several addresses, the error aggregates one error per address.
  const attempts = fault.errors ?? [fault];
  return attempts.every((attempt) => BEFORE_CONNECTED.has(faultSchema.parse(attempt).syscall ?? ""));
}

const BEFORE_CONNECTED = new Set(["connect", "getaddrinfo"]);
