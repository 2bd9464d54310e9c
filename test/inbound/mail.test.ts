import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { classifyMail } from "../../lib/inbound/mail.ts";
import { long } from "../support/long.ts";
import { complaintReport, deliveryReport, type Fields, mailOf, partsOf, returnedMail } from "./mail-examples.ts";

const RECEIVED_AT = new Date("2026-11-20T09:00:05Z");
const TOUCH = "0190f0f0-0000-7000-8000-0000000000b1";
const OF_SES = "<0102019abc-4d1e-42aa-000000@eu-central-1.amazonses.com>";
const OWN = `<${TOUCH}@northwind.example>`;
const WORKSPACE = "0190f0f0-0000-7000-8000-0000000000a1";

const classified = (raw: string) => classifyMail(raw, RECEIVED_AT);
const marksOf = async (raw: string) => {
  const mail = await classified(raw);
  return mail.kind === "news" ? mail.marks : mail;
};
const kindOf = async (raw: string) => {
  const mail = await classified(raw);
  if (mail.kind === "ignored") return mail.reason;
  return mail.meaning.kind === "bounce" ? `${mail.meaning.bounce} bounce` : mail.meaning.kind;
};

describe("a mail of a person", () => {
  it("is a reply, by its date, with the ids that it answers and its sender", async () => {
    const references = `<older@example.com> ${OF_SES}\r\n ${OWN}`;
    expect(await classified(mailOf({ "In-Reply-To": OF_SES, References: references }))).toEqual({
      kind: "news",
      meaning: { kind: "reply" },
      marks: {
        touchIds: [TOUCH],
        messageIds: [OF_SES, "<older@example.com>", OF_SES, OWN],
        addresses: ["ada@example.com"],
        workspaceIds: [],
      },
      eventId: expect.stringMatching(/^mail:[0-9a-f]{64}$/),
      occurredAt: new Date("2026-11-20T09:00:00Z"),
    });
  });

  it.each<[string, Fields]>([
    ["with a header that says so", { "Auto-Submitted": "no" }],
    ["of a sales program", { "List-Unsubscribe": "<https://example.com/u>" }],
    ["with a high priority", { Precedence: "first-class", "X-Priority": "1" }],
    ["about an office", { Subject: "Re: Out of office hours?" }],
    ["that talks of automatic replies", { Subject: "I never got your automatic reply: why?" }],
    ["without a subject", { Subject: undefined }],
    ["that accepts an invitation", { "Content-Type": 'text/calendar; method=REPLY; charset="utf-8"' }],
    ["through a group that shares a mailbox", { Precedence: "list", "List-Id": "<sales.northwind.example>" }],
    [
      "redirected by a rule of Exchange",
      {
        "Return-Path": "<>",
        "X-MS-Exchange-Inbox-Rules-Loop": "sales@northwind.example",
        "X-MS-Exchange-Generated-Message-Source": "Mailbox Rules Agent",
      },
    ],
    [
      "redirected by a rule of Exchange Online, which marks it as generated",
      {
        "Auto-Submitted": "auto-generated",
        "X-MS-Exchange-Inbox-Rules-Loop": "sales@northwind.example",
        "X-MS-Exchange-Generated-Message-Source": "Mailbox Rules Agent",
      },
    ],
    ["that a forwarder marks as forwarded", { "Auto-Submitted": "auto-forwarded" }],
    ["that asks Exchange for no automatic answers", { "X-Auto-Response-Suppress": "DR, RN, NRN, OOF, AutoReply" }],
    ["that begins with such words", { Subject: "Automatic reply to your question" }],
    ["to an automatic reply", { Subject: "Re: Automatic reply: Shall we talk?" }],
    ["forwarded by a mailbox", { "X-Forwarded-To": "replies@northwind.example", "Resent-From": "sales@n.example" }],
  ])("is a reply: %s", async (_what, fields) => {
    expect(await kindOf(mailOf(fields))).toBe("reply");
  });

  it.each<[string, Fields]>([
    ["RFC 3834", { "Auto-Submitted": "auto-replied" }],
    ["RFC 3834, with a comment", { "Auto-Submitted": "auto-generated (vacation)" }],
    ["Gmail", { Precedence: "bulk", "X-Autoreply": "yes", "Auto-Submitted": "auto-replied" }],
    ["Gmail, without the standard field", { Precedence: "bulk", "X-Autoreply": "yes" }],
    ["Exchange", { "X-Auto-Response-Suppress": "All", "Auto-Submitted": "auto-generated" }],
    [
      "Exchange, without the standard field",
      { "X-Auto-Response-Suppress": "All", "X-MS-Exchange-Inbox-Rules-Loop": "ada@example.com" },
    ],
    [
      "Exchange, redirected by a rule of our mailbox",
      {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-MS-Exchange-Inbox-Rules-Loop": ["ada@example.com", "sales@northwind.example"],
        "X-MS-Exchange-Generated-Message-Source": "Mailbox Rules Agent",
      },
    ],
    [
      "Gmail, redirected by a rule of our mailbox",
      { "Auto-Submitted": "auto-replied", "X-MS-Exchange-Generated-Message-Source": "Mailbox Rules Agent" },
    ],
    ["vacation(1)", { "Auto-Submitted": "auto-replied (vacation)", Precedence: "bulk" }],
    [
      "Zendesk",
      { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "X-Mailer": "Zendesk Mailer" },
    ],
    ["Outlook, by its subject", { Subject: "Automatic reply: Shall we talk?" }],
    ["Outlook in German", { Subject: "=?utf-8?q?Automatische_Antwort=3A_Shall_we_talk=3F?=" }],
    ["Outlook in French", { Subject: "=?utf-8?b?UsOpcG9uc2UgYXV0b21hdGlxdWUgOiBTaGFsbA==?=" }],
    ["Outlook in Danish and Norwegian", { Subject: "Automatisk svar: Shall we talk?" }],
    ["Outlook in Finnish", { Subject: "Automaattinen vastaus: Shall we talk?" }],
    ["Outlook in Polish", { Subject: "=?utf-8?q?Odpowied=C5=BA_automatyczna=3A_Shall?=" }],
    ["Outlook in Czech", { Subject: `=?utf-8?b?${Buffer.from("Automatická odpověď: Shall").toString("base64")}?=` }],
    ["Outlook in Russian", { Subject: `=?utf-8?b?${Buffer.from("Автоматический ответ: Shall").toString("base64")}?=` }],
    ["Outlook in Japanese", { Subject: `=?utf-8?b?${Buffer.from("自動応答：Shall").toString("base64")}?=` }],
    [
      "Outlook, with decomposed letters",
      { Subject: `=?utf-8?b?${Buffer.from("Réponse automatique : Shall".normalize("NFD")).toString("base64")}?=` },
    ],
    ["older Outlook", { Subject: "Out of Office AutoReply: Shall we talk?" }],
    ["cPanel", { "X-Autorespond": "Re: Shall we talk?", Precedence: "auto_reply" }],
    ["a newsletter", { Precedence: "junk" }],
    ["qmail", { "Delivered-To": "Autoresponder" }],
    ["Exim", { "X-Failed-Recipients": "ada@example.com" }],
    ["a postmaster", { From: "postmaster@example.com" }],
  ])("is none if a program sent it: %s", async (_what, fields) => {
    expect(await kindOf(mailOf({ ...fields, "In-Reply-To": OF_SES }))).toBe("automatic_reply");
  });

  it("is none if the mailbox forwards a copy of what we sent", async () => {
    expect(await kindOf(mailOf({ "X-Backstop-Touch": TOUCH }))).toBe("own_mail");
    expect(await kindOf(mailOf({ "X-Backstop-Digest": TOUCH }))).toBe("own_mail");
  });

  it.each([
    `unsubscribe ${TOUCH}`,
    `Unsubscribe  ${TOUCH.toUpperCase()}`,
    ` unsubscribe\r\n ${TOUCH}`,
    `=?utf-8?q?unsubscribe_${TOUCH}?=`,
  ])("opts out with the subject of our link: %j", async (Subject) => {
    const { kind, meaning, marks } = (await classified(mailOf({ Subject, Precedence: "bulk" }))) as never as {
      kind: string;
      meaning: object;
      marks: { touchIds: string[] };
    };
    expect({ kind, meaning, touchIds: marks.touchIds.map((id) => id.toLowerCase()) }).toEqual({
      kind: "news",
      meaning: { kind: "opt_out" },
      touchIds: [TOUCH],
    });
  });

  it.each(["unsubscribe", "unsubscribe me", `unsubscribe ${"-".repeat(36)}`, `Re: unsubscribe ${TOUCH}`])(
    "is a reply with another subject: %j",
    async (Subject) => {
      expect(await kindOf(mailOf({ Subject }))).toBe("reply");
    },
  );

  it.each<[string, Fields, readonly string[]]>([
    ["a name with a comma", { From: '"Lovelace, Ada" <ada@example.com>' }, ["ada@example.com"]],
    ["a name with a comma, not quoted", { From: "Lovelace, Ada <ada@example.com>" }, ["ada@example.com"]],
    ["a name that is an address", { From: '"boss@example.com" <ada@example.com>' }, ["ada@example.com"]],
    ["an encoded name", { From: "=?utf-8?q?Ad=C3=A1?= <ada@example.com>" }, ["ada@example.com"]],
    ["a group", { From: "Team: ada@example.com, bob@example.com;" }, ["ada@example.com", "bob@example.com"]],
    ["a comment", { From: "ada@example.com (Ada)" }, ["ada@example.com"]],
    ["an international domain", { From: "Ada <ada@bücher.example>" }, ["ada@bücher.example"]],
    ["an address for answers", { "Reply-To": "Ada <a@home.example>" }, ["ada@example.com", "a@home.example"]],
    [
      "a list that rewrote the sender",
      { From: "'Ada' via Sales <sales@northwind.example>", "X-Original-From": "Ada <ada@example.com>" },
      ["ada@example.com"],
    ],
    ["no sender", { From: undefined }, []],
    ["an empty sender", { From: "<>" }, []],
  ])("has its senders: %s", async (_what, fields, addresses) => {
    expect(await marksOf(mailOf(fields))).toMatchObject({ addresses });
  });

  it.each<[string, Fields]>([
    ["the recipient", { To: `Replies <replies+${WORKSPACE}@northwind.example>` }],
    ["a copy", { Cc: `bob@example.com, replies+${WORKSPACE.toUpperCase()}@northwind.example` }],
    ["a forwarder's field", { "X-Forwarded-To": `replies+${WORKSPACE}@northwind.example` }],
    [
      "the envelope",
      { Received: `from a by b with SMTP id c for <replies+${WORKSPACE}@northwind.example>; Fri, 20 Nov 2026` },
    ],
  ])("names a workspace by a plus tag in %s", async (_what, fields) => {
    expect(await marksOf(mailOf(fields))).toMatchObject({ workspaceIds: [WORKSPACE] });
  });

  it.each<[string, string | undefined, string]>([
    ["an hour ago", "Fri, 20 Nov 2026 08:00:05 +0000", "2026-11-20T08:00:05.000Z"],
    ["in another zone", "Fri, 20 Nov 2026 10:00:00 +0100 (CET)", "2026-11-20T09:00:00.000Z"],
    ["in the future", "Fri, 20 Nov 2026 19:00:00 +0000", RECEIVED_AT.toISOString()],
    ["years ago", "Thu, 1 Jan 1970 00:00:00 +0000", RECEIVED_AT.toISOString()],
    ["unreadable", "gestern", RECEIVED_AT.toISOString()],
    ["missing", undefined, RECEIVED_AT.toISOString()],
  ])("was written at its date, or else when it was received: %s", async (_what, date, at) => {
    expect(await classified(mailOf({ Date: date }))).toMatchObject({ occurredAt: new Date(at) });
  });

  it("has one event id in every copy, and another mail has another", async () => {
    const idOf = async (raw: string) => {
      const mail = await classified(raw);
      return mail.kind === "news" ? mail.eventId : mail.reason;
    };
    const one = await idOf(mailOf());
    expect(await idOf(mailOf({ Received: "from elsewhere", "X-Copy": "yes" }, "Changed by a list"))).toBe(one);
    expect(await idOf(mailOf({ "Message-ID": "<reply-2@example.com>" }))).not.toBe(one);
    const without = { "Message-ID": undefined };
    expect(await idOf(mailOf(without))).toBe(await idOf(mailOf(without)));
    expect(await idOf(mailOf(without))).not.toBe(await idOf(mailOf(without, "Another text")));
  });
});

