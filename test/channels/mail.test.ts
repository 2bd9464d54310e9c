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
  const { port, mails } = await smtpServer({});
  const channel = smtpChannel(`smtp://127.0.0.1:${port}`, options);
  const outcomes = [];
  for (const touch of touches) outcomes.push(await channel.send(aTouch(touch)));
  return { headers: mails.map(headersOf), providerIds: outcomes.map(providerIdOf) };
}

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
  const url = "https://northwind.example/unsubscribe/{touchId}?again={touchId}";
  const oneClick = `<https://northwind.example/unsubscribe/${aTouch().id}?again=${aTouch().id}>`;
  const mailto = "stop@northwind.example";
  const mail = `<mailto:stop@northwind.example?subject=unsubscribe%20${aTouch().id}>`;

  it("is omitted if not configured", async () => {
    const { headers } = await sent([{}]);
    expect(Object.keys(headers[0] ?? {}).filter((name) => name.startsWith("list-"))).toEqual([]);
  });

  it("is one click for a URL, and a mail for an address", async () => {
    const both = await sent([{}], { unsubscribe: { url, mailto } });
    expect(both.headers[0]).toMatchObject({
      "list-unsubscribe": `${oneClick}, ${mail}`,
      "list-unsubscribe-post": "List-Unsubscribe=One-Click",
    });
    const click = await sent([{}], { unsubscribe: { url } });
    expect(click.headers[0]).toMatchObject({
      "list-unsubscribe": oneClick,
      "list-unsubscribe-post": "List-Unsubscribe=One-Click",
    });
    const { headers } = await sent([{}], { unsubscribe: { mailto } });
    expect(headers[0]?.["list-unsubscribe"]).toBe(mail);
    expect(headers[0]).not.toHaveProperty("list-unsubscribe-post");
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
