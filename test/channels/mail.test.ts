import { afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import type { EmailOptions } from "../../lib/channels/mail.ts";
import { sesChannel } from "../../lib/channels/ses.ts";
import { smtpChannel } from "../../lib/channels/smtp.ts";
import { render } from "../../lib/domain/templates.ts";
import type { MessageChannel, OutgoingTouch } from "../../lib/run/channel-ports.ts";
import { aLead, aStep } from "../domain/items.ts";
import { prepareAws } from "./aws.ts";
import { aTouch } from "./contract.ts";
import { answering, closeServers, httpServer, smtpServer } from "./servers.ts";

beforeAll(prepareAws);
afterEach(closeServers);

/** Sends touches over SMTP. Returns the received mails and the outcomes. */
async function sent(touches: readonly Partial<OutgoingTouch>[], options: EmailOptions = {}) {
  const senders: string[] = [];
  const { port, mails } = await smtpServer({
    onMailFrom: ({ address }, _session, callback) => {
      senders.push(address);
      callback();
    },
  });
  const channel = smtpChannel(`smtp://127.0.0.1:${port}`, options);
  const outcomes = [];
  for (const touch of touches) outcomes.push(await channel.send(aTouch(touch)));
  return { mails, senders, headers: mails.map(headersOf), providerIds: outcomes.map(providerIdOf) };
}

/** A header field as a mail program shows it: RFC 2047, also within quotes, as many programs do. */
const shown = (field = ""): string =>
  field
    .replaceAll(/(\?=)\s+(?==\?)/g, "$1")
    .replaceAll(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_, encoding: string, text: string) => {
      if (encoding.toLowerCase() === "b") return Buffer.from(text, "base64").toString();
      return decodeURIComponent(text.replaceAll("_", "=20").replaceAll(/=([0-9A-F]{2})/g, "%$1"));
    });

const providerIdOf = (outcome: Awaited<ReturnType<MessageChannel["send"]>>): string =>
  outcome.kind === "accepted" ? outcome.providerId : `not accepted: ${outcome.reason}`;

/** The unfolded header fields of a mail by lower-case name. */
function headersOf(mail: string): Readonly<Record<string, string>> {
  const [head = ""] = mail.split("\r\n\r\n", 1);
  const lines = head.replace(/\r\n(?=[ \t])/g, "").split("\r\n");
  return Object.fromEntries(lines.map((line) => [line.split(":", 1)[0]?.toLowerCase(), line.replace(/^[^:]*: ?/, "")]));
}

const [FIRST, SECOND] = ["<one@eu-central-1.amazonses.com>", "<two@northwind.example>"] as const;

describe("the thread of an e-mail", () => {
  it("starts with a mail that answers none", async () => {
    const { headers } = await sent([{ thread: [] }]);
    expect(headers[0]).not.toHaveProperty("in-reply-to");
    expect(headers[0]).not.toHaveProperty("references");
  });

  it("references the previous mail and all earlier mails, oldest first", async () => {
    const { headers } = await sent([{ thread: [FIRST] }, { thread: [FIRST, SECOND] }]);
    expect(headers).toMatchObject([
      { "in-reply-to": FIRST, references: FIRST },
      { "in-reply-to": SECOND, references: `${FIRST} ${SECOND}` },
    ]);
  });

  it("continues with accepted mails, by the id that the receiver sees", async () => {
    const { headers, providerIds } = await sent([{}, { id: "2", thread: [`<${aTouch().id}@northwind.example>`] }]);
    expect(headers.map((header) => header["message-id"])).toEqual(providerIds);
    expect(headers[1]?.["in-reply-to"]).toBe(providerIds[0]);
  });

  it("omits mails that no receiver has", async () => {
    const { headers } = await sent([{ thread: ["file:one.eml", FIRST, "<a\r\nBcc: all@example.com>", ""] }]);
    expect(headers[0]).toMatchObject({ "in-reply-to": FIRST, references: FIRST });
    expect(headers[0]).not.toHaveProperty("bcc");
  });

  it.each([
    ["eu-central-1", "<m-1@eu-central-1.amazonses.com>"],
    ["us-east-1", "<m-1@email.amazonses.com>"],
  ])("continues with the id from SES, in %s", async (region, id) => {
    const json = { "content-type": "application/json" };
    const { port, requests } = await httpServer(answering(200, JSON.stringify({ MessageId: "m-1" }), json));
    process.env["AWS_ENDPOINT_URL_SESV2"] = `http://127.0.0.1:${port}`;
    process.env["AWS_REGION"] = region;
    expect(providerIdOf(await sesChannel().send(aTouch({ thread: [FIRST, SECOND] })))).toBe(id);
    const raw = Buffer.from(JSON.parse(requests[0]?.body ?? "").Content.Raw.Data, "base64").toString();
    expect(headersOf(raw)).toMatchObject({ "in-reply-to": SECOND, references: `${FIRST} ${SECOND}` });
  });
});