describe("a report of a mail server", () => {
  it("names the mail that it returns, and the recipient", async () => {
    const returned = returnedMail({ "Message-ID": OF_SES, "X-Backstop-Touch": TOUCH });
    expect(await classified(deliveryReport({ returned }))).toMatchObject({
      meaning: { kind: "bounce", bounce: "permanent" },
      marks: { touchIds: [TOUCH], messageIds: [OF_SES], addresses: ["ada@example.com"] },
    });
  });

  it.each(["text/rfc822-headers", "message/rfc822", "message/global", "message/global-headers"])(
    "returns the mail, or its header, as %s",
    async (returnedType) => {
      const returned = returnedMail({ "X-Backstop-Touch": TOUCH, "Message-ID": OWN });
      expect(await marksOf(deliveryReport({ returned, returnedType }))).toMatchObject({
        touchIds: [TOUCH, TOUCH],
        messageIds: [OWN],
      });
    },
  );

  it.each([
    ["5.1.1", "permanent bounce"],
    ["5.1.10", "permanent bounce"],
    ["5.4.1", "permanent bounce"],
    ["5.0.0", "permanent bounce"],
    ["5.2.1 (mailbox disabled)", "permanent bounce"],
    ["5.2.2", "transient bounce"],
    ["5.4.6", "transient bounce"],
    ["5.4.7", "transient bounce"],
    ["5.3.4", "transient bounce"],
    ["5.7.1", "transient bounce"],
    ["4.4.7", "transient bounce"],
    ["4.2.2", "transient bounce"],
    ["none", "transient bounce"],
    ["", "transient bounce"],
  ])("with status %j is a %s", async (status, kind) => {
    expect(await kindOf(deliveryReport({ status }))).toBe(kind);
  });

  it.each([
    ["5.0.0", "smtp; 550-5.7.1 blocked by policy", "transient bounce"],
    ["5.0.0", "smtp; 550 5.1.1 no such user", "permanent bounce"],
    ["", "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound", "permanent bounce"],
    ["5.0.0", "smtp; 552 Mailbox quota exceeded", "transient bounce"],
    ["5.0.0", "smtp; 550 No such user here", "permanent bounce"],
  ])("with status %j has the more precise one of the answer %j", async (status, answer, kind) => {
    expect(await kindOf(deliveryReport({ status, more: `Diagnostic-Code: ${answer}\r\n` }))).toBe(kind);
  });

  it.each([
    ["rfc822; ada@example.com", "ada@example.com"],
    ["RFC822;ada@example.com", "ada@example.com"],
    ["rfc822;\r\n ada@example.com", "ada@example.com"],
    ["rfc822; <ada@example.com>", "<ada@example.com>"],
    ["utf-8; ada@bücher.example", "ada@bücher.example"],
  ])("names its recipient: %j", async (recipient, address) => {
    const type = recipient.startsWith("utf-8") ? "message/global-delivery-status" : "message/delivery-status";
    expect(await marksOf(deliveryReport({ recipient, type }))).toMatchObject({ addresses: [address] });
  });

  it("names at most a hundred recipients: a mail of ours has one", async () => {
    const more = Array.from({ length: 2_000 }, (_, index) => `Final-Recipient: rfc822; a${index}@example.com\r\n`);
    expect(await marksOf(deliveryReport({ more: more.join("") }))).toHaveProperty(["addresses", "length"], 100);
  });

  const status =
    "Reporting-MTA: dns; mx.example.com\r\n\r\nFinal-Recipient: rfc822; ada@example.com\r\nAction: failed\r\n";
  const base64 = (text: string) => Buffer.from(text).toString("base64").replaceAll(/.{76}/g, "$&\r\n");
  const returnedTouch = returnedMail({ "X-Backstop-Touch": TOUCH });
  it.each<[string, string, string]>([
    ["Postfix", "message/delivery-status", `${status}Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 unknown\r\n`],
    ["Exim", "message/global-delivery-status", `${status}Status: 5.0.0\r\nDiagnostic-Code: smtp; 550 unknown\r\n`],
    [
      "a server that adds comments",
      "message/delivery-status",
      `${status.trim()} (no such user)\r\nStatus: 5.1.1 (x)\r\n`,
    ],
    [
      "a server that encodes it",
      "message/delivery-status; charset=us-ascii\r\nContent-Transfer-Encoding: base64",
      base64(`${status}Status: 5.1.1\r\n`),
    ],
    [
      "a server that names it",
      'message/delivery-status; name="details.txt"\r\nContent-Disposition: attachment; filename="details.txt"',
      `${status}Status: 5.1.1\r\n`,
    ],
    [
      "Exchange, about several recipients",
      "message/delivery-status",
      `${status.replace("failed", "relayed")}Status: 2.1.9\r\n\r\n${status.split("\r\n\r\n")[1]}Status: 5.1.10\r\n`,
    ],
  ])("is a bounce, as written by %s", async (_server, type, text) => {
    const raw = partsOf("multipart/report; report-type=delivery-status", { From: "MAILER-DAEMON@mx.example.com" }, [
      ["text/plain", "Sorry."],
      [type, text],
      ["message/rfc822", returnedTouch],
    ]);
    for (const lines of [raw, raw.replaceAll("\r\n", "\n")]) {
      expect(await kindOf(lines)).toBe("permanent bounce");
      expect(await marksOf(lines)).toMatchObject({ touchIds: [TOUCH], addresses: ["ada@example.com"] });
    }
  });

  it.each(["delayed", "Delivered", "relayed", "expanded"])("has no effect if the mail was %s", async (action) => {
    expect(await kindOf(deliveryReport({ action, status: "4.4.1" }))).toBe("report_without_effect");
  });

  it("has no effect if it is a receipt", async () => {
    const receipt = partsOf("multipart/report; report-type=disposition-notification", { "Auto-Submitted": "no" }, [
      ["text/plain", "Your message was displayed."],
      [
        "message/disposition-notification",
        "Final-Recipient: rfc822; ada@example.com\r\nDisposition: manual-action/MDN",
      ],
    ]);
    expect(await kindOf(receipt)).toBe("report_without_effect");
  });

  it.each([
    ["abuse", "complaint"],
    ["fraud", "complaint"],
    ["other", "complaint"],
    ["not-spam", "report_without_effect"],
    ["auth-failure", "report_without_effect"],
  ])("of type %s is %s", async (type, kind) => {
    const raw = complaintReport(type, returnedMail({ "X-Backstop-Touch": TOUCH }));
    expect(await kindOf(raw)).toBe(kind);
    if (kind === "complaint")
      expect(await marksOf(raw)).toMatchObject({ touchIds: [TOUCH], addresses: ["<ada@example.com>"] });
  });
});

