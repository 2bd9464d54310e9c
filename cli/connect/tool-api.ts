import * as z from "zod";
import { throttledUntil } from "../../lib/booking/throttled-until.ts";
import { jsonOf } from "../../lib/inbound/json.ts";
import { Problem } from "../problem.ts";

/** The API of a tool, and what a person does for access to it. */
export interface ApiAccess {
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

interface Call {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
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
export async function unlessForbidden<Item>(items: Promise<readonly Item[]>): Promise<readonly Item[]> {
  return await items.catch((thrown: unknown) => {
    if (thrown instanceof RefusedByTool && thrown.status === 403) return [];
    throw thrown;
  });
}

/** Longer than either tool takes, short enough for a person who waits. */
const ANSWER_MS = 15_000;

/** Calls the JSON API of a booking tool. Each error is a Problem that says what to do, and contains no token. */
export class ToolApi {
  readonly #access: ApiAccess;
  readonly #token: string;
  readonly #baseUrl: string;

  /** At its public address, unless another is given. */
  constructor(access: ApiAccess, token: string, url = access.publicUrl) {
    this.#access = access;
    this.#token = token;
    this.#baseUrl = url;
  }

  /** The parsed answer to a call. `path` starts with a slash. */
  async call<Answer>(path: string, schema: z.ZodType<Answer>, call: Call = {}): Promise<Answer> {
    const response = await this.#fetch(path, call);
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

  async #fetch(path: string, { method = "GET", body, headers }: Call): Promise<Response> {
    try {
      return await fetch(`${this.#baseUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: "application/json",
          ...(body && { "content-type": "application/json" }),
          ...headers,
        },
        ...(body && { body: JSON.stringify(body) }),
        // A redirect could carry the token to another host.
        redirect: "error",
        signal: AbortSignal.timeout(ANSWER_MS),
      });
    } catch (cause) {
      const { name } = this.#access;
      throw new Problem(`${name} did not answer at ${this.#baseUrl}: check the network, and ${RETRY}`, { cause });
    }
  }

  #refusal({ status, headers }: Response, text: string): Problem {
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
