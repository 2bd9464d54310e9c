import { isSender, readAddress } from "./address.ts";
import { isGiven, LEAD_COLUMNS, type LeadKey } from "./lead-columns.ts";

/** The columns of a lead that replace parts of the workspace's sender. */
export const SENDER_KEYS = ["senderName", "senderEmail", "replyTo"] as const satisfies readonly LeadKey[];

/** The person who follows up a lead. Null and blank values stand for those of the workspace. */
export type OwnSender = Readonly<Record<(typeof SENDER_KEYS)[number], string | null>>;

export const ownSenderOf = ({ senderName, senderEmail, replyTo }: OwnSender): OwnSender => ({
  senderName,
  senderEmail,
  replyTo,
});

/** The error of the first column that must not be in a header, without its value; undefined if there is none. */
export function ownSenderFault({ senderName, senderEmail, replyTo }: OwnSender): string | undefined {
  if (isGiven(senderEmail) && bareAddress(senderEmail) === undefined) return faultOf("senderEmail", NOT_ONE_ADDRESS);
  if (isGiven(replyTo) && bareAddress(replyTo) === undefined) return faultOf("replyTo", NOT_ONE_ADDRESS);
  if (isGiven(senderName) && /\p{Cc}/u.test(senderName)) return faultOf("senderName", "contains control characters");
  return undefined;
}

const NOT_ONE_ADDRESS = "is not exactly one address without a name";
const faultOf = (key: LeadKey, what: string): string => `${LEAD_COLUMNS[key].column} ${what}`;

/** The address in `text`, or undefined unless the text is exactly one address without a name. */
export function bareAddress(text: string): string | undefined {
  const read = readAddress(text);
  return "address" in read && read.name === null ? read.address : undefined;
}

/** One address; the name may be empty. */
export interface Mailbox {
  readonly name: string;
  readonly address: string;
}

/**
 * The sender of an e-mail: the lead's own values, else those of the workspace's `email_from`. The workspace's name never
 * stands before a lead's own address. Undefined if the address that is used is invalid.
 */
export function mailboxOf({ senderName, senderEmail }: OwnSender, emailFrom: string): Mailbox | undefined {
  const own = isGiven(senderEmail) ? bareAddress(senderEmail) : undefined;
  const workspace = isGiven(senderEmail) ? undefined : workspaceMailbox(emailFrom);
  const address = own ?? workspace?.address;
  return address === undefined
    ? undefined
    : { name: isGiven(senderName) ? senderName.trim() : (workspace?.name ?? ""), address };
}

/** The mailbox in `email_from`, or undefined if it is invalid. */
export function workspaceMailbox(emailFrom: string): Mailbox | undefined {
  const read = isSender(emailFrom) ? readAddress(emailFrom) : undefined;
  return read && "address" in read ? { name: read.name ?? "", address: read.address } : undefined;
}
