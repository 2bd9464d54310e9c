import type { Meaning } from "./meaning.ts";

/** The stage of the SMTP dialogue at which the server responded. */
export type SmtpStage = "session" | "sender" | "recipient" | "data" | "message";

export interface SmtpAnswer {
  readonly stage: SmtpStage;
  readonly code: number;
  /** The enhanced status code (RFC 3463), such as `5.1.1`; empty if the server sends none. */
  readonly status: string;
  /** The first line after the code. Never part of a reason. */
  readonly text: string;
}

type AnswerRow = Meaning & {
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
const SES: readonly AnswerRow[] = [
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
const GMAIL: readonly AnswerRow[] = [
  // Daily sending limit of the user or the relay; a later attempt can succeed.
  { code: /^550$/, status: /^5\.4\.5$/, means: "slow", waitMs: AN_HOUR },
  // The receiver gets mail too quickly, or the relay's peak limit is exceeded.
  { code: /^450$/, status: /^4\.2\.1$/, means: "slow", waitMs: null, ofReceiver: true },
  // Too many recipients. We send to one recipient, so this limit counts recipients per period.
  { code: /^452$/, status: /^4\.5\.3$/, means: "slow", waitMs: null, ofReceiver: true },
];

/** Exchange Online: "Message storage and concurrent connection throttling", "NDR codes in Exchange Online". */
const EXCHANGE: readonly AnswerRow[] = [
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
const STANDARD: readonly AnswerRow[] = [
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
export const meaningOfAnswer = (answer: SmtpAnswer): Meaning =>
  ROWS.find((row) => fits(row, answer)) ?? { means: "retry" };

const fits = ({ code, status, text, stage }: AnswerRow, answer: SmtpAnswer): boolean =>
  (code?.test(String(answer.code)) ?? true) &&
  (status?.test(answer.status) ?? true) &&
  (text?.test(answer.text) ?? true) &&
  (stage?.includes(answer.stage) ?? true);
