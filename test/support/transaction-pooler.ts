import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import pg from "pg";

export interface TransactionPooler {
  /** The given database, through the pooler. */
  readonly url: string;
  close(): Promise<void>;
}

/** A server session that all clients share. A client holds it for the duration of a transaction. */
interface Session {
  readonly stream: Socket;
  readonly backend: pg.Client;
}

/**
 * Works like pgbouncer with `pool_mode = transaction`: a client holds a server session for one transaction, and
 * sessions outlive clients. A session ends with a client that disconnects within a transaction.
 */
export async function startTransactionPooler(databaseUrl: string, size: number): Promise<TransactionPooler> {
  const idle: Session[] = await Promise.all(Array.from({ length: size }, () => openSession(databaseUrl)));
  const all = new Set(idle);
  const waiting: ((session: Session) => void)[] = [];
  const clients = new Set<Socket>();
  const take = () => {
    const free = idle.pop();
    return free ? Promise.resolve(free) : new Promise<Session>((resolve) => waiting.push(resolve));
  };
  const giveBack = (session: Session) => {
    const next = waiting.shift();
    if (next) next(session);
    else idle.push(session);
  };
  const replace = async (session: Session) => {
    all.delete(session);
    session.stream.destroy();
    const fresh = await openSession(databaseUrl);
    all.add(fresh);
    giveBack(fresh);
  };
  const server = createServer((client) => {
    clients.add(client);
    client.on("error", () => client.destroy()).once("close", () => clients.delete(client));
    void serve(client, { take, giveBack, replace });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${port}` }).href,
    async close() {
      for (const socket of clients) socket.destroy();
      for (const { stream } of all) stream.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** Authenticates with the driver, then takes over its socket. */
async function openSession(databaseUrl: string): Promise<Session> {
  const backend = new pg.Client({ connectionString: databaseUrl });
  await backend.connect();
  const { stream } = (backend as unknown as { connection: { stream: Socket } }).connection;
  stream.removeAllListeners("data").removeAllListeners("end").removeAllListeners("close");
  stream.on("error", () => undefined);
  return { stream, backend };
}

interface Pool {
  take(): Promise<Session>;
  giveBack(session: Session): void;
  replace(session: Session): Promise<void>;
}

async function serve(client: Socket, pool: Pool): Promise<void> {
  await once(client, "data");
  client.write(Buffer.concat([message("R", Buffer.alloc(4)), message("K", Buffer.alloc(8)), READY]));
  let session: Session | undefined;
  let unsent: Buffer[] = [];
  client.once("close", () => session && void pool.replace(session));
  client.on("data", async (bytes: Buffer) => {
    if (bytes.subarray(0, 1).toString() === "X") client.destroy();
    else if (session) session.stream.write(bytes);
    else if (unsent.push(bytes) === 1) await begin();
  });

  async function begin(): Promise<void> {
    session = await pool.take();
    const { stream } = session;
    let end = Buffer.alloc(0);
    const relay = (answer: Buffer) => {
      client.write(answer);
      end = Buffer.concat([end, answer]).subarray(-READY.length);
      if (!end.equals(READY)) return;
      stream.off("data", relay);
      if (session) pool.giveBack(session);
      session = undefined;
    };
    stream.on("data", relay).resume();
    stream.write(Buffer.concat(unsent));
    unsent = [];
  }
}

function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

/** ReadyForQuery outside a transaction. */
const READY = message("Z", Buffer.from("I"));
