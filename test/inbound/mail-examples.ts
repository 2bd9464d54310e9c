/** Header fields by name; several fields of one name are an array. */
export type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

const RECEIVED =
  "from mail.example.com (mail.example.com [192.0.2.7]) by inbound-smtp.eu-central-1.amazonaws.com with SMTP id abc " +
  "for replies@northwind.example; Fri, 20 Nov 2026 09:00:05 +0000 (UTC)";

/** Mails of people and servers, as SES stores them. */
const USUAL: Fields = {
  "Return-Path": "<ada@example.com>",
  Received: RECEIVED,
  From: "Ada Lovelace <ada@example.com>",
  To: "Northwind <replies@northwind.example>",
  Subject: "Re: Shall we talk?",
  Date: "Fri, 20 Nov 2026 09:00:00 +0000",
  "Message-ID": "<reply-1@example.com>",
  "MIME-Version": "1.0",
};

/** A mail; `undefined` removes a field. */
export const mailOf = (fields: Fields = {}, body = "Sounds good. My secret answer."): string =>
  `${headOf({ ...USUAL, ...fields })}\r\n${body}\r\n`;

const headOf = (fields: Fields): string =>
  Object.entries(fields)
    .flatMap(([name, value]) => [value ?? []].flat().map((one) => `${name}: ${one}\r\n`))
    .join("");

/** A mail of parts with their own header. */
export const partsOf = (type: string, fields: Fields, parts: readonly (readonly [type: string, text: string])[]) =>
  mailOf(
    { "Content-Type": `${type}; boundary="=_part"`, ...fields },
    [...parts.map(([kind, text]) => `--=_part\r\nContent-Type: ${kind}\r\n\r\n${text}\r\n`), "--=_part--"].join(""),
  );

const FROM_A_SERVER: Fields = {
  "Return-Path": "<>",
  From: "Mail Delivery System <MAILER-DAEMON@mx.example.com>",
  Subject: "Undelivered Mail Returned to Sender",
  "Auto-Submitted": "auto-replied",
};

/** The header of the mail that a report returns. */
export const returnedMail = (fields: Fields): string =>
  headOf({ From: "hello@northwind.example", To: "ada@example.com", Subject: "Shall we talk?", ...fields });

interface Delivery {
  readonly status?: string;
  readonly action?: string;
  readonly recipient?: string;
  readonly more?: string;
  readonly returned?: string;
  readonly type?: string;
  readonly returnedType?: string;
}

/** A delivery report (RFC 3464). */
export const deliveryReport = ({
  status = "5.1.1",
  action = "failed",
  recipient = "rfc822; ada@example.com",
  more = "",
  returned = "",
  type = "message/delivery-status",
  returnedType = "message/rfc822",
}: Delivery): string =>
  partsOf("multipart/report; report-type=delivery-status", FROM_A_SERVER, [
    ["text/plain", "I'm sorry to have to inform you that your message could not be delivered."],
    [
      type,
      `Reporting-MTA: dns; mx.example.com\r\nArrival-Date: Fri, 20 Nov 2026 08:59:00 +0000\r\n\r\n` +
        `Final-Recipient: ${recipient}\r\nAction: ${action}\r\n${status && `Status: ${status}\r\n`}${more}`,
    ],
    [returnedType, returned],
  ]);

/** A complaint of a feedback loop (RFC 5965). */
export const complaintReport = (feedbackType: string, returned: string): string =>
  partsOf("multipart/report; report-type=feedback-report", { ...FROM_A_SERVER, Subject: "FW: Shall we talk?" }, [
    ["text/plain", "This is an email abuse report."],
    [
      "message/feedback-report",
      `Feedback-Type: ${feedbackType}\r\nUser-Agent: a feedback loop\r\nVersion: 1\r\n` +
        "Original-Mail-From: <hello@northwind.example>\r\nOriginal-Rcpt-To: <ada@example.com>\r\n",
    ],
    ["message/rfc822", returned],
  ]);
