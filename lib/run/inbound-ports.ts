import type { MailOwner } from "../inbound/inbound-facts.ts";
import type { MailMarks } from "../inbound/mail.ts";
import type { InboundText } from "../inbound/texts.ts";

/** Finds the leads of a message that names none. */
export interface InboundOwners {
  knowsTouch(workspaceId: string, touchId: string): Promise<boolean>;
  /** The ids of the workspaces that texted the number. */
  ofText(text: InboundText): Promise<readonly string[]>;
  /** `own_mail`: the mail is a copy of one that our side wrote. */
  ofMail(marks: MailMarks): Promise<readonly MailOwner[] | "own_mail">;
}

/** Mails that people sent, in a bucket. */
export interface ReceivedMails {
  readonly bucket: string;
  /** The start of a mail, with its header. Undefined if it has expired. Throws transient errors. */
  read(key: string): Promise<Uint8Array | undefined>;
}
