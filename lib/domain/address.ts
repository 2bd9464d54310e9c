import { domainToASCII, domainToUnicode } from "node:url";
import type { AddressKind } from "./labels.ts";

/** Invisible characters that mail programs and spreadsheets add. `normalise_email` in SQL has the same list. */
const INVISIBLE = /\u034f|[\u00a0\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]/gu;
const BLANKS_AROUND = /^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g;

const LONGEST_ADDRESS = 320;
const LONGEST_LOCAL_PART = 64;
const LONGEST_DOMAIN = 253;

/** RFC 5322 dot-atom. Quoted local parts are legal, but libraries parse them differently. */
const DOT_ATOM = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
const HOST_NAME = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$/;

type ReadAddress =
  | { readonly address: string; readonly name: string | null }
  | {
      /** The error, without the value. */
      readonly fault: string;
    };

/**
 * Parses exactly one e-mail address. Accepts `Bob <b@x>` and `mailto:b@x`; removes surrounding blanks and invisible
 * characters. Returns the domain in lower-case ASCII and the local part as written.
 */
export function readAddress(text: string): ReadAddress {
  if (isPlain(text)) return { address: text, name: null };
  const { name, plain } = partsOf(text);
  if (/\p{Cc}/u.test(plain) || /\p{Cc}/u.test(name ?? "")) return { fault: "must not contain control characters" };
  const at = plain.lastIndexOf("@");
  const local = plain.slice(0, at);
  const domain = asciiDomain(plain.slice(at + 1));
  const isWhole = at > 0 && DOT_ATOM.test(local) && local.length <= LONGEST_LOCAL_PART && HOST_NAME.test(domain);
  if (!isWhole || domain.length > LONGEST_DOMAIN) return { fault: "must be exactly one e-mail address" };
  return { address: `${local}@${domain}`, name };
}

/**
 * The address to send to, or undefined unless the stored value is exactly one address with an ASCII domain. For such a
 * value, SQL and `normaliseEmail` agree, so no suppression is missed.
 */
export function addressToSend(stored: string): string | undefined {
  if (isPlain(stored)) return stored;
  const read = readAddress(stored);
  if ("fault" in read) return undefined;
  return lowerAscii(read.address) === normaliseEmail(stored) ? read.address : undefined;
}

/** Whether the value is an address as `readAddress` returns it, so that it needs no parsing. Most are. */
function isPlain(stored: string): boolean {
  const at = stored.indexOf("@");
  const domain = stored.slice(at + 1);
  if (at < 1 || at > LONGEST_LOCAL_PART || domain.length > LONGEST_DOMAIN) return false;
  return DOT_ATOM.test(stored.slice(0, at)) && HOST_NAME.test(domain);
}

/** The form in which the database compares addresses, as `normalise_email` in SQL. Null if the result is empty. */
export function normaliseEmail(text: string): string | null {
  const { plain } = partsOf(text);
  return lowerAscii(plain.replace(/\.+$/, "")) || null;
}

/**
 * Every form in which a row may store the address in `text`; the ASCII form comes first. Lenient, so that an opt-out
 * matches any address we may have used. Empty without an `@` or without text on both sides of it.
 */
export function addressKeys(text: string): readonly string[] {
  const stored =
    normaliseEmail(text.replaceAll(/\p{Cc}/gu, ""))
      ?.toWellFormed()
      .normalize("NFC") ?? "";
  const at = stored.lastIndexOf("@");
  if (at < 1 || at === stored.length - 1 || stored.length > LONGEST_ADDRESS) return [];
  const [local, domain] = [stored.slice(0, at), stored.slice(at + 1)];
  const ascii = asciiDomain(domain);
  const domains = [ascii, ascii && domainToUnicode(ascii), domain, domain.toLowerCase()].filter((form) => form !== "");
  const locals = [local.toLowerCase(), local];
  const keys = domains.flatMap((form) => locals.map((part) => `${part}@${form}`));
  // A row may hold decomposed letters, as names of files on macOS do.
  return [...new Set([...keys, ...keys.map((key) => key.normalize("NFD"))])];
}

