import type { Socket } from "node:net";
import { afterEach, describe, expect, it } from "@jest/globals";
import type { SMTPServerOptions } from "smtp-server";
import { PROVIDER_LIMITS } from "../../lib/channels/aws-request.ts";
import { sesHeaders, smtpChannel } from "../../lib/channels/smtp.ts";
import { aTouch, type Behaviour, itKeepsTheContract, LATE_MS, NETWORK_BEHAVIOURS, SECRETS_OF_ADA } from "./contract.ts";
import { closeServers, deadPort, rawSmtpServer, smtpServer, tcpServer, unansweredPort } from "./servers.ts";

afterEach(closeServers);

type Answering = Exclude<Behaviour, "gone" | "unreachable">;

const touchOf = (mail: string): string => /^X-Backstop-Touch: (\S+)/im.exec(mail)?.[1] ?? "no touch";
const saying = (responseCode: number, text = "") =>
  Object.assign(new Error(`${text} ${SECRETS_OF_ADA}`.trim()), { responseCode });
const smtpAt = (port: number, limits = PROVIDER_LIMITS) => smtpChannel(`smtp://127.0.0.1:${port}`, { limits });

type Stage = "sender" | "recipient" | "message";

/** A server that returns one fault at one stage and accepts everything else. */
function answeringAt(stage: Stage, fault: Error): SMTPServerOptions {
  switch (stage) {
    case "sender":
      return { onMailFrom: (_address, _session, callback) => callback(fault) };
    case "recipient":
      return { onRcptTo: (_address, _session, callback) => callback(fault) };
    case "message":
      return { onData: (stream, _session, callback) => void stream.resume().on("end", () => callback(fault)) };
  }
}

const SERVERS: Readonly<Record<Answering, () => ReturnType<typeof smtpServer>>> = {
  accepts: () => smtpServer({}),
  refuses: () => smtpServer(answeringAt("recipient", saying(550))),
  "is down": () => smtpServer(answeringAt("sender", saying(530))),
  "is busy": () => smtpServer(answeringAt("sender", saying(451))),
  throttles: () => smtpServer(answeringAt("sender", saying(421))),
  hangs: () => rawSmtpServer(() => undefined),
  cuts: () => rawSmtpServer((socket) => socket.destroy()),
  garbage: () => rawSmtpServer((socket) => socket.write("what did you say?\r\n")),
  late: () => rawSmtpServer((socket) => setTimeout(() => socket.write("250 ok\r\n"), LATE_MS).unref()),
};

itKeepsTheContract({
  name: "e-mail over SMTP",
  channel: "email",
  behaviours: NETWORK_BEHAVIOURS,
  unaddressed: { without: { email: null }, reason: "no_email" },
  async open(behaviour, limits) {
    if (behaviour === "gone") return { channel: smtpAt(await deadPort(), limits), taken: () => [] };
    if (behaviour === "unreachable") return { channel: smtpAt(await unansweredPort(), limits), taken: () => [] };
    const { port, mails } = await SERVERS[behaviour]();
    return { channel: smtpAt(port, limits), taken: () => mails.map(touchOf) };
  },
});

const slow = (retryAfterMs: number | null = null) => ({ kind: "retry", throttled: { retryAfterMs } });
const putOff = { kind: "retry", throttled: { retryAfterMs: null, ofReceiver: true } };
const undeliverable = { kind: "refused", undeliverable: true };
const refused = { kind: "refused" };
const passing = { kind: "retry" };
const down = (scope: string, unless?: string) => ({
  kind: "channel_down",
  scope,
  ...(unless && { otherwise: { kind: unless, reason: expect.any(String) } }),
});

