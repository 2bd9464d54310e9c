import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { LambdaWorker } from "./worker.ts";

export interface InvokeApi {
  /** For AWS_ENDPOINT_URL_LAMBDA. */
  readonly url: string;
  /** The functions that were invoked, in order. */
  readonly invoked: readonly string[];
  close(): Promise<void>;
}

/**
 * Lambda's Invoke for local workers, by the name of their function: synchronous invocations only.
 * @see https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 */
export async function startInvokeApi(
  workers: Readonly<Record<string, Pick<LambdaWorker, "invoke">>>,
): Promise<InvokeApi> {
  const invoked: string[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const [, named = ""] = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(request.url ?? "") ?? [];
    // A name, or an ARN that ends with it.
    const name = decodeURIComponent(named).split(":").at(-1) ?? "";
    const event: unknown = JSON.parse(await text(request));
    const worker = workers[name];
    if (!worker) {
      response.writeHead(404, { "x-amzn-errortype": "ResourceNotFoundException" });
      return void response.end(JSON.stringify({ Message: `Function not found: ${name}`, Type: "User" }));
    }
    invoked.push(name);
    const told = await worker.invoke(event);
    const { kind, ...error } = told;
    const failed = kind === "error";
    response.writeHead(200, {
      "content-type": "application/json",
      "x-amz-executed-version": "$LATEST",
      ...(failed && { "x-amz-function-error": "Unhandled" }),
    });
    response.end(JSON.stringify(told.kind === "error" ? error : told.body));
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    invoked,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
