import { createServer as createHttpServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";

/** Closes the local servers that stand in for providers; see `closeServers`. */
const closers: (() => Promise<unknown>)[] = [];

export async function closeServers(): Promise<void> {
  await Promise.all(closers.splice(0).map((close) => close()));
}

/** A complete request, as received. */
export interface ReceivedRequest {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpDouble {
  readonly port: number;
  readonly requests: readonly ReceivedRequest[];
}

/** An HTTP server that reads each request completely and then calls `answer`. */
export async function httpServer(answer: (response: ServerResponse) => void, host = "127.0.0.1"): Promise<HttpDouble> {
  const requests: ReceivedRequest[] = [];
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url: path, headers } = request;
      requests.push({ method, path, headers, body: Buffer.concat(chunks).toString() });
      answer(response);
    });
  });
  const port = await listening(server, host);
  closers.push(() => {
    server.closeAllConnections();
    return closed(server);
  });
  return { port, requests };
}

export const answering =
  (status: number, body = "", headers: Readonly<Record<string, string>> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, headers).end(body);
  };

/** Ways to withhold a valid response after the request is read. */
export const SILENCES = {
  hangs: () => undefined,
  cuts: (response: ServerResponse) => response.socket?.destroy(),
  garbage: (response: ServerResponse) => response.socket?.end("what did you say?\r\n\r\n"),
} as const;

/** An SMTP server that records the mails it receives. */
export async function smtpServer(options: SMTPServerOptions): Promise<{ port: number; mails: readonly string[] }> {
  const mails: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    logger: false,
    closeTimeout: 50,
    onData(stream, _session, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        mails.push(Buffer.concat(chunks).toString());
        callback();
      });
    },
    ...options,
  });
  server.on("error", () => undefined);
  const port = await listening(server.server, "127.0.0.1");
  closers.push(() => new Promise<void>((done) => server.close(() => done())));
  return { port, mails };
}

/** An SMTP server without a library. Reads one mail after another and calls `atEnd` after each. */
export async function rawSmtpServer(
  atEnd: (socket: Socket) => void,
): Promise<{ port: number; mails: readonly string[] }> {
  const mails: string[] = [];
  const port = await tcpServer((socket) => {
    let mail: string[] | undefined;
    const hear = (line: string) => {
      if (mail && line !== ".") mail.push(line);
      else if (mail) {
        mails.push(mail.join("\r\n"));
        mail = undefined;
        atEnd(socket);
      } else if (line === "DATA") {
        mail = [];
        socket.write("354 go on\r\n");
      } else socket.write("250 ok\r\n");
    };
    let rest = "";
    socket.write("220 test\r\n");
    socket.on("data", (data) => {
      const lines = `${rest}${data.toString()}`.split("\r\n");
      rest = lines.pop() ?? "";
      lines.forEach(hear);
    });
  });
  return { port, mails };
}

export async function tcpServer(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  const port = await listening(server, "127.0.0.1");
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    return closed(server);
  });
  return port;
}

/** A closed port. */
export async function deadPort(): Promise<number> {
  const server = createServer();
  const port = await listening(server, "127.0.0.1");
  await closed(server);
  return port;
}

/** A port that never accepts connections: its thread is blocked and its backlog is full. */
export async function unansweredPort(): Promise<number> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     const server = require("node:net").createServer();
     server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       Atomics.wait(workerData, 0, 0);
       process.exit();
     });`,
    { eval: true, workerData: gate },
  );
  const port = await new Promise<number>((ready) => worker.once("message", ready));
  const fillers = Array.from({ length: 4 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  closers.push(() => {
    for (const filler of fillers) filler.destroy();
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    return worker.terminate();
  });
  await new Promise((connected) => fillers[1]?.once("connect", connected));
  return port;
}

const listening = (server: Server, host: string): Promise<number> =>
  new Promise((ready, fail) => {
    server.once("error", fail);
    server.listen(0, host, () => {
      const address = server.address();
      if (address === null || typeof address === "string") fail(new Error("the server does not listen on a port"));
      else ready(address.port);
    });
  });

const closed = (server: Server): Promise<void> => new Promise((done) => server.close(() => done()));
