import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { SMTPServerOptions } from "smtp-server";
import { PROVIDER_LIMITS } from "../../lib/channels/aws-request.ts";
import { fileChannel, sesChannel, smtpChannel } from "../../lib/channels/email.ts";
import { prepareAws } from "./aws.ts";
import { aTouch, type Behaviour, itKeepsTheContract, LATE_MS, NETWORK_BEHAVIOURS, SECRETS_OF_ADA } from "./contract.ts";
import {
  answering,
  closeServers,
  deadPort,
  httpServer,
  rawSmtpServer,
  SILENCES,
  smtpServer,
  tcpServer,
  unansweredPort,
} from "./servers.ts";

beforeAll(prepareAws);
afterEach(closeServers);

type Answering = Exclude<Behaviour, "gone" | "unreachable">;

const unaddressed = { without: { email: null }, reason: "no_email" };
const touchOf = (mail: string): string => /^X-Backstop-Touch: (\S+)/im.exec(mail)?.[1] ?? "no touch";
const saying = (responseCode: number) => Object.assign(new Error(SECRETS_OF_ADA), { responseCode });
const smtpAt = (port: number, limits = PROVIDER_LIMITS) => smtpChannel(`smtp://127.0.0.1:${port}`, { limits });

const SMTP_SERVERS: Readonly<Record<Answering, () => ReturnType<typeof smtpServer>>> = {
  accepts: () => smtpServer({}),
  refuses: () => smtpServer({ onRcptTo: (_address, _session, callback) => callback(saying(550)) }),
  "is busy": () => smtpServer({ onMailFrom: (_address, _session, callback) => callback(saying(451)) }),
  throttles: () => smtpServer({ onMailFrom: (_address, _session, callback) => callback(saying(421)) }),
  hangs: () => rawSmtpServer(() => undefined),
  cuts: () => rawSmtpServer((socket) => socket.destroy()),
  garbage: () => rawSmtpServer((socket) => socket.write("what did you say?\r\n")),
  late: () => rawSmtpServer((socket) => setTimeout(() => socket.write("250 ok\r\n"), LATE_MS).unref()),
};

itKeepsTheContract({
  name: "e-mail over SMTP",
  repeatable: false,
  behaviours: NETWORK_BEHAVIOURS,
  unaddressed,
  async open(behaviour, limits) {
    if (behaviour === "gone") return { channel: smtpAt(await deadPort(), limits), taken: () => [] };
    if (behaviour === "unreachable") return { channel: smtpAt(await unansweredPort(), limits), taken: () => [] };
    const { port, mails } = await SMTP_SERVERS[behaviour]();
    return { channel: smtpAt(port, limits), taken: () => mails.map(touchOf) };
  },
});

/** The real client, sent to a server on this machine in the way that the AWS SDK offers to everybody. */
function sesAt(port: number, limits = PROVIDER_LIMITS) {
  process.env["AWS_ENDPOINT_URL_SESV2"] = `http://127.0.0.1:${port}`;
  return sesChannel({ limits });
}

const JSON_ANSWER = { "content-type": "application/json" };
const acceptedBySes = answering(200, JSON.stringify({ MessageId: "m-1" }), JSON_ANSWER);
const sesFault = (status: number, exception: string) =>
  answering(status, JSON.stringify({ message: SECRETS_OF_ADA }), { ...JSON_ANSWER, "x-amzn-errortype": exception });

const SES_ANSWERS: Readonly<Record<Answering, (response: ServerResponse) => void>> = {
  ...SILENCES,
  accepts: acceptedBySes,
  refuses: sesFault(400, "MessageRejected"),
  "is busy": sesFault(400, "SendingPausedException"),
  throttles: sesFault(429, "TooManyRequestsException"),
  late: (response) => setTimeout(() => acceptedBySes(response), LATE_MS).unref(),
};

/** The mail that SES was given. */
const rawMailIn = (body: string): string => Buffer.from(JSON.parse(body).Content.Raw.Data, "base64").toString();

