import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SESv2Client, SendEmailCommand } from "@aws-sdk/client-sesv2";
import nodemailer from "nodemailer";
import * as z from "zod";
import type { MessageChannel, OutgoingTouch, SendOutcome } from "../run/ports.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/** A provider that is silent for so long will not tell what it did. */
const ANSWER_TIMEOUT_MS = 10_000;

/** E-mail over SMTP, such as `smtps://user:password@host:465`. Connections are kept between sends. */
export function smtpChannel(url: string): MessageChannel {
  const { hostname, port, protocol, username, password } = new URL(url);
  const transport = nodemailer.createTransport({
    pool: true,
    host: hostname,
    port: Number(port) || (protocol === "smtps:" ? 465 : 587),
    secure: protocol === "smtps:",
    ...(username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: ANSWER_TIMEOUT_MS,
  });
  return emailChannel((mail) => transport.sendMail(mail));
}

/** E-mail through Amazon SES, in the function's own region and with its own role. */
export function sesChannel(): MessageChannel {
  // The touch is what is tried again; a second retry inside the client would hide an outcome that nobody knows.
  const sesClient = new SESv2Client({ maxAttempts: 1 });
  const transport = nodemailer.createTransport({ SES: { sesClient, SendEmailCommand } });
  return emailChannel((mail) => transport.sendMail(mail));
}

/** E-mail as files, one `.eml` a touch, for a machine without a mail server. The same touch writes the same file. */
export function fileChannel(directory: string): MessageChannel {
  const composer = nodemailer.createTransport({ streamTransport: true, buffer: true, newline: "unix" });
  return emailChannel(async (mail) => {
    const { message } = await composer.sendMail(mail);
    await mkdir(directory, { recursive: true });
    const name = `${mail.headers["X-Backstop-Touch"]}.eml`;
    // Renamed into place, so that nobody ever reads half a mail.
    await writeFile(join(directory, `${name}.part`), z.instanceof(Buffer).parse(message));
    await rename(join(directory, `${name}.part`), join(directory, name));
    return { messageId: `file:${name}` };
  });
}

type Mail = ReturnType<typeof mailOf>;

function emailChannel(sendMail: (mail: Mail) => Promise<{ messageId?: string | undefined }>): MessageChannel {
  return {
    async send(touch) {
      if (!touch.email) return { kind: "refused", reason: "no_email" };
      try {
        const { messageId } = await sendMail(mailOf(touch, touch.email));
        return { kind: "accepted", providerId: messageId ?? touch.id };
      } catch (thrown) {
        return outcomeOf(thrown);
      }
    },
  };
}

function mailOf(touch: OutgoingTouch, to: string) {
  const domain = touch.from.split("@").at(-1)?.replace(/[>\s]/g, "") ?? "localhost";
  return {
    messageId: `<${touch.id}@${domain}>`,
    from: touch.from,
    to,
    subject: touch.message.subject ?? "",
    text: touch.message.body,
    headers: { "X-Backstop-Touch": touch.id },
  };
}

const faultSchema = z.looseObject({
  code: z.string().catch("no_answer"),
  timeoutType: z.string().optional().catch(undefined),
  syscall: z.string().optional().catch(undefined),
  responseCode: z.number().optional().catch(undefined),
  $metadata: z.looseObject({ httpStatusCode: z.number().optional() }).optional().catch(undefined),
});

/** Faults that come before any mail can have left: no address, no connection, no greeting, no login. */
const BEFORE_THE_MAIL = new Set([
  "EDNS",
  "ETLS",
  "EAUTH",
  "ENOAUTH",
  "EOAUTH2",
  "EPROXY",
  "ECONFIG",
  "CONNECT_TIMEOUT",
  "GREETING_TIMEOUT",
  "UPGRADE_TIMEOUT",
  "CredentialsProviderError",
]);

/**
 * An answer decides: SMTP reply codes after RFC 5321 section 4.2.1 (4yz passing, 5yz for good), HTTP status codes for
 * SES. Without an answer the mail may have gone out, unless the fault is one that comes before any can have.
 */
function outcomeOf(thrown: unknown): SendOutcome {
  const { code, timeoutType = "", syscall, responseCode, $metadata } = faultSchema.parse(thrown);
  const status = $metadata?.httpStatusCode;
  if (responseCode) return { kind: responseCode >= 500 ? "refused" : "retry", reason: `smtp_${responseCode}` };
  if (status) return { kind: status === 429 || status >= 500 ? "retry" : "refused", reason: `ses_${status}` };
  if (code === "EENVELOPE") return { kind: "refused", reason: "invalid_address" };
  const neverLeft = syscall === "connect" || BEFORE_THE_MAIL.has(code) || BEFORE_THE_MAIL.has(timeoutType);
  return { kind: neverLeft ? "retry" : "unknown", reason: (timeoutType || code).toLowerCase() };
}
