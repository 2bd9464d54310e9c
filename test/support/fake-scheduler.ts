import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

interface Refusal {
  readonly status: number;
  readonly type: string;
}

/** A minimal EventBridge Scheduler. Holds schedules by "group/name"; an update replaces the whole schedule. */
export class FakeScheduler {
  readonly schedules = new Map<string, Readonly<Record<string, unknown>>>();
  /** Queue of refusals; each is the answer to one request. */
  readonly refusals: Refusal[] = [];
  readonly requests: string[] = [];
  readonly server: Server = createServer(async (request, response) => {
    const { status, body, type } = this.answer(request, await text(request));
    response.writeHead(status, { "content-type": "application/json", ...(type ? { "x-amzn-errortype": type } : {}) });
    response.end(JSON.stringify(body));
  });

  async listen(): Promise<string> {
    await new Promise<void>((listening) => this.server.listen(0, "127.0.0.1", listening));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    await new Promise((closed) => this.server.close(closed));
  }

  private answer(request: IncomingMessage, sent: string): { status: number; body: object; type?: string } {
    const url = new URL(request.url ?? "/", "http://localhost");
    this.requests.push(`${request.method} ${url.pathname}`);
    const refusal = this.refusals.shift();
    if (refusal) return { ...refusal, body: { Message: "refused" } };
    const update = sent === "" ? undefined : (JSON.parse(sent) as Record<string, unknown>);
    const group = update?.["GroupName"] ?? url.searchParams.get("groupName");
    const key = `${group}/${url.pathname.slice("/schedules/".length)}`;
    const found = this.schedules.get(key);
    if (request.method === "POST" && update) {
      if (found) return { status: 409, type: "ConflictException", body: { Message: `${key} already exists` } };
      this.schedules.set(key, update);
      return { status: 200, body: { ScheduleArn: `arn of ${key}` } };
    }
    if (!found)
      return { status: 404, type: "ResourceNotFoundException", body: { Message: `Schedule ${key} not found` } };
    if (update === undefined) return { status: 200, body: found };
    const { ClientToken, ...kept } = update;
    const { Arn, CreationDate, LastModificationDate, Name } = found;
    this.schedules.set(key, { ...kept, Arn, CreationDate, LastModificationDate, Name });
    return { status: 200, body: { ScheduleArn: Arn } };
  }
}
