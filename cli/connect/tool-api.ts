import * as z from "zod";
import { type HttpCall, sendCall } from "../../lib/booking/http.ts";
import { throttledUntil } from "../../lib/booking/throttled-until.ts";
import { jsonOf } from "../../lib/inbound/json.ts";
import { Problem } from "../problem.ts";

/** The API of a tool, and what a person does for access to it. */
export interface ToolAccess {
  /** The name of the tool in messages. */
  readonly name: string;
  readonly publicUrl: string;
  /** The environment variable of the token. */
  readonly tokenVariable: string;
  /** Where a person makes such a token. */
  readonly tokenPlace: string;
  /** The remedy for a refused permission. */
  readonly permission: string;
}

/** The tool refused a call. */
export class RefusedByTool extends Problem {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** An empty list if the token may not see the items. */
export const unlessForbidden = <Item>(items: Promise<readonly Item[]>): Promise<readonly Item[]> =>
  unlessRefused(items, [403]);

/** An empty list if the tool answers with one of the statuses. */
export async function unlessRefused<Item>(
  items: Promise<readonly Item[]>,
  statuses: readonly number[],
): Promise<readonly Item[]> {
  return await items.catch((thrown: unknown) => {
    if (thrown instanceof RefusedByTool && statuses.includes(thrown.status)) return [];
    throw thrown;
  });
}

/** Longer than either tool takes, short enough for a person who waits. */
const ANSWER_MS = 15_000;

/** Calls the JSON API of a booking tool. Each error is a Problem that says what to do, and contains no token. */
export class ToolApi {
  readonly #access: ToolAccess;
  readonly #api: { readonly url: string; readonly token: string };

  /** At its public address, unless another is given. */
  constructor(access: ToolAccess, token: string, url = access.publicUrl) {
    this.#access = access;
    this.#api = { url, token };
  }

  /** The parsed answer to a call. */
  async call<Answer>(path: string, schema: z.ZodType<Answer>, call: Omit<HttpCall, "path"> = {}): Promise<Answer> {
    const response = await this.#send({ path, ...call });
    const text = await response.text().catch(() => "");
    if (!response.ok) throw this.#refusal(response, text);
    const parsed = schema.safeParse(jsonOf(text));
    if (parsed.success) return parsed.data;
    throw new Problem(`${this.#access.name} did not answer as documented: ${RETRY}`);
  }

  /** A no-op if it is gone already. */
  async remove(path: string): Promise<void> {
    await this.call(path, z.unknown(), { method: "DELETE" }).catch((thrown: unknown) => {
      if (!(thrown instanceof RefusedByTool) || thrown.status !== 404) throw thrown;
    });
  }

  async #send(call: HttpCall): Promise<Response> {
    try {
      return await sendCall(this.#api, call, AbortSignal.timeout(ANSWER_MS));
    } catch (cause) {
      throw this.#noAnswer({ cause });
    }
  }

  #noAnswer(options?: ErrorOptions): Problem {
    return new Problem(
      `${this.#access.name} did not answer at ${this.#api.url}: check the network, and ${RETRY}`,
      options,
    );
  }

  #refusal({ status, headers }: Response, text: string): Problem {
    // A redirect: something else answers there.
    if (status < 400) return this.#noAnswer();
    const { name, tokenPlace, tokenVariable, permission } = this.#access;
    const said = saidIn(text);
    const answer = `${name} answers ${status}${said === undefined ? "" : `, "${said}"`}`;
    if (status === 401) {
      const newToken = `Make a new one (${tokenPlace}), set ${tokenVariable}, and run connect again`;
      return new RefusedByTool(status, `${answer}: the token is not valid. ${newToken}`);
    }
    if (status === 403) return new RefusedByTool(status, `${answer}: ${permission}`);
    if (status === 429) return new RefusedByTool(status, `${answer}: too many requests. ${waitFor(headers)}${RETRY}`);
    if (status >= 500) return new RefusedByTool(status, `${answer}: ${RETRY}`);
    return new RefusedByTool(status, answer);
  }
}

const RETRY = "run the same command again; it continues where it stopped";

function waitFor(headers: Headers): string {
  const now = new Date();
  return `Wait ${Math.ceil((+throttledUntil(headers, now) - +now) / 1_000)} s, then `;
}

/** Calendly: `{ title, message }`. Cal.com: `{ status, error: { code, message } }`. */
const refusal = z.union([
  z.object({ message: z.string() }).transform(({ message }) => message),
  z.object({ error: z.object({ message: z.string() }) }).transform(({ error }) => error.message),
]);

function saidIn(text: string): string | undefined {
  const parsed = refusal.safeParse(jsonOf(text));
  return parsed.success ? parsed.data.replaceAll(/\s+/g, " ").slice(0, 200) : undefined;
}

/** Far more than an organisation has. */
export const MOST_PAGES = 50;

export const tooManyPages = (tool: string, path: string): Problem =>
  new Problem(`${tool} lists more than ${MOST_PAGES} pages of ${path}`);
