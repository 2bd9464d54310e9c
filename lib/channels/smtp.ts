import type { Readable } from "node:stream";
import nodemailer from "nodemailer";
import * as z from "zod";
import type { SendOutcome } from "../run/channel-ports.ts";
import { PROVIDER_LIMITS } from "./aws-request.ts";
import { type EmailChannel, type EmailOptions, emailChannel, type MailTags } from "./mail.ts";
import type { Meaning } from "./meaning.ts";
import { outcomeOfMeaning } from "./meaning.ts";

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
  {
    limits = PROVIDER_LIMITS,
    unsubscribeMailto,
    plaintext = false,
    connections = 10,
    configurationSet,
  }: SmtpOptions = {},
): EmailChannel {
  const { hostname, port, protocol, username, password } = new URL(url);
  const secure = protocol === "smtps:";
  const transport = nodemailer.createTransport({
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
      const headers = { ...mail.headers, ...sesHeaders(hostname, tags, configurationSet) };
      const { messageId, serverMessageId } = await transport.sendMail({ ...mail, headers, signal });
      // SES and Microsoft 365 replace the Message-ID. Recipients answer the replacement.
      return { kind: "accepted", providerId: serverMessageId ?? messageId };
    } catch (thrown) {
      return outcomeOf(thrown, bodies.get(signal));
    }
  }, unsubscribeMailto);
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
  return outcomeOfMeaning(meaningOf(answer), reason);
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

/** The stage of the SMTP dialogue at which the server responded. */
type SmtpStage = "session" | "sender" | "recipient" | "data" | "message";

interface SmtpAnswer {
  readonly stage: SmtpStage;
  readonly code: number;
  /** The enhanced status code (RFC 3463), such as `5.1.1`; empty if the server sends none. */
  readonly status: string;
  /** The first line after the code. Never part of a reason. */
  readonly text: string;
}

type Row = Meaning & {
  readonly code?: RegExp;
  readonly status?: RegExp;
  /** Used only where the provider documents no distinct code. */
  readonly text?: RegExp;
  readonly stage?: readonly SmtpStage[];
};

const NO_STATUS = /^$/;
/** At these stages the response concerns a mail, not the session. */
const ENVELOPE = ["sender", "recipient", "data", "message"] as const;
const TEN_MINUTES = 10 * 60_000;
const AN_HOUR = 60 * 60_000;

/** Amazon SES, Developer Guide, "SMTP response codes returned by Amazon SES". It gives no enhanced status codes. */
const SES: readonly Row[] = [
  // "Errors related to the sending quotas": wait for up to ten minutes.
  { code: /^454$/, text: /^Throttling failure: Daily message quota exceeded/, means: "slow", waitMs: TEN_MINUTES },
  { code: /^454$/, status: NO_STATUS, stage: ENVELOPE, means: "slow", waitMs: null },
  { code: /^554$/, text: /^Access denied: User/, means: "down", scope: "workspace" },
  { code: /^554$/, text: /^Message rejected: Email address is not verified/, means: "down", scope: "workspace" },
  {
    code: /^554$/,
    text: /^Message rejected: Sending (suspended|paused) for this account/,
    means: "down",
    scope: "channel",
  },
  { code: /^554$/, text: /^Message rejected: Address blacklisted/, means: "undeliverable" },
];

/** Google Workspace Admin Help, "Gmail SMTP errors and codes" (answer 3726730). */
const GMAIL: readonly Row[] = [
  // Daily sending limit of the user or the relay; a later attempt can succeed.
  { code: /^550$/, status: /^5\.4\.5$/, means: "slow", waitMs: AN_HOUR },
  // The receiver gets mail too quickly, or the relay's peak limit is exceeded.
  { code: /^450$/, status: /^4\.2\.1$/, means: "slow", waitMs: null, ofReceiver: true },
  // Too many recipients. We send to one recipient, so this limit counts recipients per period.
  { code: /^452$/, status: /^4\.5\.3$/, means: "slow", waitMs: null, ofReceiver: true },
];

