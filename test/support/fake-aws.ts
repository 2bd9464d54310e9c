import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

interface Refusal {
  readonly status: number;
  readonly type: string;
}

/** The answer of a function, or what happens instead of an answer. */
interface Invoked {
  readonly payload: unknown;
  readonly functionError?: string;
  readonly instead?: "close" | "wait";
}

/**
 * A minimal EventBridge Scheduler, and Lambda's Invoke. Holds schedules by "group/name"; an update replaces the whole
 * schedule.
 */
export class FakeAws {
  readonly schedules = new Map<string, Readonly<Record<string, unknown>>>();
  /** Queue of refusals; each is the answer to one request. */
  readonly refusals: Refusal[] = [];
  readonly requests: string[] = [];
  /** The type and the event of each invocation. */
  readonly invocations: { readonly type: unknown; readonly event: unknown }[] = [];
  invoked: Invoked = { payload: null };
  /** If set, refuses every invocation. */
  invocationRefusal: Refusal | undefined;
  readonly server: Server = createServer(async (request, response) => {
    const sent = await text(request);
    const { status, body, headers } = this.answer(request, sent);
    const instead = this.invocations.length > 0 ? this.invoked.instead : undefined;
    if (instead === "wait") return;
    if (instead === "close") return void request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  });

  async listen(): Promise<string> {
    await new Promise<void>((listening) => this.server.listen(0, "127.0.0.1", listening));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    await new Promise((closed) => this.server.close(closed));
  }

  private answer(request: IncomingMessage, sent: string): Answer {
    const url = new URL(request.url ?? "/", "http://localhost");
    this.requests.push(`${request.method} ${decodeURIComponent(url.pathname)}`);
    const refusal = this.refusals.shift();
    if (refusal) return refused(refusal.status, refusal.type, "refused");
    if (url.pathname.endsWith("/invocations")) return this.invoke(request, sent);
    const update = sent === "" ? undefined : (JSON.parse(sent) as Record<string, unknown>);
    const group = update?.["GroupName"] ?? url.searchParams.get("groupName");
    const key = `${group}/${url.pathname.slice("/schedules/".length)}`;
    const found = this.schedules.get(key);
    if (!found) return refused(404, "ResourceNotFoundException", `Schedule ${key} not found`);
    if (update === undefined) return { status: 200, body: found };
    const { ClientToken, ...kept } = update;
    const { Arn, CreationDate, LastModificationDate, Name } = found;
    this.schedules.set(key, { ...kept, Arn, CreationDate, LastModificationDate, Name });
    return { status: 200, body: { ScheduleArn: Arn } };
  }

  private invoke({ headers }: IncomingMessage, sent: string): Answer {
    this.invocations.push({ type: headers["x-amz-invocation-type"], event: JSON.parse(sent) });
    if (this.invocationRefusal) return refused(this.invocationRefusal.status, this.invocationRefusal.type, "refused");
    const { payload, functionError } = this.invoked;
    return { status: 200, body: payload, headers: functionError ? { "x-amz-function-error": functionError } : {} };
  }
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const refused = (status: number, type: string, message: string): Answer => ({
  status,
  body: { Message: message },
  headers: { "x-amzn-errortype": type },
});
