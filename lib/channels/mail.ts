import { readAddress } from "../domain/address.ts";
import { digestMail } from "../domain/digest.ts";
import type { OutgoingTouch } from "../run/delivery-ports.ts";
import type { OutgoingDigest } from "../run/digest-ports.ts";

/** Where a receiver can say that it wants no more; without both, mails do not say how. */
export interface Unsubscribe {
  /** An https URL with `{touchId}` in it, where a POST unsubscribes with one click (RFC 8058). */
  readonly url?: string | undefined;
  /** An address at which a mail unsubscribes. The subject names the touch. */
  readonly mailto?: string | undefined;
}

export type Mail = ReturnType<typeof mailOf> | ReturnType<typeof digestMailOf>;

/** A touch as nodemailer takes it. */
export function mailOf(touch: OutgoingTouch, to: string, unsubscribe: Unsubscribe) {
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
      // Not in `list`, where nodemailer would take it for a URL. RFC 8058 section 3.1: only beside an https URL.
      ...(unsubscribe.url !== undefined && { "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" }),
    },
  };
}

/** A digest as nodemailer takes it. The header of RFC 3834 keeps machines from answering it. */
export function digestMailOf(digest: OutgoingDigest, to: string) {
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

/** Made of the touch or delivery, so that a mail that comes twice can be known by it. */
function messageIdOf({ id, from }: Pick<OutgoingTouch, "id" | "from">): string {
  const sender = readAddress(from);
  return `<${id}@${"address" in sender ? sender.address.split("@").at(-1) : "localhost"}>`;
}

/** Taken apart, so that nodemailer does not parse the text in its own way. */
function senderOf(from: string): string | { readonly name: string; readonly address: string } {
  const sender = readAddress(from);
  return "address" in sender ? { name: sender.name ?? "", address: sender.address } : from;
}

/** RFC 5322 section 3.6.4: a reply names its parent, and in References the whole thread, oldest first. */
function threadHeaders(thread: readonly string[]) {
  const references = thread.filter((id) => MESSAGE_ID.test(id));
  const inReplyTo = references.at(-1);
  return inReplyTo === undefined ? {} : { inReplyTo, references };
}

/** What a receiver could find a mail by. Ids that other transports gave before are left out. */
const MESSAGE_ID = /^<[^<>@\s]+@[^<>@\s]+>$/;

/** RFC 2369 section 3.2: the ways to unsubscribe, the one that is liked best first. */
function unsubscribeHeaders(touchId: string, { url, mailto }: Unsubscribe) {
  const ways = [
    ...(url === undefined ? [] : [url.replaceAll("{touchId}", touchId)]),
    ...(mailto === undefined ? [] : [`mailto:${mailto}?subject=unsubscribe%20${touchId}`]),
  ];
  return ways.length === 0 ? {} : { list: { unsubscribe: [ways] } };
}