describe("the receiver of an e-mail", () => {
  it.each([
    "one@example.com, two@example.com",
    "three@example.com; four@example.com",
    "c@example.com\r\nBcc: d@example.com",
    '"vip@gmail.example x"@internal.example',
    "info@bücher.example",
  ])("is rejected if it is several addresses or ambiguous: %j", async (email) => {
    const { headers, providerIds } = await sent([{ email }]);
    expect(headers).toEqual([]);
    expect(providerIds).toEqual(["not accepted: undeliverable_address"]);
  });

  it.each([
    ["Ada@Example.com", "Ada@example.com"],
    ["Bob <bob@example.com>", "bob@example.com"],
    [" fred&sons@example.com ", "fred&sons@example.com"],
    ["info@xn--bcher-kva.example", "info@xn--bcher-kva.example"],
  ])("of %j is only %s", async (email, to) => {
    expect((await sent([{ email }])).headers).toMatchObject([{ to }]);
  });
});

describe("the id of an e-mail", () => {
  it.each([
    ["hello@northwind.example", "northwind.example"],
    ['"North, wind" <hello@northwind.example>', "northwind.example"],
    ["Grüße <hello@müller.example>", "xn--mller-kva.example"],
  ])("is the touch, at the domain of its sender: %s", async (from, domain) => {
    const { headers, providerIds } = await sent([{ from }]);
    const id = `<${aTouch().id}@${domain}>`;
    expect(providerIds).toEqual([id]);
    expect(headers[0]?.["message-id"]).toBe(id);
  });
});