itKeepsTheContract({
  name: "e-mail through SES",
  repeatable: false,
  behaviours: NETWORK_BEHAVIOURS,
  unaddressed,
  async open(behaviour, limits) {
    if (behaviour === "gone") return { channel: sesAt(await deadPort(), limits), taken: () => [] };
    if (behaviour === "unreachable") return { channel: sesAt(await unansweredPort(), limits), taken: () => [] };
    const { port, requests } = await httpServer(SES_ANSWERS[behaviour]);
    return { channel: sesAt(port, limits), taken: () => requests.map(({ body }) => touchOf(rawMailIn(body))) };
  },
});

describe("e-mail through SES", () => {
  it.each([
    [400, "BadRequestException", "refused", "ses_400_bad_request"],
    [400, "MessageRejected", "refused", "ses_400_message_rejected"],
    [400, "SendingPausedException", "retry", "ses_400_sending_paused"],
    [503, "ServiceUnavailable", "retry", "ses_503_service_unavailable"],
    [500, "InternalFailure", "unknown", "ses_500_internal_failure"],
  ])("becomes of %i %s: %s", async (status, exception, kind, reason) => {
    const { port, requests } = await httpServer(sesFault(status, exception));
    expect(await sesAt(port).send(aTouch())).toEqual({ kind, reason });
    expect(requests).toHaveLength(1);
  });

  it("is of unknown outcome after a success that names no message", async () => {
    const { port } = await httpServer(answering(200, "{}", JSON_ANSWER));
    expect(await sesAt(port).send(aTouch())).toMatchObject({ kind: "unknown" });
  });
});

const outboxes: string[] = [];
afterAll(() => Promise.all(outboxes.map((outbox) => rm(outbox, { recursive: true }))));

itKeepsTheContract({
  name: "e-mail as files",
  repeatable: false,
  behaviours: ["accepts"],
  unaddressed,
  async open() {
    const outbox = await mkdtemp(join(tmpdir(), "outbox-"));
    outboxes.push(outbox);
    const taken = async () => (await readdir(outbox)).map((name) => name.replace(/\.eml$/, ""));
    return { channel: fileChannel(outbox), taken };
  },
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
    expect(outcome).toEqual({ kind: "accepted", providerId: `<${aTouch().id}@northwind.example>` });
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

  it("writes a digest as text and as HTML, under the id of its delivery, and says that a machine wrote it", async () => {
    const id = "0190f0f0-0000-7000-8000-000000000002";
    const examples = [
      { firstName: "<b>Ada</b>", lastName: null, company: null, channel: null, reason: null, detail: null },
    ];
    const contents = { workspaceName: "Northwind", sections: [{ kind: "lead_replied", count: 1, examples }] } as const;
    const from = "Northwind <hello@northwind.example>";
    const digest = { id, workspaceId: "workspace", channel: "email", failures: 0, from, to: null, contents } as const;
    const outcome = await fileChannel(directory).digests.send(digest, "sales@northwind.example");
    expect(outcome).toEqual({ kind: "accepted", providerId: `<${id}@northwind.example>` });
    const mail = await readFile(join(directory, `${id}.eml`), "utf8");
    for (const line of [
      "To: sales@northwind.example",
      `X-Backstop-Digest: ${id}`,
      "Auto-Submitted: auto-generated",
      "Subject: Northwind: Replies of leads 1",
      "- <b>Ada</b>",
      "<li>&lt;b&gt;Ada&lt;/b&gt;</li>",
    ])
      expect(mail).toContain(line);
  });

  it("does not throw where it may not write", async () => {
    await writeFile(join(directory, "a-file"), "");
    const channel = fileChannel(join(directory, "a-file", "outbox"));
    expect(await channel.send(aTouch())).toMatchObject({ kind: "unknown", reason: "enotdir" });
  });
});

