import type { ReceivedMail } from "./received-mail.ts";

/** RFC 3463: the mailbox or its domain does not exist, has moved, accepts no mail, or is disabled. */
export const isNoSuchAddress = (status: string): boolean => /^5\.(1\.([0-46]|10)|2\.1)$/.test(status);

/**
 * RFC 3463: a full mailbox, a mail that is too large or too old, a loop, its contents, or a policy. They concern this
 * mail or pass, so the address may still receive others. SES counts them as transient too.
 */
const NOT_THE_ADDRESS = /^5\.(2\.[23]|3\.4|4\.[67]|6\.\d{1,3}|7\.\d{1,3})$/;

/** Feedback types that are no complaint of a person: RFC 5965 section 7.3, RFC 6591. */
const NO_COMPLAINT = new Set(["not-spam", "auth-failure", "dmarc"]);
export const isComplaint = (feedbackType: string): boolean => !NO_COMPLAINT.has(feedbackType.trim().toLowerCase());

/** A mail server's report about a mail of ours. */
type MailReport =
  | { readonly kind: "bounce"; readonly bounce: "permanent" | "transient"; readonly addresses: readonly string[] }
  | { readonly kind: "complaint"; readonly addresses: readonly string[] }
  /** Delayed, delivered, read, or not spam. */
  | { readonly kind: "nothing" };

/**
 * The report in a mail: a delivery report (RFC 3464, RFC 6533), a complaint (RFC 5965) or a receipt (RFC 8098).
 * Undefined if it has none.
 */
export function reportIn({ parts }: ReceivedMail): MailReport | undefined {
  for (const { type, text } of parts) {
    if (DELIVERY_STATUS.has(type)) return deliveryReport(groupsIn(text));
    if (type === "message/feedback-report") return feedbackReport(groupsIn(text));
    if (RECEIPT.has(type)) return { kind: "nothing" };
  }
  return undefined;
}

const DELIVERY_STATUS = new Set(["message/delivery-status", "message/global-delivery-status"]);
const RECEIPT = new Set(["message/disposition-notification", "message/global-disposition-notification"]);
const RETURNED = new Set(["message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"]);

/** The mail that a report returns, or its header. */
export const returnedIn = ({ parts }: ReceivedMail): string | undefined =>
  parts.find(({ type }) => RETURNED.has(type))?.text;

/** The values of a field in a group of a report, by lower-case name. */
type Group = ReadonlyMap<string, readonly string[]>;

function deliveryReport(groups: readonly Group[]): MailReport {
  const failed = groups.filter((group) => /^failed\b/i.test(first(group, "action")));
  if (failed.length === 0) return { kind: "nothing" };
  const bounce = failed.some((group) => isPermanent(statusOf(group))) ? "permanent" : "transient";
  // Not the original recipient, which may be an alias of several people.
  return { kind: "bounce", bounce, addresses: failed.flatMap((group) => recipientsIn(group, "final-recipient")) };
}

const isPermanent = (status: string): boolean => status.startsWith("5.") && !NOT_THE_ADDRESS.test(status);

/** The status, or the more precise one in the answer of the receiving server. */
function statusOf(group: Group): string {
  const [status = ""] = STATUS.exec(first(group, "status")) ?? [];
  if (status !== "" && !status.endsWith(".0.0")) return status;
  const answer = first(group, "diagnostic-code");
  const [answered] = STATUS.exec(answer) ?? [];
  return answered ?? (NO_SPACE.test(answer) ? MAILBOX_FULL : status);
}

const STATUS = /(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])/;
/** RFC 5321 section 4.2.2: exceeded storage allocation. */
const NO_SPACE = /^(smtp;)?\s*552\b/i;
const MAILBOX_FULL = "5.2.2";

function feedbackReport(groups: readonly Group[]): MailReport {
  const [group = new Map()] = groups;
  if (!isComplaint(first(group, "feedback-type"))) return { kind: "nothing" };
  return { kind: "complaint", addresses: recipientsIn(group, "original-rcpt-to") };
}

const first = (group: Group, field: string): string => group.get(field)?.[0] ?? "";

/** `rfc822; <ada@example.com>`: an address type, then the address, which some servers put into angle brackets. */
const recipientsIn = (group: Group, field: string): readonly string[] =>
  (group.get(field) ?? []).map((value) => value.replace(/^[\w-]+;/, "").trim());

/** More fields than any report about one mail has. */
const MOST_LINES = 2_000;

/** Groups of header fields, separated by empty lines. */
function groupsIn(text: string): readonly Group[] {
  const groups: Map<string, string[]>[] = [];
  let group: Map<string, string[]> | undefined;
  for (const line of unfolded(text)) {
    const [, name, value = ""] = /^([\w-]{1,60})[ \t]*:(.*)$/.exec(line) ?? [];
    if (line.trim() === "") group = undefined;
    if (name === undefined) continue;
    if (!group) {
      group = new Map<string, string[]>();
      groups.push(group);
    }
    const key = name.toLowerCase();
    group.set(key, [...(group.get(key) ?? []), value.trim()]);
  }
  return groups;
}

const unfolded = (text: string): readonly string[] =>
  text
    .replaceAll(/\r\n?/g, "\n")
    .replaceAll(/\n[ \t]+(?=\S)/g, " ")
    .split("\n", MOST_LINES);
