import { isThrottlingError } from "@smithy/core/retry";
import * as z from "zod";
import type { SendOutcome } from "../run/port-types.ts";
import { type Meaning, outcomeOfMeaning } from "./meaning.ts";

/** How long a provider may take before its channel stops waiting. */
export interface TimeLimits {
  readonly connectMs: number;
  /** For the whole request, connection included. A provider that is silent for longer will not tell what it did. */
  readonly answerMs: number;
}

export const PROVIDER_LIMITS: TimeLimits = { connectMs: 5_000, answerMs: 10_000 };

/** With a limit a request could wait for the connection of another, and take that over. */
const CONNECTION_OF_ITS_OWN = { keepAlive: false, maxSockets: Number.POSITIVE_INFINITY };

/**
 * How a client of AWS sends: one attempt, on a connection of its own. The touch is what is tried again; a second attempt
 * inside the client would hide an outcome that nobody knows. A connection kept from before may have died while the
 * function was frozen, which shows only after the request left, and would make an unknown of a message that never did.
 */
export const oneAttempt = ({ connectMs }: TimeLimits) => ({
  maxAttempts: 1,
  requestHandler: {
    connectionTimeout: connectMs,
    httpAgent: CONNECTION_OF_ITS_OWN,
    httpsAgent: CONNECTION_OF_ITS_OWN,
  },
});

/** Bounds one request as a whole, also an answer that never ends. */
export const within = ({ answerMs }: TimeLimits) => ({ abortSignal: AbortSignal.timeout(answerMs) });

/** What a service says with its exceptions. */
export interface Service {
  /** Begins each reason. */
  readonly name: string;
  /** The first row that fits decides. */
  readonly answers: readonly AwsAnswer[];
}

/** A row of a service's table: what an exception means that has that name, reason, field and text. */
export type AwsAnswer = Meaning & {
  readonly exception?: RegExp;
  readonly reason?: RegExp;
  /** The field of the request that a validation names. */
  readonly field?: RegExp;
  /** Only where the service documents no name that tells. */
  readonly text?: RegExp;
};

/** Credentials and permissions, after "Common Error Types" of the AWS API references. */
const COMMON: readonly AwsAnswer[] = [
  {
    exception:
      /^(AccessDenied|UnrecognizedClient|InvalidClientTokenId|InvalidAccessKeyId|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|ExpiredToken|RequestExpired|NotAuthorized|OptInRequired)(Exception)?$/,
    means: "down",
    scope: "channel",
  },
];

/** Labels of the service's own making. Anything else could carry a part of the message into the reason. */
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
 * What became of a request that failed. An answer decides: by the table of its service, else 4xx and 503 mean that the
 * request was not carried out (RFC 9110 sections 15.5 and 15.6.4), and any other 5xx, and a success that cannot be read,
 * leave open whether it was. Without an answer it may have been, unless there was no connection. The SDK knows throttling:
 * by the names of the exceptions, the `retryable` trait of the service's model, and status 429.
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

/** `Throttling` of `ThrottlingException`, in the spelling of reasons. */
const snakeCase = (words: string): string =>
  words
    .replace(/Exception$/, "")
    .replace(/(?<=[a-z])(?=[A-Z])/g, "_")
    .toLowerCase();

/** Whether the fault came before any request can have left: no credentials, no address, no connection. */
function neverLeft(fault: Fault): boolean {
  if (fault.name === "CredentialsProviderError") return true;
  // Of all time-outs only that of the client's connection has no code; the others end as AbortError or ETIMEDOUT.
  if (fault.name === "TimeoutError" && fault.code === undefined) return true;
  // A host with several addresses is tried at each, and fails with one error that holds those of all.
  const attempts = fault.errors ?? [fault];
  return attempts.every((attempt) => BEFORE_CONNECTED.has(faultSchema.parse(attempt).syscall ?? ""));
}

const BEFORE_CONNECTED = new Set(["connect", "getaddrinfo"]);