describe("e-mail over SMTP", () => {
  const sentTo = async (options: SMTPServerOptions) => smtpAt((await smtpServer(options)).port).send(aTouch());

  it("is accepted with the message id that the touch gave it", async () => {
    const { port, mails } = await smtpServer({});
    const outcome = await smtpAt(port).send(aTouch());
    expect(outcome).toEqual({ kind: "accepted", providerId: `<${aTouch().id}@northwind.example>` });
    expect(mails.join("")).toContain("Guten Tag, Ada");
  });

  it("is refused for good when the server says 550 to the recipient or 554 to the message", async () => {
    expect(await sentTo({ onRcptTo: (_address, _session, callback) => callback(saying(550)) })).toEqual({
      kind: "refused",
      reason: "smtp_550",
    });
    const atMessage = await sentTo({
      onData: (stream, _session, callback) => void stream.resume().on("end", () => callback(saying(554))),
    });
    expect(atMessage).toEqual({ kind: "refused", reason: "smtp_554" });
  });

  it("may be tried again when the server is busy", async () => {
    expect(await sentTo({ onMailFrom: (_address, _session, callback) => callback(saying(451)) })).toEqual({
      kind: "retry",
      reason: "smtp_451",
    });
  });

  it.each([
    [421, "4.7.0 slow down", true],
    [421, "closing", true],
    [450, "4.7.1 greylisted", true],
    [451, "4.3.2 not now", true],
    [452, "4.4.5 congested", true],
    [450, "busy", false],
    [450, "4.2.1 this mailbox gets too much", false],
    [451, "4.3.0 local error", false],
    [452, "4.3.1 disk full", false],
    [451, "see 4.7.1", false],
  ])("says after %i %s whether to go slower: %p", async (responseCode, text, slower) => {
    const fault = Object.assign(new Error(text), { responseCode });
    const outcome = await sentTo({ onMailFrom: (_address, _session, callback) => callback(fault) });
    const throttled = slower ? { retryAfterMs: null } : undefined;
    expect(outcome).toEqual({ kind: "retry", reason: `smtp_${responseCode}`, throttled });
  });

  it("goes slower when the server takes no more connections", async () => {
    const port = await tcpServer((socket) => socket.end("421 4.7.0 too many connections\r\n"));
    const outcome = await smtpAt(port).send(aTouch());
    expect(outcome).toEqual({ kind: "retry", reason: "smtp_421", throttled: { retryAfterMs: null } });
  });

  it("may be tried again when the server refuses not the mail but our login", async () => {
    const { port } = await smtpServer({
      authOptional: false,
      allowInsecureAuth: true,
      authMethods: ["PLAIN"],
      onAuth: (_auth, _session, callback) => callback(saying(535)),
    });
    const channel = smtpChannel(`smtp://user:password@127.0.0.1:${port}`);
    expect(await channel.send(aTouch())).toEqual({ kind: "retry", reason: "smtp_535" });
  });

  it("may be tried again when the server's name does not resolve", async () => {
    expect(await smtpChannel("smtp://nowhere.invalid:25").send(aTouch())).toMatchObject({ kind: "retry" });
  });

  it("may be tried again when the server never greets", async () => {
    const port = await tcpServer(() => undefined);
    const outcome = await smtpAt(port, { connectMs: 200, answerMs: 400 }).send(aTouch());
    expect(outcome).toEqual({ kind: "retry", reason: "greeting_timeout" });
  });

  it.each(["199 hm", "299 hm\r\n199", "354 go on", "600 no such code"])(
    "is not sent again after a last answer that no server may give: %j",
    async (answer) => {
      const { port, mails } = await rawSmtpServer((socket: Socket) => socket.end(`${answer}\r\n`));
      const { kind } = await smtpAt(port).send(aTouch());
      expect(kind).not.toBe("retry");
      expect(mails).toHaveLength(1);
    },
  );

  it("goes out over a new connection when the server has closed the one from before", async () => {
    const sockets: Socket[] = [];
    const { port, mails } = await rawSmtpServer((socket) => {
      sockets.push(socket);
      socket.write("250 ok\r\n");
    });
    const channel = smtpAt(port);
    await channel.send(aTouch());
    sockets[0]?.destroy();
    expect(await channel.send(aTouch())).toMatchObject({ kind: "accepted" });
    expect(mails).toHaveLength(2);
  });
});
