import { readAddress } from "./address.ts";

/** The special characters of RFC 5322 and control characters, in a spelling that JavaScript and PostgreSQL share. */
const SPECIAL = String.raw`\[\]"(),:;<>@\\\x01-\x1f\x7f`;
const ADDRESS = String.raw`[^${SPECIAL}\s]+@[^${SPECIAL}\s]+`;
const NAME = String.raw`("([^"\\\x01-\x1f\x7f]|\\[^\x01-\x1f\x7f])*"|[^${SPECIAL}]*)`;

/** The shape of a sender: `a@b` or `Name <a@b>`. The CHECK `email_from_is_one_address` has the same text. */
export const SENDER_PATTERN = `^(${ADDRESS}|${NAME} *<${ADDRESS}>)$`;

const SENDER = new RegExp(SENDER_PATTERN);

/**
 * Whether mails may be sent from it: exactly one address, with a name or without. A name with a comma, a colon or another
 * special character must be quoted, or libraries read two addresses.
 */
export const isSender = (text: string): boolean => SENDER.test(text) && !("fault" in readAddress(text));
