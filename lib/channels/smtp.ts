import type { Readable } from "node:stream";
import nodemailer from "nodemailer";
import * as z from "zod";
import type { SendOutcome } from "../run/channel-ports.ts";
import { PROVIDER_LIMITS } from "./aws-request.ts";
import { type EmailChannel, type EmailOptions, emailChannel, type MailTags } from "./mail.ts";
import { outcomeOfMeaning } from "./meaning.ts";
import { meaningOfAnswer, type SmtpAnswer, type SmtpStage } from "./smtp-answers.ts";

interface SmtpOptions extends EmailOptions {
  /** Allows credentials over a connection without TLS. */
  readonly plaintext?: boolean;
  /** Pool size. Set it to the number of concurrent sends, so that no mail waits for a connection. */
  readonly connections?: number;
  /** As for SES. Ignored by other servers. */
  readonly configurationSet?: string | undefined;
}

/**
 * E-mail over SMTP. The URL looks like `smtps://user:password@host:465`. Sends share pooled connections. `smtp:` with
 * credentials requires STARTTLS, unless `plaintext` is set.
 */
export function smtpChannel(
  url: string,
  { limits = PROVIDER_LIMITS, unsubscribeMailto, configurationSet, ...pool }: SmtpOptions = {},
): EmailChannel {
  const server = new URL(url);
  const transport = pooledTransport(server, { limits, ...pool });
  const bodies = new WeakMap<AbortSignal, Readable>();
  transport.use("stream", ({ data: { signal }, message }, compiled) => {
    message.processFunc((body: Readable) => {
      if (signal) bodies.set(signal, body);
      return body;
    });
    compiled();
  });
  return emailChannel(async (mail, _id, tags) => {
    // Bounds the whole dialogue: a server that trickles responses never hits the socket timeout.
    const signal = AbortSignal.timeout(limits.connectMs + limits.answerMs);
    try {
      const headers = { ...mail.headers, ...sesHeaders(server.hostname, tags, configurationSet) };
      const { messageId, serverMessageId } = await transport.sendMail({ ...mail, headers, signal });
      // SES and Microsoft 365 replace the Message-ID. Recipients answer the replacement.
      return { kind: "accepted", providerId: serverMessageId ?? messageId };
    } catch (thrown) {
      return outcomeOf(thrown, bodies.get(signal));
    }
  }, unsubscribeMailto);
}

function pooledTransport(
  { hostname, port, protocol, username, password }: URL,
  { limits, plaintext = false, connections = 10 }: SmtpOptions & Required<Pick<SmtpOptions, "limits">>,
) {
  const secure = protocol === "smtps:";
  return nodemailer.createTransport({
    pool: true,
    maxConnections: connections,
    // One requeue, for a pooled connection that died.
    maxRequeues: 1,
    host: hostname,
    port: Number(port) || (secure ? 465 : 587),
    secure,
    requireTLS: !secure && username !== "" && !plaintext,
    ...(username && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: limits.connectMs,
    greetingTimeout: limits.connectMs,
    socketTimeout: limits.answerMs,
  });
}

/** A regional SMTP endpoint of SES, or a VPC endpoint for one. */
const SES_HOST = /(^|\.)email-smtp(-fips)?\.[a-z0-9-]+\.(vpce\.)?amazonaws\.(com|com\.cn|eu)$/i;

/**
 * The headers by which SES learns the tags and the configuration set of a mail over SMTP; SES removes them. None for
 * other servers. SES Developer Guide, "Specify your configuration set when you send email".
 */
export function sesHeaders(host: string, tags: MailTags, configurationSet?: string) {
  if (!SES_HOST.test(host)) return {};
  const list = Object.entries(tags).map(([name, value]) => `${name}=${value}`);
  return {
    // Prepared: nodemailer would fold the list, which is documented on one line.
    "X-SES-MESSAGE-TAGS": { prepared: true, value: list.join(", ") },
    ...(configurationSet !== undefined && { "X-SES-CONFIGURATION-SET": { prepared: true, value: configurationSet } }),
  };
}

const label = z.string().regex(/^[A-Z_0-9]{1,60}$/);

const faultSchema = z.looseObject({
  code: label.catch("NO_ANSWER"),
  /** The system or TLS error code; `code` is nodemailer's error class. */
  originalCode: label.optional().catch(undefined),
  command: z.string().catch(""),
  timeoutType: label.optional().catch(undefined),
  syscall: z.string().optional().catch(undefined),
  responseCode: z.number().optional().catch(undefined),
  response: z.string().optional().catch(undefined),
});
type Fault = z.infer<typeof faultSchema>;

/**
 * The outcome of a failed send. With a response, the tables decide. Without one:
 *
 * - Before the session is established: the channel is down.
 * - Before the body is fully read: retry, because the final dot cannot have been sent.
 * - After that: unknown.
 */
function outcomeOf(thrown: unknown, body: Readable | undefined): SendOutcome {
  const fault = faultSchema.parse(thrown);
  const { code, originalCode, command, timeoutType, responseCode = 0, response = "" } = fault;
  if (responseCode >= 400 && responseCode < 600) {
    const [, status = "", text = ""] = /^\d{3}[ -](?:(\d\.\d{1,3}\.\d{1,3})(?:\s|$))?(.*)/.exec(response) ?? [];
    return outcomeOfAnswer({ stage: stageOf(fault, body), code: responseCode, status, text });
  }
  const reason = code === "EABORT" ? "smtp_deadline" : `smtp_${(timeoutType ?? originalCode ?? code).toLowerCase()}`;
  // Larger than the server's announced SIZE limit.
  if (code === "EMESSAGE" && command === "MAIL FROM") return { kind: "refused", reason: "too_large", notAsked: true };
  if (code === "EENVELOPE" && command === "API") return { kind: "refused", reason: "invalid_address", notAsked: true };
  if (!sessionStood(fault, body)) return { kind: "channel_down", scope: "channel", reason };
  return { kind: body?.readableEnded ? "unknown" : "retry", reason };
}

function outcomeOfAnswer(answer: SmtpAnswer): SendOutcome {
  const { code, status } = answer;
  const reason = ["smtp", code, ...status.split(".")].filter((part) => part !== "").join("_");
  return outcomeOfMeaning(meaningOfAnswer(answer), reason);
}

/** Errors that occur before any mail is sent, even if the previous connection was established. */
const BEFORE_ANY_MAIL = new Set([
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
]);

/** nodemailer reads the body only after the session is established and any login has succeeded. */
const sessionStood = ({ code, timeoutType = "", syscall }: Fault, body: Readable | undefined): boolean =>
  body !== undefined && syscall !== "connect" && !BEFORE_ANY_MAIL.has(code) && !BEFORE_ANY_MAIL.has(timeoutType);

function stageOf(fault: Fault, body: Readable | undefined): SmtpStage {
  const { code, command } = fault;
  if (command === "MAIL FROM") return "sender";
  if (command === "RCPT TO") return "recipient";
  if (command === "DATA") return code === "EMESSAGE" ? "message" : "data";
  return sessionStood(fault, body) ? "sender" : "session";
}