describe("List-Unsubscribe", () => {
  const unsubscribeUrl = `https://northwind.example/unsubscribe/${"A".repeat(850)}`;
  const oneClick = `<${unsubscribeUrl}>`;
  const unsubscribeMailto = "stop@northwind.example";
  const mail = `<mailto:stop@northwind.example?subject=unsubscribe%20${aTouch().id}>`;

  it("is omitted if not configured", async () => {
    const { headers } = await sent([{}]);
    expect(Object.keys(headers[0] ?? {}).filter((name) => name.startsWith("list-"))).toEqual([]);
  });

  it("is one click for a URL, and a mail for an address", async () => {
    const both = await sent([{ unsubscribeUrl }], { unsubscribeMailto });
    expect(both.headers[0]).toMatchObject({
      "list-unsubscribe": `${oneClick}, ${mail}`,
      "list-unsubscribe-post": "List-Unsubscribe=One-Click",
    });
    // RFC 5322 section 2.1.1.
    expect(
      Math.max(
        ...both.mails
          .join()
          .split("\r\n")
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(998);
    const click = await sent([{ unsubscribeUrl }]);
    expect(click.headers[0]).toMatchObject({
      "list-unsubscribe": oneClick,
      "list-unsubscribe-post": "List-Unsubscribe=One-Click",
    });
    const { headers } = await sent([{}], { unsubscribeMailto });
    expect(headers[0]?.["list-unsubscribe"]).toBe(mail);
    expect(headers[0]).not.toHaveProperty("list-unsubscribe-post");
  });
});

describe("the sender of an e-mail", () => {
  const from = "Northwind <hello@northwind.example>";
  const NONE = { senderName: null, senderEmail: null, replyTo: null };

  it("is the lead's own, each part alone; the workspace's name never stands before another address", async () => {
    const { headers, senders } = await sent(
      [
        NONE,
        { ...NONE, senderName: " ", senderEmail: "", replyTo: " " },
        { ...NONE, senderEmail: "hana@harbour.example" },
        { ...NONE, senderName: "Hana Weber" },
        { senderName: "Weber, Hana <3", senderEmail: "Hana@Bücher.example", replyTo: "answers@harbour.example" },
      ].map((ownSender) => ({ from, ownSender })),
    );
    expect(headers.map((header) => [shown(header["from"]), header["reply-to"]])).toEqual([
      [from, undefined],
      [from, undefined],
      ["hana@harbour.example", undefined],
      ["Hana Weber <hello@northwind.example>", undefined],
      ['"Weber, Hana <3" <Hana@xn--bcher-kva.example>', "answers@harbour.example"],
    ]);
    // The test server decodes the domain.
    expect(senders.at(-1)).toBe("Hana@bücher.example");
    expect(headers.at(-1)?.["message-id"]).toBe(`<${aTouch().id}@xn--bcher-kva.example>`);
  });

  it.each([
    { ...NONE, senderEmail: "a@x.example, b@x.example" },
    { ...NONE, senderEmail: "Ann <a@x.example>" },
    { ...NONE, replyTo: "a@x.example\r\nBcc: b@x.example" },
    { ...NONE, senderName: "A\r\nBcc: b@x.example" },
  ])("blocks only this lead if it is invalid: %j", async (ownSender) => {
    const { port, mails } = await smtpServer({});
    const outcome = await smtpChannel(`smtp://127.0.0.1:${port}`).send(aTouch({ ownSender }));
    expect(outcome).toEqual({ kind: "channel_down", scope: "sender", reason: "invalid_sender" });
    expect(mails).toEqual([]);
  });

  it("does not need the workspace's sender if the lead has its own", async () => {
    const ownSender = { ...NONE, senderEmail: "hana@harbour.example" };
    expect((await sent([{ from: "nobody", ownSender }])).headers).toMatchObject([{ from: "hana@harbour.example" }]);
  });

  it.each([
    [{ ...NONE, senderEmail: "hana@harbour.example" }, "sender"],
    [{ ...NONE, senderName: "Hana" }, "workspace"],
    [NONE, "workspace"],
  ])("that a provider refuses is the lead's or the workspace's: %j", async (ownSender, scope) => {
    const { port } = await smtpServer({
      onMailFrom: (_address, _session, callback) => callback(Object.assign(new Error("no"), { responseCode: 550 })),
    });
    const outcome = await smtpChannel(`smtp://127.0.0.1:${port}`).send(aTouch({ ownSender }));
    expect(outcome).toMatchObject({ kind: "channel_down", scope });
  });
});

describe("texts of an e-mail", () => {
  const LOOKALIKE = "=?utf-8?Q?Your_bank?=";
  const LONG = "x".repeat(1_200);

  it.each([
    LOOKALIKE,
    `Hello ${LOOKALIKE} and more`,
    `Grüße ${LOOKALIKE}`,
    "=?utf-8?X?x?=",
    "=?utf-8?Q?a b?=",
    "=?=?utf-8?q?x?=",
    "50 =? 60",
    LONG,
    `Grüße ${LONG}`,
    `a ${LONG} b`,
    'He said "Grüße"',
    "Plain words",
  ])("the subject and the name of the sender are shown as written: %j", async (text) => {
    const from = `"${text.replaceAll('"', '\\"')}" <hello@northwind.example>`;
    const { mails, headers } = await sent([{ from, message: { subject: text, body: "Hello" } }]);
    expect(shown(headers[0]?.["subject"])).toBe(text);
    const [, name = ""] = /^(.*) <hello@northwind\.example>$/s.exec(shown(headers[0]?.["from"])) ?? [];
    expect(name.replace(/^"(.*)"$/s, "$1").replaceAll(/\\(.)/g, "$1")).toBe(text);
    expect(Math.max(...(mails[0] ?? "").split("\r\n").map((line) => Buffer.byteLength(line)))).toBeLessThanOrEqual(998);
  });

  it("plain names and subjects are not encoded", async () => {
    const { headers } = await sent([
      { from: "Ann of Northwind <ann@northwind.example>", message: { subject: "A, b", body: "c" } },
    ]);
    expect(headers[0]).toMatchObject({ from: "Ann of Northwind <ann@northwind.example>", subject: "A, b" });
  });

  it.each([LONG, `${LONG} ${LONG}`, `ü${LONG}`, `https://example.com/${LONG}?a=b`])(
    "no line of the body is longer than 998 characters",
    async (body) => {
      const { mails } = await sent([{ message: { subject: "Hi", body } }]);
      expect(Math.max(...(mails[0] ?? "").split("\r\n").map((line) => line.length))).toBeLessThanOrEqual(998);
    },
  );

  it("SES gets the encoded name, and the bare address as sender", async () => {
    const json = { "content-type": "application/json" };
    const { port, requests } = await httpServer(answering(200, JSON.stringify({ MessageId: "m-1" }), json));
    process.env["AWS_ENDPOINT_URL_SESV2"] = `http://127.0.0.1:${port}`;
    process.env["AWS_REGION"] = "eu-central-1";
    const outcome = await sesChannel().send(aTouch({ from: `"${LOOKALIKE}" <hello@northwind.example>` }));
    expect(providerIdOf(outcome)).toBe("<m-1@eu-central-1.amazonses.com>");
    const request = JSON.parse(requests[0]?.body ?? "");
    const raw = Buffer.from(request.Content.Raw.Data, "base64").toString();
    expect(shown(headersOf(raw)["from"])).toBe(`${LOOKALIKE} <hello@northwind.example>`);
    expect(request).toMatchObject({
      FromEmailAddress: "hello@northwind.example",
      Destination: { ToAddresses: ["ada@example.com"] },
    });
  });
});

describe("a lead with line breaks in its name", () => {
  const lead = aLead({ firstName: "A\r\nBcc: all@example.com\r\n\r\nbody", company: "x\u0085\u2028Cc: y" });
  const step = aStep({ subject: "For {{ lead.first_name }} of {{ lead.company }}", body: "Hi" });

  it("adds no header to an e-mail", async () => {
    const rendered = render(step, lead, { name: "Northwind" });
    if (rendered.kind !== "rendered") throw new Error("it was not rendered");
    const { headers } = await sent([{ message: rendered.message }]);
    expect(headers[0]).toMatchObject({ subject: "For A Bcc: all@example.com body of x Cc: y", to: "ada@example.com" });
    expect(headers[0]).not.toHaveProperty("bcc");
    expect(headers[0]).not.toHaveProperty("cc");
  });
});
