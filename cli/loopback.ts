import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Problem } from "./problem.ts";

/** Makes a server listen on this machine only; 0 chooses a free port. Returns the port. Throws a Problem if it is in use. */
export async function listenOnLoopback(server: Server, port: number): Promise<number> {
  await new Promise<void>((listening, failed) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      failed(
        error.code === "EADDRINUSE" ? new Problem(`port ${port} is in use: choose another with --port, or 0`) : error,
      ),
    );
    server.listen(port, "127.0.0.1", listening);
  });
  return (server.address() as AddressInfo).port;
}

/** Closes a server and its connections. */
export async function closeAtOnce(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((closed) => server.close(() => closed()));
}
