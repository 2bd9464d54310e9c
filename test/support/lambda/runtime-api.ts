import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import * as z from "zod";

/** A function's result, or its error as the runtime client reports it. */
export type Answer =
  | { readonly kind: "response"; readonly body: unknown }
  | {
      readonly kind: "error";
      readonly errorType: string;
      readonly errorMessage: string;
      /** The lines of the stack. */
      readonly trace: readonly string[];
    };

const errorSchema = z.object({ errorType: z.string(), errorMessage: z.string(), trace: z.array(z.string()) });

interface Invocation {
  readonly id: string;
  readonly event: unknown;
  readonly deadlineMs: number;
  readonly answered: PromiseWithResolvers<Answer>;
}

/** Lambda's Runtime API for one worker: sequential invocations and their results. */
export class RuntimeApi {
  readonly #server: Server = createServer((request, response) => void this.#handle(request, response));
  readonly #waiting: Invocation[] = [];
  readonly #underWay = new Map<string, Invocation>();
  #idle: ServerResponse | undefined;
  readonly #initialised = Promise.withResolvers<void>();

  /** Resolves when the worker requests its first invocation; rejects with an error of its initialisation. */
  readonly initialised: Promise<void> = this.#initialised.promise;

  /** Returns the address for AWS_LAMBDA_RUNTIME_API. */
  async listen(): Promise<string> {
    await new Promise<void>((listening) => this.#server.listen(0, "127.0.0.1", listening));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Queues an event and resolves with its result. Rejects after `abandon`. */
  invoke(event: unknown, timeLimitMs: number): Promise<Answer> {
    const answered = Promise.withResolvers<Answer>();
    this.#waiting.push({ id: randomUUID(), event, deadlineMs: Date.now() + timeLimitMs, answered });
    this.#handOver();
    return answered.promise;
  }

  /** Rejects all pending invocations, because the worker has ended. */
  abandon(reason: Error): void {
    for (const { answered } of [...this.#underWay.values(), ...this.#waiting.splice(0)]) answered.reject(reason);
    this.#underWay.clear();
    this.#initialised.reject(reason);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const [, what = ""] = /^\/2018-06-01\/runtime\/(.*)$/.exec(request.url ?? "") ?? [];
    if (what === "invocation/next") {
      this.#idle = response;
      this.#initialised.resolve();
      this.#handOver();
      return;
    }
    response.writeHead(202).end();
    if (what === "init/error") this.#initialised.reject(new InitFailed(body));
    const [, id = "", kind] = /^invocation\/([^/]+)\/(response|error)$/.exec(what) ?? [];
    const invocation = this.#underWay.get(id);
    this.#underWay.delete(id);
    const told: unknown = JSON.parse(body);
    if (kind === "response") invocation?.answered.resolve({ kind, body: told });
    else if (kind === "error") invocation?.answered.resolve({ kind, ...errorSchema.parse(told) });
  }

  #handOver(): void {
    if (!this.#idle) return;
    const invocation = this.#waiting.shift();
    if (!invocation) return;
    this.#underWay.set(invocation.id, invocation);
    this.#idle.writeHead(200, {
      "content-type": "application/json",
      "lambda-runtime-aws-request-id": invocation.id,
      "lambda-runtime-deadline-ms": String(invocation.deadlineMs),
      "lambda-runtime-invoked-function-arn":
        "arn:aws:lambda:eu-central-1:111122223333:function:backstop-dev-follow-ups",
    });
    this.#idle.end(JSON.stringify(invocation.event));
    this.#idle = undefined;
  }
}

/** The function threw while it was loaded. The message is the runtime client's report. */
export class InitFailed extends Error {}
