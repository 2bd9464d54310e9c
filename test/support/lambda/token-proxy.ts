import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import pg from "pg";
import { faultOfToken, type TokenRules } from "./rds-token.ts";

export interface TokenProxyOptions {
  /** The URL of the database, with the proxy's own user and password. */
  readonly databaseUrl: string;
  /** The tokens that it accepts. */
  readonly rules: Omit<TokenRules, "port">;
  /** The folder for the certificate. */
  readonly folder: string;
}

export interface TokenProxy {
  readonly port: number;
  /** The certificate that a client must trust, for NODE_EXTRA_CA_CERTS. */
  readonly certificateFile: string;
  /** The result of each login: "let in", or the reason for the refusal. */
  readonly attempts: readonly string[];
  /** The number of accepted connections that the proxy has not closed. */
  open(): number;
  close(): Promise<void>;
}

/**
 * A double for RDS Proxy: accepts PostgreSQL's protocol over TLS only, requests a clear-text password, and accepts an
 * unexpired token that is signed for this host, port and user. Logs in to the real database with its own password.
 */
export async function startTokenProxy({ databaseUrl, rules, folder }: TokenProxyOptions): Promise<TokenProxy> {
  const { certificateFile, keyFile } = makeCertificate(folder);
  const secret = { cert: readFileSync(certificateFile), key: readFileSync(keyFile) };
  const attempts: string[] = [];
  const open = new Set<TLSSocket>();
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    const { port } = server.address() as AddressInfo;
    serve(socket, secret, databaseUrl, { ...rules, port }, open).then(
      (outcome) => attempts.push(outcome),
      (thrown: unknown) => {
        attempts.push(String(thrown));
        socket.destroy();
      },
    );
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    certificateFile,
    attempts,
    open: () => open.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

function makeCertificate(folder: string): { readonly certificateFile: string; readonly keyFile: string } {
  const certificateFile = join(folder, "certificate.pem");
  const keyFile = join(folder, "key.pem");
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const options = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject];
  execFileSync("openssl", [...options, "-keyout", keyFile, "-out", certificateFile], { stdio: "ignore" });
  return { certificateFile, keyFile };
}

const SSL_REQUEST = 80_877_103;

/** Messages follow PostgreSQL's protocol 3.0, chapter "Message Formats" of its documentation. */
async function serve(
  socket: Socket,
  secret: { readonly cert: Buffer; readonly key: Buffer },
  databaseUrl: string,
  rules: TokenRules,
  open: Set<TLSSocket>,
): Promise<string> {
  const first = await untypedMessage(socket);
  if (first.readInt32BE(0) !== SSL_REQUEST) return refuse(socket, "28000", "This RDS Proxy requires TLS connections");
  socket.write("S");
  const client = new TLSSocket(socket, { isServer: true, ...secret });
  client.on("error", () => undefined);
  const parameters = startupParameters(await untypedMessage(client));
  client.write(message("R", int32(3)));
  const token = (await typedMessage(client)).toString("utf8").replace(/\0$/, "");
  const fault = faultOfToken(token, rules, parameters.get("user") ?? "", Date.now());
  if (fault)
    return refuse(
      client,
      "28P01",
      `This RDS proxy has no credentials for the role, or the token is not valid: ${fault}`,
    );
  await connectThrough(client, databaseUrl, parameters.get("database") ?? "");
  open.add(client);
  const forget = () => open.delete(client);
  client.once("finish", forget).once("close", forget);
  return "let in";
}

async function connectThrough(client: TLSSocket, databaseUrl: string, database: string): Promise<void> {
  const url = new URL(databaseUrl);
  url.pathname = `/${database}`;
  const backend = new pg.Client({ connectionString: url.href });
  const statuses: Buffer[] = [];
  const { connection } = backend as unknown as { connection: { stream: Socket } & NodeJS.EventEmitter };
  connection.on("parameterStatus", ({ parameterName, parameterValue }: Record<string, string>) => {
    statuses.push(message("S", Buffer.from(`${parameterName}\0${parameterValue}\0`)));
  });
  await backend.connect();
  const { stream } = connection;
  stream.removeAllListeners("data").removeAllListeners("end").removeAllListeners("close");
  const { processID, secretKey } = backend as unknown as { processID: number; secretKey: number };
  const key = message("K", Buffer.concat([int32(processID), int32(secretKey)]));
  client.write(Buffer.concat([message("R", int32(0)), ...statuses, key, message("Z", Buffer.from("I"))]));
  stream.on("error", () => undefined).pipe(client);
  client.pipe(stream);
}

function refuse(socket: Socket, code: string, text: string): string {
  const fields = `SFATAL\0VFATAL\0C${code}\0M${text}\0\0`;
  socket.end(message("E", Buffer.from(fields)));
  return text;
}

function startupParameters(body: Buffer): ReadonlyMap<string, string> {
  const words = body.subarray(4).toString("utf8").split("\0");
  return new Map(words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1] ?? ""] as const] : [])));
}

const int32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
};

const message = (type: string, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);

async function untypedMessage(socket: Socket): Promise<Buffer> {
  const length = (await read(socket, 4)).readInt32BE(0);
  return await read(socket, length - 4);
}

async function typedMessage(socket: Socket): Promise<Buffer> {
  const head = await read(socket, 5);
  return await read(socket, head.readInt32BE(1) - 4);
}

async function read(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const found: unknown = socket.read(length);
    if (Buffer.isBuffer(found)) return found;
    await once(socket, "readable");
  }
}
