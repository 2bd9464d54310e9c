import { beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { addressToSend } from "../../lib/domain/address.ts";
import { s3Mails } from "../../lib/platform/received-mails.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { prepareAws } from "../channels/aws.ts";
import { answering, closeServers, type HttpDouble, httpServer } from "../channels/servers.ts";
import { complaintReport, deliveryReport, type Fields, mailOf, returnedMail } from "../inbound/mail-examples.ts";
import { atEnd } from "../support/at-end.ts";
import { addLead, addWorkspace, type Columns, everyRow } from "../support/factories.ts";
import { addReached, type Reached, takeIn } from "../support/intake.ts";
import { useDatabase } from "../support/use-database.ts";

const { database: testDatabase, sql } = await useDatabase();
const database = openDatabase({ connectionString: testDatabase.url });
atEnd(() => database.close());
atEnd(closeServers);

const BUCKET = "mails";
/** The objects of the bucket, by key. */
const objects = new Map<string, string>();
let s3: HttpDouble;

beforeAll(async () => {
  prepareAws();
  s3 = await httpServer((response) => {
    const [, key = ""] = /^\/mails\/([^?]*)/.exec(s3.requests.at(-1)?.path ?? "") ?? [];
    const raw = objects.get(decodeURIComponent(key));
    if (key === "busy") answering(503, "")(response);
    else if (raw === undefined) answering(404, "<Error><Code>NoSuchKey</Code></Error>", XML)(response);
    else if (raw === "") answering(416, "<Error><Code>InvalidRange</Code></Error>", XML)(response);
    else answering(206, raw)(response);
  });
  process.env["AWS_ENDPOINT_URL_S3"] = `http://127.0.0.1:${s3.port}`;
  process.env["AWS_MAX_ATTEMPTS"] = "1";
});
const XML = { "content-type": "application/xml" };

let keys = 0;
/** Stores a mail as SES does, and returns the event of its object. */
function received(raw: string, { key = `mail ${++keys}`, bucket = BUCKET } = {}): Columns {
  objects.set(key, raw);
  return {
    version: "0",
    "detail-type": "Object Created",
    source: "aws.s3",
    time: "2026-11-20T09:00:05Z",
    detail: { version: "0", bucket: { name: bucket }, object: { key, size: raw.length }, reason: "PutObject" },
  };
}

const take = (...events: readonly Columns[]) => takeIn(database, events, { mails: s3Mails(BUCKET) });
const takeMail = (raw: string) => take(received(raw));

let number = 0;
let ada: Reached & { readonly email: string; readonly messageId: string };

/** Adds a lead that was mailed, in a workspace of its own. */
async function addMailed(lead: Columns = {}, touch: Columns = {}, workspace: Columns = {}) {
  number += 1;
  const messageId = `<0102-${number}@eu-central-1.amazonses.com>`;
  const email = `ada-${number}@example.com`;
  const reached = await addReached(sql, await addWorkspace(sql, workspace), {
    lead: { email, ...lead },
    touch: { provider_id: messageId, ...touch },
  });
  return { ...reached, email, messageId };
}

beforeEach(async () => {
  ada = await addMailed();
});

/** A mail of the lead's, with a Message-ID of its own. */
const from = (address: string, fields: Fields = {}) =>
  mailOf({ From: address, "Message-ID": `<${++keys}@example.com>`, ...fields });

const leadOf = async ({ leadId, workspaceId }: { readonly leadId: string; readonly workspaceId: string }) => {
  const { rows } = await sql.query(
    `select last_inbound_at as "repliedAt", suppressed_reason::text as suppressed, email_undeliverable as undeliverable,
            (select count(*)::int from transient_bounce where workspace_id = $2) as transient
       from lead where id = $1`,
    [leadId, workspaceId],
  );
  return rows[0];
};
const UNTOUCHED = { repliedAt: null, suppressed: null, undeliverable: false, transient: 0 };
const REPLIED = { repliedAt: new Date("2026-11-20T09:00:00Z"), suppressed: null };

describe("a reply by mail", () => {
  it.each<[string, () => Fields]>([
    ["In-Reply-To", () => ({ "In-Reply-To": ada.messageId })],
    ["References", () => ({ References: `<older@example.com> ${ada.messageId}` })],
    ["our own Message-ID", () => ({ "In-Reply-To": `<${ada.touchId}@northwind.example>` })],
  ])("is matched by %s, from whatever address", async (_what, fields) => {
    const { report } = await takeMail(from("somebody@else.example", fields()));
    expect(report).toMatchObject({ applied: 1, created: 0 });
    expect(await leadOf(ada)).toMatchObject(REPLIED);
  });

  it("is matched by its sender in every workspace that mailed the address, and in no other", async () => {
    const twin = await addMailed({ email: ada.email });
    const silent = await addWorkspace(sql);
    const unmailed = await addLead(sql, silent, { email: ada.email });
    const waiting = await addMailed({ email: ada.email }, { status: "claimed", provider_id: null });
    expect((await takeMail(from(`Ada <${ada.email}>`))).report).toMatchObject({ applied: 2 });
    for (const lead of [ada, twin]) expect(await leadOf(lead)).toMatchObject(REPLIED);
    for (const lead of [{ leadId: unmailed, workspaceId: silent }, waiting])
      expect(await leadOf(lead)).toMatchObject({ repliedAt: null });
  });

  it("is matched in the workspace that a plus tag of its recipient names, although it mailed nobody", async () => {
    const workspaceId = await addWorkspace(sql);
    const leadId = await addLead(sql, workspaceId, { email: ada.email });
    await takeMail(from(ada.email, { To: `replies+${workspaceId}@northwind.example` }));
    expect(await leadOf({ leadId, workspaceId })).toMatchObject(REPLIED);
    expect(await leadOf(ada)).toEqual(UNTOUCHED);
  });

  it("concerns the lead of its thread, and leads of that workspace with its sender's address", async () => {
    const bob = await addLead(sql, ada.workspaceId, { email: `bob-${number}@example.com` });
    await takeMail(from(`bob-${number}@example.com`, { "In-Reply-To": ada.messageId }));
    expect(await leadOf(ada)).toMatchObject(REPLIED);
    expect(await leadOf({ leadId: bob, workspaceId: ada.workspaceId })).toMatchObject(REPLIED);
  });

  it("counts once, in every copy", async () => {
    const raw = from(ada.email, { "In-Reply-To": ada.messageId });
    const copy = raw.replace("Subject:", "X-Copy: yes\r\nSubject:");
    expect((await take(received(raw), received(copy), received(raw))).report).toMatchObject({
      applied: 1,
      duplicate: 2,
    });
  });

  it("is none if our side wrote it: the mailbox forwards copies of the conversation", async () => {
    const own = await addMailed({ sender_email: "hana@northwind.example", reply_to: "team@northwind.example" });
    for (const sender of ["Hana <hana@northwind.example>", "TEAM@northwind.example"]) {
      const { ignored } = await takeMail(from(sender, { To: own.email, References: own.messageId }));
      expect(ignored).toEqual({ own_mail: 1 });
    }
    const bySender = await addMailed({}, {}, { email_from: "Northwind <hello@northwind.example>" });
    expect((await takeMail(from("hello@northwind.example", { References: bySender.messageId }))).ignored).toEqual({
      own_mail: 1,
    });
    expect(await leadOf(own)).toEqual(UNTOUCHED);
  });

  it("is one if the sender is the lead itself, as in a trial with one's own address", async () => {
    const self = await addMailed({ email: "me@northwind.example" }, {}, { email_from: "Me <me@northwind.example>" });
    await takeMail(from("me@northwind.example", { "In-Reply-To": self.messageId }));
    expect(await leadOf(self)).toMatchObject(REPLIED);
  });

  it("stops nothing if a program sent it", async () => {
    const automatic = { "In-Reply-To": ada.messageId, "Auto-Submitted": "auto-replied" };
    expect((await takeMail(from(ada.email, automatic))).ignored).toEqual({ automatic_reply: 1 });
    expect(await leadOf(ada)).toEqual(UNTOUCHED);
  });

  it.each<[string, Fields]>([
    ["an unknown sender", { From: "nobody@example.com" }],
    ["an unknown thread", { From: "nobody@example.com", "In-Reply-To": "<unknown@example.com>" }],
    ["no sender", { From: undefined }],
    [
      "a workspace that does not know it",
      { From: "nobody@example.com", To: "r+0190f0f0-0000-7000-8000-0000000000aa@n.example" },
    ],
  ])("is ignored and counted, and adds no lead: %s", async (_what, fields) => {
    const before = await everyRow(sql);
    const { report, ignored } = await takeMail(mailOf(fields));
    expect({ ignored, created: report.created }).toEqual({ ignored: { unknown_sender: 1 }, created: 0 });
    expect(await everyRow(sql)).toEqual(before);
  });

  it("leaves its words and addresses in no row and no log", async () => {
    const { log } = await takeMail(from(ada.email, { Subject: "A secret subject", "In-Reply-To": ada.messageId }));
    const rows = JSON.stringify(await everyRow(sql));
    expect(`${rows} ${log}`).not.toMatch(/secret/);
    expect(log).not.toContain(ada.email);
  });
});

describe("other mails", () => {
  it("opt out by the subject of our List-Unsubscribe address", async () => {
    await takeMail(from("an.alias@example.com", { Subject: `unsubscribe ${ada.touchId}` }));
    expect(await leadOf(ada)).toMatchObject({ suppressed: "opted_out" });
  });

  it("report a bounce of the mail that they return", async () => {
    const returned = returnedMail({ "X-Backstop-Touch": ada.touchId });
    await takeMail(deliveryReport({ recipient: `rfc822; ${ada.email}`, returned }));
    expect(await leadOf(ada)).toMatchObject({ undeliverable: true, suppressed: null });
  });

  it("report a bounce by the id that SES gave the returned mail", async () => {
    const returned = returnedMail({ "Message-ID": ada.messageId });
    await takeMail(deliveryReport({ recipient: `rfc822; ${ada.email}`, returned }));
    expect(await leadOf(ada)).toMatchObject({ undeliverable: true });
  });

  it("count as transient if they name a mailbox to which the recipient forwards", async () => {
    const returned = returnedMail({ "X-Backstop-Touch": ada.touchId });
    await takeMail(deliveryReport({ recipient: "rfc822; gone@elsewhere.example", returned }));
    expect(await leadOf(ada)).toMatchObject({ undeliverable: false, transient: 1 });
  });

  it("report a complaint", async () => {
    await takeMail(complaintReport("abuse", returnedMail({ "X-Backstop-Touch": ada.touchId })));
    expect(await leadOf(ada)).toMatchObject({ suppressed: "complained" });
  });

  it("do not wait for each other: a bomb, an expired one, and one whose bucket is another", async () => {
    const bomb = Array.from(
      { length: 5_000 },
      (_, n) => `Content-Type: multipart/mixed; boundary=${n}\r\n\r\n--${n}\r\n`,
    );
    const expired = received("", { key: "expired" });
    objects.delete("expired");
    const { report, ignored, refused, failedMessageIds } = await take(
      received(bomb.join("")),
      expired,
      received("", { key: "empty" }),
      received("x", { key: "prefix/AMAZON_SES_SETUP_NOTIFICATION" }),
      received(from(ada.email), { bucket: "another" }),
      received(from(ada.email), { key: "busy" }),
      received(from(ada.email), { key: "a/key with ünusual+signs & more" }),
    );
    expect(ignored).toEqual({ unreadable_mail: 1, expired_mail: 1, unknown_sender: 1, ses_setup_notification: 1 });
    expect(refused).toEqual(["not an object of INBOUND_MAIL_BUCKET"]);
    expect(failedMessageIds).toEqual(["5"]);
    expect(report).toMatchObject({ applied: 1, failed: 1, refused: 1, ignored: 4 });
  });

  it.each(["\0", "\ud800", "\uffff", "\u200b", "é", "'", "\\"])(
    "may hold any character in any field: %j",
    async (odd) => {
      const fields = {
        "In-Reply-To": `<a${odd}b@example.com>`,
        References: `<${odd}> ${ada.messageId.replace("<", `<${odd}`)}`,
        From: `${odd} <x${odd}y@example.com>`,
        "Reply-To": `${odd}@${odd}`,
        To: `replies+${odd}@northwind.example`,
        "Message-ID": `<${odd}>`,
        Subject: odd,
      };
      expect((await takeMail(mailOf(fields))).ignored).toEqual({ unknown_sender: 1 });
      const report = deliveryReport({ recipient: `rfc822; ${odd}@${odd}`, returned: returnedMail(fields) });
      expect((await takeMail(report)).ignored).toEqual({ unknown_sender: 1 });
    },
  );

  it("are read at their start only", async () => {
    await takeMail(from(ada.email));
    expect(s3.requests.at(-1)).toMatchObject({ method: "GET", headers: { range: "bytes=0-131071" } });
  });

  it("are refused by a stage that receives none", async () => {
    const { refused } = await takeIn(database, [received(from(ada.email))]);
    expect(refused).toEqual(["not an object of INBOUND_MAIL_BUCKET"]);
  });
});

/** As a row may store them. Those that can be mailed can also do everything else. */
const ODD_ADDRESSES = [
  ...[
    "ada@example.com",
    "Ada@Example.COM",
    "ADA@EXAMPLE.COM",
    " ada@example.com ",
    "\tada@example.com",
    "ada@example.com.",
  ],
  ...["ada+sales@example.com", "ada+a+b@example.com", "ada_lovelace@example.com", "a@example.com", "1@example.com"],
  ...[
    "o'neil@example.com",
    "fred&sons@example.com",
    "ada/sales@example.com",
    "ada=sales@example.com",
    "a!b@example.com",
  ],
  ...[
    "#ada@example.com",
    "ada$@example.com",
    "ada%b@example.com",
    "{ada}@example.com",
    "ada~@example.com",
    "a|b@example.com",
  ],
  ...["Ada <ada@example.com>", '"Lovelace, Ada" <ada@example.com>', "<ada@example.com>", "mailto:ada@example.com"],
  ...["ada@example.com\u200b", "\ufeffada@example.com", "a\u00adda@example.com", "ada@example.com\u00a0"],
  ...[
    "ada@xn--bcher-kva.example",
    "Ada@XN--BCHER-KVA.example",
    "ada@bücher.example",
    "ada@xn--80ak6aa92e.com",
    "ada@BÜCHER.example",
  ],
  ...['"ada lovelace"@example.com', '"ada"@example.com', "ада@example.com", "ada@пример.рф", "ada@[127.0.0.1]"],
  ...["ada@sub.sub.example.com", "ada@example-with-dash.com", `${"a".repeat(64)}@example.com`, "ada.b.c@example.com"],
] as const;

describe("an address that can be mailed", () => {
  /** How mail programs and servers write the address to which a mail went. */
  const FORMS = [
    (sent: string) => sent,
    (sent: string) => `"Lovelace, Ada" <${sent}>`,
    (sent: string) => sent.replace(/@.*/, (domain) => domain.toUpperCase()),
  ];
  const mailable = ODD_ADDRESSES.flatMap((stored, index) => {
    const sent = addressToSend(stored);
    return sent === undefined ? [] : [{ stored, sent, form: FORMS[index % FORMS.length]?.(sent) ?? sent }];
  });

  it("is most of these", () => {
    expect(ODD_ADDRESSES.length).toBeGreaterThanOrEqual(40);
    expect(mailable.length).toBeGreaterThanOrEqual(30);
  });

  it.each(mailable)("can reply, bounce and complain: $stored", async ({ stored, sent, form }) => {
    const lead = await addMailed({ email: stored });
    const tagged = (raw: string) =>
      raw
        .replace(/^To: .*$/m, `To: replies+${lead.workspaceId}@northwind.example`)
        .replace(/^Message-ID: .*$/m, `Message-ID: <${++keys}@example.com>`);
    await takeMail(tagged(mailOf({ From: form })));
    expect(await leadOf(lead)).toMatchObject({ ...REPLIED, undeliverable: false });
    await takeMail(tagged(deliveryReport({ recipient: `rfc822;${sent}` })));
    expect(await leadOf(lead)).toMatchObject({ undeliverable: true, suppressed: null });
    await takeMail(tagged(complaintReport("abuse", "").replace("<ada@example.com>\r\n\r\n", `<${sent}>\r\n\r\n`)));
    expect(await leadOf(lead)).toMatchObject({ suppressed: "complained" });
  });
});