/** The form in which phone numbers are compared: digits and plus, with a leading `00` as `+`. Null without digits. */
export function normalisePhone(text: string): string | null {
  const digits = text.replace(/[^0-9+]/g, "").replace(/^00/, "+");
  return /[0-9]/.test(digits) ? digits : null;
}

/** The form in which the database compares addresses of each kind. */
export const NORMALISE: Readonly<Record<AddressKind, (text: string) => string | null>> = {
  email: normaliseEmail,
  phone: normalisePhone,
};

/**
 * The number to send to, or undefined unless the stored value is exactly one number with its international prefix.
 * Without the prefix, a provider could read it as a number of another country.
 */
export function numberToSend(stored: string): string | undefined {
  const plain = stored.replace(INVISIBLE, " ").trim();
  const number = normalisePhone(plain);
  return number && ONE_NUMBER.test(plain) && /^\+[1-9][0-9]{2,14}$/.test(number) ? number : undefined;
}

/** Digits with common separators. Two numbers in one value are too long for E.164 or contain two pluses. */
const ONE_NUMBER = /^\+?[0-9 ().\-/]+$/;

/** Splits `Bob <b@x>` and `mailto:b@x`. */
function partsOf(text: string): { readonly name: string | null; readonly plain: string } {
  const visible = trimmed(text.replace(INVISIBLE, ""));
  const [, name, inner] = /^([^<>]*)<([^<>]*)>$/.exec(visible) ?? [];
  const plain = trimmed(trimmed(inner ?? visible).replace(/^mailto:/i, ""));
  return { name: name === undefined ? null : withoutQuotes(trimmed(name)) || null, plain };
}

const trimmed = (text: string): string => text.replace(BLANKS_AROUND, "");
const withoutQuotes = (name: string): string => name.replace(/^"(.*)"$/s, "$1").replaceAll(/\\(.)/gs, "$1");

/** ASCII only: lower-casing of other letters in PostgreSQL depends on the locale. */
const lowerAscii = (text: string): string => text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** Empty if the domain has no ASCII form. Skips ASCII domains: `domainToASCII` parses `1.2` as an IPv4 address. */
function asciiDomain(domain: string): string {
  if (/^[!-~]*$/.test(domain)) return domain.toLowerCase().replace(/\.$/, "");
  // `domainToASCII` decodes percent signs, so two different texts would yield the same domain.
  return domain.includes("%") ? "" : domainToASCII(domain).replace(/\.$/, "");
}

/** The specials of RFC 5322 and control characters, in syntax that JavaScript and PostgreSQL share. */
const SPECIAL = String.raw`\[\]"(),:;<>@\\\x01-\x1f\x7f`;
const ADDRESS = String.raw`[^${SPECIAL}\s]+@[^${SPECIAL}\s]+`;

/** Matches `a@b`. The CHECK constraints of a lead's `sender_email` and `reply_to` use the same pattern. */
export const ADDRESS_PATTERN = `^${ADDRESS}$`;

const NAME = String.raw`("([^"\\\x01-\x1f\x7f]|\\[^\x01-\x1f\x7f])*"|[^${SPECIAL}]*)`;

/** Matches `a@b` or `Name <a@b>`. The CHECK constraint `email_from_is_one_address` uses the same pattern. */
export const SENDER_PATTERN = `^(${ADDRESS}|${NAME} *<${ADDRESS}>)$`;

const SENDER = new RegExp(SENDER_PATTERN);

/**
 * Whether the text is a valid sender: exactly one address, optionally with a name. A name with special characters such
 * as a comma must be quoted; otherwise libraries parse two addresses.
 */
export const isSender = (text: string): boolean => SENDER.test(text) && !("fault" in readAddress(text));
