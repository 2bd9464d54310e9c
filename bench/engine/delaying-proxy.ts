import { once } from "node:events";
import { Worker } from "node:worker_threads";
import * as z from "zod";

export interface DelayingProxy {
  /** URL of the database through the proxy. */
  readonly url: string;
  close(): Promise<void>;
}

const listening = z.tuple([z.object({ port: z.int() })]);

/** Delays every round trip to the database by at least `roundTripMs` whole milliseconds. */
export async function startDelayingProxy(databaseUrl: string, roundTripMs: number): Promise<DelayingProxy> {
  const { hostname: host, port } = new URL(databaseUrl);
  // Timers have a resolution of one millisecond.
  const thereMs = Math.floor(roundTripMs / 2);
  const workerData = { host, port: Number(port), thereMs, backMs: roundTripMs - thereMs };
  const thread = new Worker(new URL("./delaying-proxy-thread.ts", import.meta.url), { workerData });
  const [address] = listening.parse(await once(thread, "message"));
  // Interrupted work does not close the proxy, so it must not keep the process alive.
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
