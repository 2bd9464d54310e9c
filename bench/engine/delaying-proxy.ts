import { once } from "node:events";
import { createServer, connect as openConnection, type Socket } from "node:net";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import * as z from "zod";

interface DelayingProxy {
  /** URL of the database through the proxy. */
  readonly url: string;
  close(): Promise<void>;
}

const address = z.tuple([z.object({ port: z.int() })]);

/**
 * Delays every round trip to the database by at least `roundTripMs` whole milliseconds. The proxy runs in a thread of
 * its own, so that other computation adds no delay.
 */
export async function startDelayingProxy(databaseUrl: string, roundTripMs: number): Promise<DelayingProxy> {
  const { hostname: host, port } = new URL(databaseUrl);
  // Timers have a resolution of one millisecond.
  const thereMs = Math.floor(roundTripMs / 2);
  const workerData = { host, port: Number(port), thereMs, backMs: roundTripMs - thereMs };
  const thread = new Worker(new URL(import.meta.url), { workerData });
  const [{ port: proxyPort }] = address.parse(await once(thread, "message"));
  // Interrupted work does not close the proxy, so it must not keep the process alive.
  thread.unref();
  const url = new URL(databaseUrl);
  url.port = String(proxyPort);
  return {
    url: url.href,
    close: async () => {
      await thread.terminate();
    },
  };
}

/** Forwards data in order, after a fixed delay, without a bandwidth limit. */
function serve(): void {
  const { host, port, thereMs, backMs } = z
    .object({ host: z.string(), port: z.int(), thereMs: z.number(), backMs: z.number() })
    .parse(workerData);
  const server = createServer({ noDelay: true }, (client) => {
    const database = openConnection({ host, port, noDelay: true });
    forward(client, database, thereMs);
    forward(database, client, backMs);
  });
  server.listen(0, "127.0.0.1", () => parentPort?.postMessage(server.address()));
}

/** Keeps the order: timers with equal delays fire in the order in which they were set. */
function forward(from: Socket, to: Socket, delayMs: number): void {
  from.on("data", (chunk) => setTimeout(() => to.write(chunk), delayMs));
  from.on("end", () => setTimeout(() => to.end(), delayMs));
  from.on("error", () => to.destroy());
}

if (!isMainThread) serve();