/** Exchange Online: "Message storage and concurrent connection throttling", "NDR codes in Exchange Online". */
const EXCHANGE: readonly Row[] = [
  // "432 4.3.2 Concurrent connections limit exceeded".
  { code: /^432$/, means: "slow", waitMs: null },
  {
    code: /^554$/,
    status: /^5\.2\.0$/,
    text: /SubmissionQuotaExceeded|RecipientRateLimit/,
    means: "slow",
    waitMs: AN_HOUR,
  },
  // Daily recipient limits: mailbox, tenant, trial tenant.
  { status: /^5\.1\.90$|^5\.7\.(232|233)$/, means: "slow", waitMs: AN_HOUR },
  // The mailbox may not send as this address, or the sender domain is not registered.
  { status: /^5\.7\.(60|750)$|^5\.2\.252$/, means: "down", scope: "workspace" },
  // The tenant sent too much spam, or its IP address is blocked.
  { status: /^5\.7\.(705|708)$/, means: "down", scope: "channel" },
];

/** RFC 5321, RFC 3463, RFC 4954 (authentication), RFC 3207 (STARTTLS), RFC 7505 (null MX), and Postgrey's 4.2.0. */
const STANDARD: readonly Row[] = [
  // The service closes the channel (RFC 5321 section 3.8). SES and Gmail use it for too many connections.
  { code: /^421$/, stage: ENVELOPE, means: "slow", waitMs: null },
  // Authentication is required, failed, or needs TLS (RFC 4954 section 6).
  { code: /^(530|534|535|538)$/, means: "down", scope: "channel" },
  // Session responses concern no particular mail.
  { code: /^4/, stage: ["session"], means: "down", scope: "channel", slow: true },
  { stage: ["session"], means: "down", scope: "channel" },
  // The system accepts no messages (4.3.2), the mail system is congested (4.4.5), or a policy defers mail (4.7.z).
  { code: /^4/, status: /^4\.(3\.2|4\.5)$/, means: "slow", waitMs: null },
  { code: /^4/, status: /^4\.7\.\d{1,3}$/, means: "slow", waitMs: null, ofReceiver: true },
  { code: /^450$/, status: /^4\.2\.0$/, means: "slow", waitMs: null, ofReceiver: true },
  // Bad sender address; many servers report it only after RCPT TO.
  { code: /^5/, status: /^5\.1\.[78]$/, means: "down", scope: "workspace", unless: "retry" },
  // Too large, or an unsupported parameter that this mail needs: concerns only this mail.
  { code: /^(552|555)$/, means: "refused" },
  { code: /^5/, stage: ["sender"], means: "down", scope: "workspace", unless: "retry" },
  // Bad mailbox, host, syntax, ambiguous, moved, null MX; disabled.
  { code: /^5/, status: /^5\.1\.([0-46]|10)$|^5\.2\.1$/, stage: ["recipient", "message"], means: "undeliverable" },
  // A policy that applies before the content, such as "relay access denied".
  { code: /^5/, status: /^5\.7\.\d{1,3}$/, stage: ["recipient"], means: "down", scope: "workspace", unless: "refused" },
  { code: /^5/, means: "refused" },
];

const ROWS = [...SES, ...GMAIL, ...EXCHANGE, ...STANDARD];

/** The meaning of a 4yz or 5yz response: the first matching row, otherwise `retry`. */
const meaningOf = (answer: SmtpAnswer): Meaning => ROWS.find((row) => fits(row, answer)) ?? { means: "retry" };

const fits = ({ code, status, text, stage }: Row, answer: SmtpAnswer): boolean =>
  (code?.test(String(answer.code)) ?? true) &&
  (status?.test(answer.status) ?? true) &&
  (text?.test(answer.text) ?? true) &&
  (stage?.includes(answer.stage) ?? true);
