import { once } from "node:events";
import { Worker } from "node:worker_threads";
import * as z from "zod";

export interface DelayingProxy {
  /** The database's URL, by way of the proxy. */
  readonly url: string;
  close(): Promise<void>;
}

const listening = z.tuple([z.object({ port: z.int() })]);

/** Puts a round trip of at least so many whole milliseconds between whoever uses its URL and the database. */
export async function startDelayingProxy(databaseUrl: string, roundTripMs: number): Promise<DelayingProxy> {
  const { hostname: host, port } = new URL(databaseUrl);
  // Timers know whole milliseconds only.
  const thereMs = Math.floor(roundTripMs / 2);
  const workerData = { host, port: Number(port), thereMs, backMs: roundTripMs - thereMs };
  const thread = new Worker(new URL("./delaying-proxy-thread.ts", import.meta.url), { workerData });
  const [address] = listening.parse(await once(thread, "message"));
  // Work that was interrupted does not close it.
  thread.unref();
  const url = new URL(databaseUrl);
  url.port = String(address.port);
  return {
    url: url.href,
    close: async () => {
      await thread.terminate();
    },
  };
}
