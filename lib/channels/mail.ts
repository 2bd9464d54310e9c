import { encodeWord } from "nodemailer/lib/mime-funcs";
import { addressToSend, readAddress } from "../domain/address.ts";
import { digestMail } from "../domain/digest.ts";
import { isGiven } from "../domain/lead-columns.ts";
import { DIGEST_HEADER, TOUCH_HEADER, TOUCH_TAG, WORKSPACE_TAG } from "../domain/mail-marks.ts";
import { bareAddress, type Mailbox, mailboxOf, ownSenderFault, workspaceMailbox } from "../domain/sender.ts";
import type {
  DigestSender,
  FaultScope,
  MessageChannel,
  OutgoingDigest,
  OutgoingTouch,
  SendOutcome,
} from "../run/channel-ports.ts";
import type { TimeLimits } from "./aws-request.ts";

/** One transport for both touches and digests. */
export interface EmailChannel extends MessageChannel {
  readonly digests: DigestSender;
}

export interface EmailOptions {
  readonly limits?: TimeLimits;
  /** Mail to this address unsubscribes. The subject contains the touch id. */
  readonly unsubscribeMailto?: string | undefined;
}

/**
 * The tags of a mail, which SES repeats in the mail's events. Names and values are ids: SES accepts ASCII letters,
 * digits, `_` and `-` (API reference, MessageTag).
 */
export type MailTags = Readonly<Record<string, string>>;

/** Builds an e-mail channel from a function that sends one mail. */
export function emailChannel(
  sendMail: (mail: Mail, id: string, tags: MailTags) => Promise<SendOutcome>,
  unsubscribeMailto: string | undefined,
): EmailChannel {
  return {
    async send(touch) {
      const { email, from, ownSender, id } = touch;
      if (!email) return { kind: "refused", reason: "no_email", notAsked: true };
      const to = addressToSend(email);
      if (to === undefined) return UNDELIVERABLE;
      if (ownSenderFault(ownSender) !== undefined) return invalidSender("sender");
      const sender = mailboxOf(ownSender, from);
      if (!sender) return invalidSender("workspace");
      const tags = { [TOUCH_TAG]: id, [WORKSPACE_TAG]: touch.workspaceId };
      const outcome = await sendMail(mailOf(touch, sender, to, unsubscribeMailto), id, tags);
      return isGiven(ownSender.senderEmail) ? aboutOwnSender(outcome) : outcome;
    },
    digests: {
      async send(digest, receiver) {
        const to = readAddress(receiver);
        if ("fault" in to) return UNDELIVERABLE;
        const sender = workspaceMailbox(digest.from);
        if (!sender) return invalidSender("workspace");
        return sendMail(digestMailOf(digest, sender, to.address), digest.id, { "backstop-digest": digest.id });
      },
    },
  };
}

const invalidSender = (scope: FaultScope): SendOutcome => ({ kind: "channel_down", scope, reason: "invalid_sender" });

/** Narrows a fault of the workspace's sender to the lead's own sender, which the mail used. */
const aboutOwnSender = (outcome: SendOutcome): SendOutcome =>
  outcome.kind === "channel_down" && outcome.scope === "workspace" ? { ...outcome, scope: "sender" } : outcome;

/** Only exactly one address is accepted: nodemailer would parse other text into several. */
const UNDELIVERABLE = { kind: "refused", reason: "undeliverable_address", notAsked: true } as const;

export type Mail = ReturnType<typeof mailOf> | ReturnType<typeof digestMailOf>;

/** A touch as nodemailer mail options. */
function mailOf(touch: OutgoingTouch, sender: Mailbox, to: string, unsubscribeMailto: string | undefined) {
  const { headers, ...addresses } = addressesOf(sender, to);
  const replyTo = isGiven(touch.ownSender.replyTo) ? bareAddress(touch.ownSender.replyTo) : undefined;
  return {
    messageId: messageIdOf(touch.id, sender),
    ...threadHeaders(touch.thread),
    ...addresses,
    ...(replyTo !== undefined && { replyTo: { name: "", address: replyTo } }),
    subject: subjectOf(touch.message.subject ?? ""),
    text: touch.message.body,
    ...unsubscribeHeaders(touch, unsubscribeMailto),
    headers: {
      ...headers,
      [TOUCH_HEADER]: touch.id,
      // Not in `list`: nodemailer would format it as a URL. RFC 8058 section 3.1 requires an https URL beside it.
      ...(touch.unsubscribeUrl !== undefined && { "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" }),
    },
  };
}

