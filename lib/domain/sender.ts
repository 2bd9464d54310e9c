import { readAddress } from "./address.ts";

/** The specials of RFC 5322 and control characters, in syntax that JavaScript and PostgreSQL share. */
const SPECIAL = String.raw`\[\]"(),:;<>@\\\x01-\x1f\x7f`;
const ADDRESS = String.raw`[^${SPECIAL}\s]+@[^${SPECIAL}\s]+`;
const NAME = String.raw`("([^"\\\x01-\x1f\x7f]|\\[^\x01-\x1f\x7f])*"|[^${SPECIAL}]*)`;

/** Matches `a@b` or `Name <a@b>`. The CHECK constraint `email_from_is_one_address` uses the same pattern. */
export const SENDER_PATTERN = `^(${ADDRESS}|${NAME} *<${ADDRESS}>)$`;

const SENDER = new RegExp(SENDER_PATTERN);

/**
 * Whether the text is a valid sender: exactly one address, optionally with a name. A name with special characters such
 * as a comma must be quoted; otherwise libraries parse two addresses.
 */
export const isSender = (text: string): boolean => SENDER.test(text) && !("fault" in readAddress(text));
