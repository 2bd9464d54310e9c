import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { fileChannel, smtpChannel } from "../../lib/channels/email.ts";
import type { OutgoingTouch } from "../../lib/run/ports.ts";

const aTouch = (over: Partial<OutgoingTouch> = {}): OutgoingTouch => ({
  id: "0190f0f0-0000-7000-8000-000000000001",
  workspaceId: "workspace",
  leadId: "lead",
  channel: "email",
  attempts: 1,
  from: "Northwind <hello@northwind.example>",
  email: "ada@example.com",
  phone: null,
  message: { subject: "Grüße", body: "Guten Tag, Ada" },
  ...over,
});

describe("e-mail as files", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "outbox-"));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("leaves one complete mail for each touch, however often it is sent", async () => {
    const channel = fileChannel(join(directory, "deep", "outbox"));
    const outcome = await channel.send(aTouch());
    await channel.send(aTouch());
    expect(outcome).toEqual({ kind: "accepted", providerId: `file:${aTouch().id}.eml` });
    expect(await readdir(join(directory, "deep", "outbox"))).toEqual([`${aTouch().id}.eml`]);
    const mail = await readFile(join(directory, "deep", "outbox", `${aTouch().id}.eml`), "utf8");
    expect(mail).toContain("To: ada@example.com");
    expect(mail).toContain(`Message-ID: <${aTouch().id}@northwind.example>`);
    expect(mail).toContain("Guten Tag, Ada");
  });

  it("refuses a lead without an address and writes nothing", async () => {
    const channel = fileChannel(directory);
    expect(await channel.send(aTouch({ email: null }))).toEqual({ kind: "refused", reason: "no_email" });
    expect(await readdir(directory)).toEqual([]);
  });

  it("lets no line break in a subject make a header", async () => {
    await fileChannel(directory).send(aTouch({ message: { subject: "Hi\r\nBcc: all@example.com", body: "x" } }));
    const mail = await readFile(join(directory, `${aTouch().id}.eml`), "utf8");
    expect(mail).not.toMatch(/^Bcc:/m);
  });
});

describe("e-mail over SMTP", () => {
  let close: () => Promise<void> = () => Promise.resolve();
  afterEach(() => close());

  /** A real SMTP server that answers as `options` say; its URL. */
  async function smtp(options: SMTPServerOptions): Promise<string> {
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS"],
      logger: false,
      closeTimeout: 50,
      ...options,
    });
    server.on("error", () => undefined);
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    close = () => new Promise((closed) => server.close(() => closed()));
    return `smtp://127.0.0.1:${portOf(server.server)}`;
  }

  /** A server that speaks `script`, then says no more. */
  async function speaking(script: (line: string, socket: Socket) => void): Promise<string> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.write("220 test\r\n");
      socket.on("data", (data) => {
        for (const line of data.toString().split("\r\n").filter(Boolean)) script(line, socket);
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    close = () =>
      new Promise((closed) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => closed());
      });
    return `smtp://127.0.0.1:${portOf(server)}`;
  }

  const portOf = (server: Pick<Server, "address">): number => {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the server does not listen on a port");
    return address.port;
  };

  const refusing = (responseCode: number) => Object.assign(new Error("no"), { responseCode });

  it("is accepted with the message id that the touch gave it", async () => {
    const received: string[] = [];
    const url = await smtp({
      onData(stream, _session, callback) {
        stream.on("data", (chunk: Buffer) => received.push(chunk.toString()));
        stream.on("end", () => callback());
      },
    });
    const outcome = await smtpChannel(url).send(aTouch());
    expect(outcome).toEqual({ kind: "accepted", providerId: `<${aTouch().id}@northwind.example>` });
    expect(received.join("")).toContain("Guten Tag, Ada");
  });

  it("is refused for good when the server says 550 to the recipient or to the message", async () => {
    const atRecipient = await smtp({ onRcptTo: (_address, _session, callback) => callback(refusing(550)) });
    expect(await smtpChannel(atRecipient).send(aTouch())).toEqual({ kind: "refused", reason: "smtp_550" });
    await close();
    const atMessage = await smtp({
      onData(stream, _session, callback) {
        stream.resume().on("end", () => callback(refusing(554)));
      },
    });
    expect(await smtpChannel(atMessage).send(aTouch())).toEqual({ kind: "refused", reason: "smtp_554" });
  });

  it("may be tried again when the server is busy or not there", async () => {
    const busy = await smtp({ onMailFrom: (_address, _session, callback) => callback(refusing(451)) });
    expect(await smtpChannel(busy).send(aTouch())).toEqual({ kind: "retry", reason: "smtp_451" });
    await close();
    close = () => Promise.resolve();
    expect(await smtpChannel(busy).send(aTouch())).toMatchObject({ kind: "retry" });
  });

  it("may be tried again when the server's name does not resolve", async () => {
    expect(await smtpChannel("smtp://nowhere.invalid:25").send(aTouch())).toMatchObject({ kind: "retry" });
  });

  it("is of unknown outcome when the connection is cut after the text left", async () => {
    const url = await speaking((line, socket) => {
      if (line === ".") socket.destroy();
      else if (line === "DATA") socket.write("354 go on\r\n");
      else if (/^(EHLO|MAIL|RCPT)/.test(line)) socket.write("250 ok\r\n");
    });
    expect(await smtpChannel(url).send(aTouch())).toMatchObject({ kind: "unknown" });
  });
});