/** A digest as nodemailer mail options. `Auto-Submitted` (RFC 3834) prevents automatic replies. */
function digestMailOf(digest: OutgoingDigest, sender: Mailbox, to: string) {
  const { subject, body, html } = digestMail(digest.contents);
  const { headers, ...addresses } = addressesOf(sender, to);
  return {
    messageId: messageIdOf(digest.id, sender),
    ...addresses,
    subject: subjectOf(subject),
    text: body,
    html,
    headers: { ...headers, [DIGEST_HEADER]: digest.id, "Auto-Submitted": "auto-generated" },
  };
}

/** Parsed addresses, because nodemailer parses text differently. */
const addressesOf = (sender: Mailbox, to: string) => ({
  ...fromOf(sender),
  to: { name: "", address: to },
  envelope: { from: sender.address, to },
});

/** Derived from the touch or delivery id, so that duplicates share one Message-ID. */
const messageIdOf = (id: string, { address }: Mailbox): string => `<${id}@${address.split("@").at(-1)}>`;

/** RFC 5322 section 3.6.4: In-Reply-To names the parent; References lists the thread, oldest first. */
function threadHeaders(thread: readonly string[]) {
  const references = thread.filter((id) => MESSAGE_ID.test(id));
  const inReplyTo = references.at(-1);
  return inReplyTo === undefined ? {} : { inReplyTo, references };
}

/** An RFC 5322 Message-ID. Provider ids from other transports do not match and are omitted. */
const MESSAGE_ID = /^<[^<>@\s]+@[^<>@\s]+>$/;

/** RFC 2369 section 3.2: lists the preferred way first. Without a way, there is no List-Unsubscribe header. */
function unsubscribeHeaders({ id, unsubscribeUrl }: OutgoingTouch, mailto: string | undefined) {
  const ways = [
    ...(unsubscribeUrl === undefined ? [] : [unsubscribeUrl]),
    ...(mailto === undefined ? [] : [`mailto:${mailto}?subject=unsubscribe%20${id}`]),
  ];
  return ways.length === 0 ? {} : { list: { unsubscribe: [ways] } };
}

/** RFC 5322 section 2.1.1: a line has at most 998 characters. This leaves room for the field's name and for escapes. */
const TOO_LONG_TO_FOLD = /\S{400}/;
/** The length of an encoded word that nodemailer also uses; RFC 2047 section 2 allows 75. */
const WORD_LENGTH = 52;

/**
 * Whether nodemailer would pass on text that must be encoded. It leaves valid encoded words as they are and quotes
 * them in names, and many mail programs decode both. It folds lines only at blanks.
 */
const isPassedOn = (text: string): boolean => text.includes("=?") || TOO_LONG_TO_FOLD.test(text);

/** A subject that mail programs show as written. RFC 2047 section 5: text that looks like an encoded word is encoded. */
const subjectOf = (text: string): string => (isPassedOn(text) ? encodeWord(text, "Q", WORD_LENGTH) : text);

/** A placeholder that nodemailer treats as plain text. */
const ENCODED_FROM = "X-Backstop-From";

/** The nodemailer options of a sender whose name mail programs show as written. */
function fromOf({ name, address }: Mailbox) {
  if (!isPassedOn(name)) return { from: { name, address }, headers: {} };
  // In `from`, nodemailer would quote the encoded words.
  return {
    headers: { [ENCODED_FROM]: `${encodeWord(name, "Q", WORD_LENGTH)} <${address}>` },
    normalizeHeaderKey: (key: string) => (key === ENCODED_FROM ? "From" : key),
  };
}
