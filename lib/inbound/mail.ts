import { createHash } from "node:crypto";
import { DIGEST_HEADER, TOUCH_HEADER } from "../domain/mail-marks.ts";
import { addressesIn, messageIdsIn, type ReceivedMail, readMail } from "./received-mail.ts";
import { reportIn, returnedIn } from "./reports.ts";

/** The meaning of a mail, if it concerns a touch or a lead. */
type MailMeaning =
  | { readonly kind: "reply" | "opt_out" | "complaint" }
  | { readonly kind: "bounce"; readonly bounce: "permanent" | "transient" };

/** The marks by which a mail names its touch or lead. The first that is known counts. */
export interface MailMarks {
  readonly touchIds: readonly string[];
  /** In angle brackets. */
  readonly messageIds: readonly string[];
  /** The person's: senders of a reply, or recipients that a report names. */
  readonly addresses: readonly string[];
  /** Workspaces that a plus tag in the mail's recipient names. */
  readonly workspaceIds: readonly string[];
}

export type ClassifiedMail =
  | { readonly kind: "ignored"; readonly reason: string }
  | {
      readonly kind: "news";
      readonly meaning: MailMeaning;
      readonly marks: MailMarks;
      readonly eventId: string;
      readonly occurredAt: Date;
    };

/**
 * Classifies a received mail by its header and its reports; what a person wrote is not read. `receivedAt` is when SES
 * received it. The event id derives from the Message-ID, so copies of one mail count once.
 */
export async function classifyMail(raw: Uint8Array | string, receivedAt: Date): Promise<ClassifiedMail> {
  const mail = await readMail(raw);
  if (!mail) return ignored("unreadable_mail");
  if ([TOUCH_HEADER, DIGEST_HEADER].some((header) => mail.headers(header.toLowerCase()).length > 0))
    return ignored("own_mail");
  const found = (await reported(mail)) ?? optedOut(mail) ?? replied(mail);
  if ("reason" in found) return ignored(found.reason);
  const workspaceIds = recipientsOf(mail).flatMap((recipient) => PLUS_TAG.exec(recipient)?.[1]?.toLowerCase() ?? []);
  return {
    kind: "news",
    meaning: found.meaning,
    marks: { ...found.marks, workspaceIds: [...new Set(workspaceIds)] },
    eventId: eventIdOf(mail, raw),
    occurredAt: dateOf(mail, receivedAt),
  };
}

type Found =
  | { readonly meaning: MailMeaning; readonly marks: Omit<MailMarks, "workspaceIds"> }
  | { readonly reason: string };

/** A report concerns the mail that it returns. */
async function reported(mail: ReceivedMail): Promise<Found | undefined> {
  const report = reportIn(mail);
  if (!report) return undefined;
  if (report.kind === "nothing") return { reason: "report_without_effect" };
  const { addresses, ...meaning } = report;
  const returned = await readMail(returnedIn(mail) ?? "");
  const messageIds = returned?.headers("message-id").flatMap(messageIdsIn) ?? [];
  const touchIds = returned?.headers(TOUCH_HEADER.toLowerCase()).flatMap((value) => UUID.exec(value)?.[0] ?? []) ?? [];
  const answered = answeredBy(mail);
  return {
    meaning,
    marks: {
      touchIds: [...touchIds, ...touchIdsIn(messageIds), ...answered.touchIds],
      messageIds: [...messageIds, ...answered.messageIds],
      addresses: addresses.slice(0, MOST_IDS),
    },
  };
}

/** Our List-Unsubscribe address asks for this subject. */
const UNSUBSCRIBE = /^\s*unsubscribe\s+([0-9a-f-]{36})\s*$/i;

function optedOut({ subject }: ReceivedMail): Found | undefined {
  const [, touchId] = UNSUBSCRIBE.exec(subject) ?? [];
  if (touchId === undefined || !UUID.test(touchId)) return undefined;
  return { meaning: { kind: "opt_out" }, marks: { touchIds: [touchId], messageIds: [], addresses: [] } };
}

function replied(mail: ReceivedMail): Found {
  if (isAutomatic(mail)) return { reason: "automatic_reply" };
  return { meaning: { kind: "reply" }, marks: { ...answeredBy(mail), addresses: sendersOf(mail) } };
}

/** More than the thread of any sequence has, and than a mail has senders. Bounds the search for a hostile mail. */
const MOST_IDS = 100;