describe("a response of an SMTP server", () => {
  it.each<[Stage, number, string, object]>([
    // Amazon SES: "SMTP response codes returned by Amazon SES".
    ["sender", 421, "Too many concurrent SMTP connections", slow()],
    ["message", 454, "Throttling failure: Maximum sending rate exceeded.", slow()],
    ["message", 454, "Throttling failure: Daily message quota exceeded.", slow(600_000)],
    ["message", 454, "Temporary service failure", slow()],
    ["message", 451, "Temporary service failure", passing],
    ["sender", 530, "Authentication required", down("channel")],
    ["message", 554, "Access denied: User arn:aws:iam::1:user/x is not authorized …", down("workspace")],
    ["message", 554, "Message rejected: Email address is not verified. The following …", down("workspace")],
    ["message", 554, "Message rejected: Sending suspended for this account.", down("channel")],
    ["message", 554, "Message rejected: Sending paused for this account.", down("channel")],
    ["message", 554, "Message rejected: Address blacklisted.", undeliverable],
    ["message", 554, "Transaction failed: Invalid domain name", refused],
    ["message", 552, "Message is too long.", refused],
    // Google Workspace: "Gmail SMTP errors and codes".
    ["sender", 421, "4.7.0 Try again later, closing connection.", slow()],
    ["message", 421, "4.7.28 unusual rate of unsolicited mail", slow()],
    ["recipient", 450, "4.2.1 The user you are trying to contact is receiving mail too quickly", putOff],
    ["recipient", 452, "4.5.3 Your message has too many recipients.", putOff],
    ["recipient", 452, "4.2.2 The account is over quota.", passing],
    ["sender", 530, "5.7.0 Must issue a STARTTLS command first.", down("channel")],
    ["sender", 550, "5.4.5 Daily user sending limit exceeded.", slow(3_600_000)],
    ["recipient", 550, "5.1.1 The account that you tried to reach does not exist.", undeliverable],
    ["recipient", 550, "5.2.1 The account that you tried to reach is disabled.", undeliverable],
    // Exchange Online.
    ["sender", 432, "4.3.2 Concurrent connections limit exceeded.", slow()],
    ["message", 451, "4.7.500 Server busy. Please try again later.", putOff],
    ["message", 554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", slow(3_600_000)],
    ["recipient", 550, "5.1.90 daily limit for message recipients", slow(3_600_000)],
    ["recipient", 550, "5.7.232 tenant has exceeded its limit", slow(3_600_000)],
    ["sender", 530, "5.7.57 Client not authenticated to send mail.", down("channel")],
    ["message", 550, "5.7.60 Client does not have permissions to send as this sender.", down("workspace")],
    ["message", 554, "5.2.252 SendAsDenied", down("workspace")],
    ["recipient", 550, "5.1.8 Access denied, bad outbound sender", down("workspace", "retry")],
    ["message", 550, "5.7.705 Access denied, tenant has exceeded threshold", down("channel")],
    // Postfix, Postgrey.
    ["recipient", 450, "4.7.1 Recipient address rejected: Greylisted", putOff],
    ["recipient", 450, "4.2.0 Recipient address rejected: Greylisted", putOff],
    ["recipient", 554, "5.7.1 Relay access denied", down("workspace", "refused")],
    ["recipient", 553, "5.7.1 Sender address rejected: not owned by user", down("workspace", "refused")],
    // RFC 5321, RFC 3463.
    ["sender", 550, "", down("workspace", "retry")],
    ["sender", 553, "5.1.7 bad sender", down("workspace", "retry")],
    ["sender", 552, "5.3.4 too large", refused],
    ["sender", 451, "4.3.2 not now", slow()],
    ["sender", 452, "4.4.5 congested", slow()],
    ["sender", 452, "4.3.1 disk full", passing],
    ["sender", 450, "busy", passing],
    ["recipient", 451, "see 4.7.1", passing],
    ["recipient", 550, "", refused],
    ["recipient", 550, "5.1.2 no such domain", undeliverable],
    ["recipient", 556, "5.1.10 null MX", undeliverable],
    ["recipient", 535, "5.7.8 credentials invalid", down("channel")],
    ["message", 554, "", refused],
    ["message", 550, "5.7.1 looks like spam", refused],
  ])("maps, at the stage %s, %i %s to %j", async (stage, code, text, expected) => {
    const { port } = await smtpServer(answeringAt(stage, saying(code, text)));
    const reason = expect.stringMatching(new RegExp(`^smtp_${code}(_\\d+_\\d+_\\d+)?$`));
    expect(await smtpAt(port).send(aTouch())).toEqual({ ...expected, reason });
  });

  it.each([
    [421, "4.7.0 too many connections", { retryAfterMs: null }],
    [450, "not now", { retryAfterMs: null }],
    [554, "no SMTP service here", undefined],
    [500, "", undefined],
  ])("is a channel fault at the greeting: %i %s", async (code, text, throttled) => {
    const port = await tcpServer((socket) => socket.end(`${code} ${text}\r\n`));
    const reason = expect.stringMatching(new RegExp(`^smtp_${code}`));
    const fault = { kind: "channel_down", scope: "channel", reason, throttled };
    expect(await smtpAt(port).send(aTouch())).toEqual(fault);
  });

  it.each([
    [535, undefined],
    [454, { retryAfterMs: null }],
  ])("is a channel fault at the login: %i", async (code, throttled) => {
    const { port } = await smtpServer({
      authOptional: false,
      allowInsecureAuth: true,
      authMethods: ["PLAIN"],
      onAuth: (_auth, _session, callback) => callback(saying(code)),
    });
    const channel = smtpChannel(`smtp://user:password@127.0.0.1:${port}`, { plaintext: true });
    const fault = { kind: "channel_down", scope: "channel", reason: `smtp_${code}`, throttled };
    expect(await channel.send(aTouch())).toEqual(fault);
  });

  it.each(["199 hm", "299 hm\r\n199", "354 go on", "600 no such code"])(
    "that no server may give last leaves the outcome unknown: %j",
    async (answer) => {
      const { port, mails } = await rawSmtpServer((socket: Socket) => socket.end(`${answer}\r\n`));
      const { kind } = await smtpAt(port).send(aTouch());
      expect(["unknown", "accepted"]).toContain(kind);
      expect(mails).toHaveLength(1);
    },
  );
});

/** Maps the first word of each client line to a response. Null means no response; functions act on the socket. */
type Script = Readonly<Record<string, string | null | ((socket: Socket) => void)>>;

const COMMANDS = new Set(["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "STARTTLS", "RSET"]);

async function scriptedServer(script: Script): Promise<{ port: number; heard: readonly string[] }> {
  const heard: string[] = [];
  const port = await tcpServer((socket) => {
    const react = (word: string, usual: string) => {
      const reaction = word in script ? script[word] : usual;
      if (typeof reaction === "function") reaction(socket);
      else if (typeof reaction === "string") socket.write(`${reaction}\r\n`);
    };
    const hear = (line: string) => {
      const [word = ""] = line.split(/[ :]/, 1);
      heard.push(word);
      if (COMMANDS.has(word)) react(word, word === "DATA" ? "354 go on" : "250 ok");
    };
    react("", "220 test");
    let rest = "";
    socket.on("data", (data) => {
      const lines = `${rest}${data.toString()}`.split("\r\n");
      rest = lines.pop() ?? "";
      lines.forEach(hear);
    });
  });
  return { port, heard };
}

const close = (socket: Socket) => void socket.destroy();
const HASTY = { connectMs: 200, answerMs: 400 };
const BIG = { subject: "Big", body: "0123456789abcde\n".repeat(2 ** 19) };

describe("a mail with an interrupted SMTP dialogue", () => {
  it.each<[string, Script, object]>([
    ["closes before it greets", { "": close }, down("channel")],
    ["never greets", { "": null }, down("channel")],
    ["closes after the hello", { EHLO: close }, down("channel")],
    ["says nothing to the hello", { EHLO: null }, down("channel")],
    ["closes after the sender", { MAIL: close }, passing],
    ["says nothing to the sender", { MAIL: null }, passing],
    ["closes after the recipient", { RCPT: close }, passing],
    ["says nothing to the recipient", { RCPT: null }, passing],
    ["closes before it takes the text", { DATA: close }, passing],
    ["never asks for the text", { DATA: null }, passing],
    ["talks nonsense before it takes the text", { DATA: "what?" }, passing],
  ])("was never sent if the server %s", async (_what, script, expected) => {
    const { port } = await scriptedServer(script);
    const reason = expect.stringMatching(/^smtp_[a-z_]+$/);
    expect(await smtpAt(port, HASTY).send(aTouch())).toEqual({ ...expected, reason });
  });

  it.each<[string, (socket: Socket) => void]>([
    ["closes", (socket) => void socket.once("data", () => socket.destroy())],
    ["stalls", (socket) => void socket.pause()],
  ])("was never sent if the server %s during the text", async (_what, then) => {
    const { port } = await scriptedServer({
      DATA: (socket) => {
        socket.removeAllListeners("data");
        then(socket);
        socket.write("354 go on\r\n");
      },
    });
    expect(await smtpAt(port, HASTY).send(aTouch({ message: BIG }))).toMatchObject(passing);
  });

  it("has an unknown outcome once the final dot was sent, and not before", async () => {
    const { port, mails } = await rawSmtpServer((socket) => socket.destroy());
    expect(await smtpAt(port).send(aTouch({ message: BIG }))).toMatchObject({ kind: "unknown" });
    expect(mails).toHaveLength(1);
  });

  it.each<[string, string, object]>([
    ["the hello", "EHLO", down("channel")],
    ["the sender", "MAIL", passing],
  ])("ends at its deadline if the server answers %s without end", async (_what, word, expected) => {
    const { port } = await scriptedServer({
      [word]: (socket) => {
        const drip = setInterval(() => socket.write("250-and another thing\r\n"), 20);
        socket.on("close", () => clearInterval(drip));
      },
    });
    expect(await smtpAt(port, HASTY).send(aTouch())).toEqual({ ...expected, reason: "smtp_deadline" });
  });

  it("has an unknown outcome if the last answer never ends", async () => {
    const { port } = await rawSmtpServer((socket) => {
      const drip = setInterval(() => socket.write("250-and another thing\r\n"), 20);
      socket.on("close", () => clearInterval(drip));
    });
    expect(await smtpAt(port, HASTY).send(aTouch())).toEqual({ kind: "unknown", reason: "smtp_deadline" });
  });

  it("uses a new connection if the server closed the previous one", async () => {
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

  it("is accepted quickly, with the message id from the touch", async () => {
    const { port, mails } = await smtpServer({});
    const outcome = await smtpAt(port).send(aTouch());
    expect(outcome).toEqual({ kind: "accepted", providerId: `<${aTouch().id}@northwind.example>` });
    expect(mails.join("")).toContain("Guten Tag, Ada");
  });

  it("is a channel fault if the server's name does not resolve", async () => {
    const outcome = await smtpChannel("smtp://nowhere.invalid:25").send(aTouch());
    expect(outcome).toEqual({ ...down("channel"), reason: "smtp_enotfound" });
  });
});

describe("credentials for SMTP", () => {
  const LOGIN: Script = {
    EHLO: "250-test\r\n250 AUTH PLAIN LOGIN",
    AUTH: "235 welcome",
    STARTTLS: "502 not here",
  };
  const urlOf = (port: number) => `smtp://user:password@127.0.0.1:${port}`;

  it("are never sent without TLS, which is a channel fault", async () => {
    const { port, heard } = await scriptedServer(LOGIN);
    const outcome = await smtpChannel(urlOf(port)).send(aTouch());
    expect(outcome).toEqual({ ...down("channel"), reason: "smtp_502" });
    expect(heard).not.toContain("AUTH");
    expect(heard).not.toContain("MAIL");
  });

  it("are sent over plain text if a setting allows it", async () => {
    const { port, heard } = await scriptedServer({ ...LOGIN, DATA: close });
    await smtpChannel(urlOf(port), { plaintext: true }).send(aTouch());
    expect(heard).toEqual(expect.arrayContaining(["AUTH", "MAIL"]));
  });

  it("are withheld from a server with an untrusted certificate", async () => {
    const { port, mails } = await smtpServer({ disabledCommands: [], authOptional: true });
    const outcome = await smtpChannel(urlOf(port)).send(aTouch());
    expect(outcome).toEqual({ ...down("channel"), reason: expect.stringMatching(/cert|signature/) });
    expect(mails).toEqual([]);
  });
});

describe("e-mail to SES over SMTP", () => {
  const tags = { "backstop-touch": "one", "backstop-workspace": "two" };
  const list = { prepared: true, value: "backstop-touch=one, backstop-workspace=two" };

  it.each([
    "email-smtp.eu-central-1.amazonaws.com",
    "EMAIL-SMTP-FIPS.us-east-1.amazonaws.com",
    "vpce-0a1b-2c3d.email-smtp.us-east-1.vpce.amazonaws.com",
    "email-smtp.cn-north-1.amazonaws.com.cn",
    "email-smtp.eusc-de-east-1.amazonaws.eu",
  ])("names its tags, and the configuration set if there is one: %s", (host) => {
    expect(sesHeaders(host, tags)).toEqual({ "X-SES-MESSAGE-TAGS": list });
    expect(sesHeaders(host, tags, "follow-ups")).toEqual({
      "X-SES-MESSAGE-TAGS": list,
      "X-SES-CONFIGURATION-SET": { prepared: true, value: "follow-ups" },
    });
  });

  it.each(["smtp.office365.com", "127.0.0.1", "email-smtp.eu-central-1.amazonaws.com.example.com", "amazonaws.com"])(
    "is not assumed of another server: %s",
    (host) => {
      expect(sesHeaders(host, tags, "follow-ups")).toEqual({});
    },
  );
});

describe("the id of an e-mail over SMTP", () => {
  it("is the one that the server gave it, if its answer names one", async () => {
    const theirs = "<AM0PR01MB0001@AM0PR01MB0001.eurprd01.prod.outlook.com>";
    const { port } = await rawSmtpServer((socket: Socket) => socket.write(`250 2.0.0 OK ${theirs} [Hostname=x]\r\n`));
    expect(await smtpAt(port).send(aTouch())).toEqual({ kind: "accepted", providerId: theirs });
  });

  it("is ours otherwise", async () => {
    const { port } = await rawSmtpServer((socket: Socket) => socket.write("250 2.0.0 OK\r\n"));
    const ours = `<${aTouch().id}@northwind.example>`;
    expect(await smtpAt(port).send(aTouch())).toEqual({ kind: "accepted", providerId: ours });
  });
});
