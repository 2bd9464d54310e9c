import { addressToSend, isSender, readAddress } from "../domain/address.ts";
import { digestMail } from "../domain/digest.ts";
import type { DigestSender, MessageChannel, OutgoingDigest, OutgoingTouch, SendOutcome } from "../run/channel-ports.ts";
import type { TimeLimits } from "./aws-request.ts";

/** One transport for both touches and digests. */
export interface EmailChannel extends MessageChannel {
  readonly digests: DigestSender;
}

export interface EmailOptions {
  readonly limits?: TimeLimits;
  readonly unsubscribe?: Unsubscribe;
}

/** Builds an e-mail channel from a function that sends one mail. */
export function emailChannel(
  sendMail: (mail: Mail, id: string) => Promise<SendOutcome>,
  unsubscribe: Unsubscribe,
): EmailChannel {
  const send = async (from: string, mail: () => Mail, id: string): Promise<SendOutcome> => {
    if (!isSender(from)) return { kind: "channel_down", scope: "workspace", reason: "invalid_sender" };
    return sendMail(mail(), id);
  };
  return {
    async send(touch) {
      const { email, from, id } = touch;
      if (!email) return { kind: "refused", reason: "no_email", notAsked: true };
      const to = addressToSend(email);
      if (to === undefined) return UNDELIVERABLE;
      return send(from, () => mailOf(touch, to, unsubscribe), id);
    },
    digests: {
      async send(digest, receiver) {
        const to = readAddress(receiver);
        if ("fault" in to) return UNDELIVERABLE;
        return send(digest.from, () => digestMailOf(digest, to.address), digest.id);
      },
    },
  };
}

/** Only exactly one address is accepted: nodemailer would parse other text into several. */
const UNDELIVERABLE = { kind: "refused", reason: "undeliverable_address", notAsked: true } as const;

/** Ways to unsubscribe. Without either, mails have no List-Unsubscribe header. */
export interface Unsubscribe {
  /** An https URL containing `{touchId}` that accepts one-click unsubscribe POSTs (RFC 8058). */
  readonly url?: string | undefined;
  /** Mail to this address unsubscribes. The subject contains the touch id. */
  readonly mailto?: string | undefined;
}

export type Mail = ReturnType<typeof mailOf> | ReturnType<typeof digestMailOf>;

/** A touch as nodemailer mail options. */
function mailOf(touch: OutgoingTouch, to: string, unsubscribe: Unsubscribe) {
  return {
    messageId: messageIdOf(touch),
    ...threadHeaders(touch.thread),
    from: senderOf(touch.from),
    to: { name: "", address: to },
    subject: touch.message.subject ?? "",
    text: touch.message.body,
    ...unsubscribeHeaders(touch.id, unsubscribe),
    headers: {
      "X-Backstop-Touch": touch.id,
      // Not in `list`: nodemailer would format it as a URL. RFC 8058 section 3.1 requires an https URL beside it.
      ...(unsubscribe.url !== undefined && { "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" }),
    },
  };
}

/** A digest as nodemailer mail options. `Auto-Submitted` (RFC 3834) prevents automatic replies. */
function digestMailOf(digest: OutgoingDigest, to: string) {
  const { subject, body, html } = digestMail(digest.contents);
  return {
    messageId: messageIdOf(digest),
    from: senderOf(digest.from),
    to: { name: "", address: to },
    subject,
    text: body,
    html,
    headers: { "X-Backstop-Digest": digest.id, "Auto-Submitted": "auto-generated" },
  };
}

/** Derived from the touch or delivery id, so that duplicates share one Message-ID. */
function messageIdOf({ id, from }: Pick<OutgoingTouch, "id" | "from">): string {
  const sender = readAddress(from);
  return `<${id}@${"address" in sender ? sender.address.split("@").at(-1) : "localhost"}>`;
}

/** Parsed here because nodemailer parses addresses differently. */
function senderOf(from: string): string | { readonly name: string; readonly address: string } {
  const sender = readAddress(from);
  return "address" in sender ? { name: sender.name ?? "", address: sender.address } : from;
}

/** RFC 5322 section 3.6.4: In-Reply-To names the parent; References lists the thread, oldest first. */
function threadHeaders(thread: readonly string[]) {
  const references = thread.filter((id) => MESSAGE_ID.test(id));
  const inReplyTo = references.at(-1);
  return inReplyTo === undefined ? {} : { inReplyTo, references };
}

/** An RFC 5322 Message-ID. Provider ids from other transports do not match and are omitted. */
const MESSAGE_ID = /^<[^<>@\s]+@[^<>@\s]+>$/;

/** RFC 2369 section 3.2: lists the preferred way first. */
function unsubscribeHeaders(touchId: string, { url, mailto }: Unsubscribe) {
  const ways = [
    ...(url === undefined ? [] : [url.replaceAll("{touchId}", touchId)]),
    ...(mailto === undefined ? [] : [`mailto:${mailto}?subject=unsubscribe%20${touchId}`]),
  ];
  return ways.length === 0 ? {} : { list: { unsubscribe: [ways] } };
}