function answeredBy(mail: ReceivedMail) {
  const references = mail.headers("references").flatMap(messageIdsIn);
  const messageIds = [...mail.headers("in-reply-to").flatMap(messageIdsIn), ...references.slice(-MOST_IDS)];
  return { messageIds, touchIds: touchIdsIn(messageIds) };
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

/** Our own Message-IDs start with the touch id. */
const touchIdsIn = (messageIds: readonly string[]): readonly string[] =>
  messageIds.flatMap((id) => new RegExp(`^<(${UUID.source})@`, "i").exec(id)?.[1] ?? []);

/** Fields in which forwarders that rewrite the sender keep it. The first that is present counts. */
const SENDER_FIELDS = ["x-original-from", "x-original-sender", "from", "sender"];

/** The author comes first, then the addresses for answers. */
function sendersOf(mail: ReceivedMail): readonly string[] {
  const [author = []] = SENDER_FIELDS.map((field) => mail.headers(field).flatMap(addressesIn)).filter(
    (addresses) => addresses.length > 0,
  );
  return [...new Set([...author, ...mail.headers("reply-to").flatMap(addressesIn)])].slice(0, MOST_IDS);
}

/** Includes fields that forwarders and servers add, because a copy may name the address nowhere else. */
const RECIPIENT_FIELDS = ["to", "cc", "delivered-to", "x-original-to", "x-forwarded-to", "envelope-to"];
const PLUS_TAG = new RegExp(`^[^@]*\\+(${UUID.source})@`, "i");

const recipientsOf = (mail: ReceivedMail): readonly string[] => [
  ...RECIPIENT_FIELDS.flatMap((field) => mail.headers(field).flatMap(addressesIn)),
  ...mail.headers("received").flatMap((value) => /\bfor\s+<?([^\s<>;]+)/i.exec(value)?.[1] ?? []),
];

function eventIdOf(mail: ReceivedMail, raw: Uint8Array | string): string {
  const [messageId] = mail.headers("message-id").flatMap(messageIdsIn);
  return `mail:${createHash("sha256")
    .update(messageId ?? raw)
    .digest("hex")}`;
}

/** How long a mailbox may take to forward a mail. */
const LONGEST_WAY_MS = 7 * 24 * 60 * 60_000;

/** When it was written, or when it was received if its date is missing or implausible. */
function dateOf(mail: ReceivedMail, receivedAt: Date): Date {
  const written = Date.parse(mail.headers("date")[0] ?? "");
  const way = receivedAt.getTime() - written;
  return way >= 0 && way <= LONGEST_WAY_MS ? new Date(written) : receivedAt;
}

const ignored = (reason: string): ClassifiedMail => ({ kind: "ignored", reason });

/** A header field by which programs mark a mail that no person wrote, and the values that mean so. */
type Mark = readonly [field: string, value: RegExp];

const ANY = /\S/;
const MACHINE = /^\s*(bulk|junk|auto[_-]?reply)\b/i;

/**
 * RFC 3834, and what mail programs without it write. Sources: arp242.net/autoreply.html, and the wiki page "Detecting
 * autoresponders" of jpmckinney/multi_mail.
 *
 * Fields that personal mails have as well are no marks: `List-Unsubscribe` of sales programs, `Precedence: list` of a
 * group that shares a mailbox, a wish for no automatic answers (`X-Auto-Response-Suppress`), and what a redirecting
 * mailbox adds (`X-MS-Exchange-Inbox-Rules-Loop`, a null `Return-Path`).
 */
const MARKS: readonly Mark[] = [
  ["x-autoreply", /^\s*(?!no\b)\S/i],
  ["x-autorespond", ANY],
  ["x-autoresponse", ANY],
  ["x-autoreply-from", ANY],
  ["x-mail-autoreply", ANY],
  ["x-autogenerated", ANY],
  ["x-fc-machinegenerated", /true/i],
  ["x-post-messageclass", /autoresponder/i],
  ["x-failed-recipients", ANY],
  ["delivered-to", /^\s*autoresponder/i],
  ["precedence", MACHINE],
  ["x-precedence", MACHINE],
  ["preference", /auto_reply/i],
];

/** Some forwarders write `auto-forwarded`. They send on what a person wrote. */
const SUBMITTED: Mark = ["auto-submitted", /^\s*(?!(no|auto-forwarded)\b)\S/i];
/** A mailbox of Exchange writes it into mails that its rules send, also into those that it only redirects. */
const BY_RULES: readonly Mark[] = [
  ["x-ms-exchange-generated-message-source", /mailbox rules agent/i],
  ["x-ms-exchange-inbox-rules-loop", ANY],
];
/** Exchange adds it to its own answers, and not to what it redirects. */
const ASKS_FOR_NO_ANSWER: Mark = ["x-auto-response-suppress", /\ball\b/i];
/** Exchange also writes this into mails that a rule redirects: https://github.com/zammad/zammad/issues/6025 */
const GENERATED = /^\s*auto-generated\b/i;

const MACHINES = /^(mailer-daemon|postmaster|mail-daemon)@/i;

/**
 * Subjects of Exchange in the languages of Outlook, and of common vacation programs. Only at the start, and with a
 * colon: people write such words too.
 */
const SUBJECTS = [
  "out of (the )?office( auto-?reply)?|auto(matic)?[- ]?(reply|response)",
  "automatische antwort|abwesenheitsnotiz|automatisch antwoord",
  "réponse automatique|respuesta automática|risposta automatica|resposta autom[áà]tica|răspuns automat",
  "automatiskt svar|automatisk svar|autosvar|automaattinen vastaus",
  "odpowiedź automatyczna|automatická odpověď|automatická odpoveď|samodejni odgovor|automatski odgovor",
  "automatikus válasz|otomatik (yanıt|cevap)|αυτόματη απάντηση",
  "автоматический ответ|автоответ|автоматична відповідь|автоматичен отговор",
  "自動応答|自动答复|自動回覆|자동 회신",
];
const SUBJECT = new RegExp(`^\\s*(${SUBJECTS.join("|")})\\s*[:：]`, "iu");

/** Whether a program sent the mail: an out-of-office reply, a confirmation of receipt, or a bounce in plain text. */
function isAutomatic(mail: ReceivedMail): boolean {
  const has = ([field, value]: Mark) => mail.headers(field).some((text) => value.test(text));
  const byRules = BY_RULES.some(has);
  if (byRules && has(ASKS_FOR_NO_ANSWER)) return true;
  if (mail.headers(SUBMITTED[0]).some((text) => SUBMITTED[1].test(text) && !(byRules && GENERATED.test(text))))
    return true;
  return (
    MARKS.some(has) ||
    mail.headers("from").some((from) => addressesIn(from).some((address) => MACHINES.test(address))) ||
    SUBJECT.test(mail.subject.normalize("NFC"))
  );
}
