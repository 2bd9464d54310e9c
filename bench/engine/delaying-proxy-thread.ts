import { createServer, connect as openConnection, type Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import * as z from "zod";

/**
 * Thread of the delaying proxy. It forwards data in order, after a fixed delay, without a bandwidth limit.
 * It is a separate thread, so that other computation adds no delay.
 */
const { host, port, thereMs, backMs } = z
  .object({ host: z.string(), port: z.int(), thereMs: z.number(), backMs: z.number() })
  .parse(workerData);

const server = createServer({ noDelay: true }, (client) => {
  const database = openConnection({ host, port, noDelay: true });
  forward(client, database, thereMs);
  forward(database, client, backMs);
});

server.listen(0, "127.0.0.1", () => parentPort?.postMessage(server.address()));

/** Keeps the order: timers with equal delays fire in the order in which they were set. */
function forward(from: Socket, to: Socket, delayMs: number): void {
  from.on("data", (chunk) => setTimeout(() => to.write(chunk), delayMs));
  from.on("end", () => setTimeout(() => to.end(), delayMs));
  from.on("error", () => to.destroy());
}
