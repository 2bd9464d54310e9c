import type * as z from "zod";
import { faultsOf, jsonOf } from "../inbound/json.ts";
import { BookingToolFault, type CallBudget, RefusedCall } from "./port.ts";
import { throttledUntil } from "./throttled-until.ts";

/** Limits of one call. */
export interface CallLimits {
  /** From the request to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly mostBytes: number;
}

/** How to reach the API of one connection. */
interface ApiAccess {
  readonly url: string;
  readonly token: string;
  readonly limits: CallLimits;
}

/** A call without its answer. */
export interface HttpCall {
  readonly method?: "GET" | "POST" | "DELETE";
  /** Below the URL of the API, with a leading slash. Without personal data, because faults name it. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object;
}

interface ApiCall<Answer> extends Pick<HttpCall, "path" | "query" | "headers"> {
  readonly answer: z.ZodType<Answer>;
}

/** Sends a call with the token. Follows no redirect, because that could hand the token to another host. */
export function sendCall(
  { url, token }: Pick<ApiAccess, "url" | "token">,
  { method = "GET", path, query = {}, headers, body }: HttpCall,
  signal: AbortSignal,
): Promise<Response> {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) given.set(key, value);
  const own = { ...headers, accept: "application/json", authorization: `Bearer ${token}` };
  return fetch(`${url.replace(/\/+$/, "")}${path}${given.size > 0 ? `?${given}` : ""}`, {
    method,
    headers: { ...own, ...(body && { "content-type": "application/json" }) },
    ...(body && { body: JSON.stringify(body) }),
    redirect: "manual",
    signal,
  });
}

/** Reads from the API of a tool. Rejects with a BookingToolFault and nothing else. */
export type ReadApi = <Answer>(call: ApiCall<Answer>, budget: CallBudget) => Promise<Answer>;

/** Calls of one connection. */
export function apiReader({ url, token, limits }: ApiAccess): ReadApi {
  const ask = async <Answer>(call: ApiCall<Answer>, signal: AbortSignal): Promise<Answer> => {
    const response = await sendCall({ url, token }, call, signal);
    await assertSuccess(nameOf(call), response);
    return parsed(nameOf(call), call.answer, await textOf(nameOf(call), response, limits.mostBytes));
  };
  return async (call, budget) => {
    if (!isSafe(url)) throw new BookingToolFault("unauthorised", "the URL of the API must begin with https://");
    if (budget.signal.aborted || !budget.take()) throw outOfBudget(call);
    const signal = AbortSignal.any([budget.signal, AbortSignal.timeout(limits.timeoutMs)]);
    return ask(call, signal).catch((thrown: unknown) => {
      if (thrown instanceof BookingToolFault) throw thrown;
      if (budget.signal.aborted) throw outOfBudget(call);
      // The text of the error is not repeated, because it may hold values.
      const reason = signal.aborted ? `did not answer within ${limits.timeoutMs} ms` : "got no complete answer";
      throw new BookingToolFault("unavailable", `${nameOf(call)} ${reason}`);
    });
  };
}

const nameOf = ({ path }: Pick<ApiCall<unknown>, "path">): string => `GET ${path}`;

const outOfBudget = (call: Pick<ApiCall<unknown>, "path">): BookingToolFault =>
  new BookingToolFault("out_of_budget", `${nameOf(call)} was left for a later run`);

/** Whether the token may be sent there: over TLS, or to this machine. */
export function isSafe(url: string): boolean {
  const { protocol, hostname } = URL.parse(url) ?? {};
  return protocol === "https:" || (protocol === "http:" && /^(127\.0\.0\.1|localhost|\[::1\])$/.test(hostname ?? ""));
}

async function assertSuccess(name: string, response: Response): Promise<void> {
  const { status, headers } = response;
  if (status === 200) return;
  // Frees the connection. The message does not repeat the body, which may hold values.
  await response.body?.cancel();
  const message = `${name} answered ${status}`;
  if (status === 401) throw new BookingToolFault("unauthorised", message);
  if (status === 429) throw new BookingToolFault("throttled", message, throttledUntil(headers, new Date()));
  if (status >= 500) throw new BookingToolFault("unavailable", message);
  throw new RefusedCall(message, status);
}

/** As `read`. Undefined if the answer has one of the statuses, which say that there is no such thing. */
export async function readIfThere<Answer>(
  read: ReadApi,
  call: ApiCall<Answer>,
  statuses: readonly number[],
  budget: CallBudget,
): Promise<Answer | undefined> {
  try {
    return await read(call, budget);
  } catch (thrown) {
    if (thrown instanceof RefusedCall && statuses.includes(thrown.status)) return undefined;
    throw thrown;
  }
}

async function textOf(name: string, response: Response, mostBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > mostBytes) throw unexpected(name, `the answer has more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed<Answer>(name: string, schema: z.ZodType<Answer>, text: string): Answer {
  const json = jsonOf(text);
  if (json === undefined) throw unexpected(name, "the answer is not JSON");
  const answer = schema.safeParse(json);
  if (answer.success) return answer.data;
  throw unexpected(name, faultsOf(answer.error).join("; "));
}

/** `fault` names fields, never values. */
export const unexpected = (name: string, fault: string): BookingToolFault =>
  new BookingToolFault("unexpected_answer", `${name}: ${fault}`);