describe("a malformed or hostile mail", () => {
  /** As much as the intake reads of a mail. */
  const READ_BYTES = 128 * 1024;
  const nested = (type: (level: number) => string) =>
    Array.from({ length: 20_000 }, (_, level) => type(level)).join("");

  it.each([
    ["nested parts", nested((level) => `Content-Type: multipart/mixed; boundary=B${level}\r\n\r\n--B${level}\r\n`)],
    ["a huge header", `From: ada@example.com\r\nX-Long: ${"x".repeat(READ_BYTES)}\r\n\r\n`],
    ["many fields", `From: ada@example.com\r\n${"X: y\r\n".repeat(100_000)}\r\n`],
  ])("beyond the limits is ignored: %s", async (_what, raw) => {
    expect(await kindOf(raw)).toBe("unreadable_mail");
  });

  it.each([
    ["nested mails", nested(() => "Content-Type: message/rfc822\r\n\r\n")],
    ["nothing", ""],
    ["zeros", "\0".repeat(1_000)],
    ["no end of its parts", partsOf("multipart/mixed", {}, [["text/plain", "hello"]]).slice(0, -30)],
    ["many parts", partsOf("multipart/mixed", {}, Array(5_000).fill(["text/plain", ""]))],
    ["many references", mailOf({ References: "<a@b> ".repeat(10_000) })],
    ["many recipients", mailOf({ To: "a@example.com, ".repeat(5_000) })],
    ["a long folded field", mailOf({ Subject: "a\r\n ".repeat(20_000) })],
    ["a report without a recipient", deliveryReport({ recipient: "" })],
    ["a report of blank lines", deliveryReport({ more: "\r\n".repeat(70_000) })],
    ["a report that returns a report", deliveryReport({ returned: deliveryReport({}) })],
  ])("is classified in a short time: %s", async (_what, raw) => {
    const before = performance.now();
    const kind = await kindOf(raw.slice(0, READ_BYTES));
    expect(["reply", "permanent bounce", "automatic_reply", "unreadable_mail"]).toContain(kind);
    expect(performance.now() - before).toBeLessThan(10_000);
  });

  long.it("never throws, for any content", async () => {
    const field = fc.constantFrom("From", "To", "Date", "References", "Message-ID", "Content-Type", "Subject");
    const text = fc.string({ unit: "binary", maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.dictionary(field, text), text, async (fields, body) => {
        expect(["news", "ignored"]).toContain((await classified(mailOf(fields, body))).kind);
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (raw) => {
        expect(["news", "ignored"]).toContain((await classifyMail(raw, RECEIVED_AT)).kind);
      }),
    );
  });
});
