import { domainToASCII, domainToUnicode } from "node:url";

/** Invisible characters that mail programs and spreadsheets leave in an address. `normalise_email` in SQL has the same list. */
const INVISIBLE = /\u034f|[\u00a0\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]/gu;
const BLANKS_AROUND = /^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g;

const LONGEST_ADDRESS = 320;
const LONGEST_LOCAL_PART = 64;
const LONGEST_DOMAIN = 253;

/** RFC 5322 dot-atom. A quoted local part is legal, but libraries read it in different ways. */
const DOT_ATOM = /^[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;
const HOST_NAME = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$/;

export type ReadAddress =
  | { readonly address: string; readonly name: string | null }
  | {
      /** Says what is wrong, without the value. */
      readonly fault: string;
    };

/**
 * Reads text that must be exactly one e-mail address. `Bob <b@x>`, `mailto:b@x`, blanks around it and invisible characters
 * are repaired; the domain is answered in ASCII and lower case, the local part as written.
 */
export function readAddress(text: string): ReadAddress {
  const { name, plain } = partsOf(text);
  if (/\p{Cc}/u.test(plain) || /\p{Cc}/u.test(name ?? "")) return { fault: "must hold no control characters" };
  const at = plain.lastIndexOf("@");
  const local = plain.slice(0, at);
  const domain = asciiDomain(plain.slice(at + 1));
  const isWhole = at > 0 && DOT_ATOM.test(local) && local.length <= LONGEST_LOCAL_PART && HOST_NAME.test(domain);
  if (!isWhole || domain.length > LONGEST_DOMAIN) return { fault: "must be exactly one e-mail address" };
  return { address: `${local}@${domain}`, name };
}

/**
 * The address to which a stored value may be sent; undefined where it is not exactly one address with an ASCII domain.
 * The database normalises such a value as `normaliseEmail` does, so a suppression of the address is never missed.
 */
export function addressToSend(stored: string): string | undefined {
  const read = readAddress(stored);
  if ("fault" in read) return undefined;
  return lowerAscii(read.address) === normaliseEmail(stored) ? read.address : undefined;
}

/** The form in which the database compares addresses: the same as `normalise_email` in SQL. Null where nothing is left. */
export function normaliseEmail(text: string): string | null {
  const { plain } = partsOf(text);
  return lowerAscii(plain.replace(/\.+$/, "")) || null;
}

/**
 * Every form under which a row may hold the address that `text` names, the ASCII form first. Lenient: whatever may have
 * been written to can stop us. Empty where the text has no `@` or nothing before it.
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
  return [...new Set(domains.flatMap((form) => locals.map((part) => `${part}@${form}`)))];
}

/** The form in which numbers are compared: digits, with a leading plus. Null where there is no digit. */
export function normalisePhone(text: string): string | null {
  const digits = text.replace(/[^0-9+]/g, "").replace(/^00/, "+");
  return /[0-9]/.test(digits) ? digits : null;
}

/** Every form under which a row may hold the number that `text` names: people leave the plus out. Empty without a digit. */
export function phoneKeys(text: string): readonly string[] {
  const digits = normalisePhone(text)?.replaceAll("+", "");
  return digits === undefined ? [] : [`+${digits}`, digits];
}

/** The number to which a stored value may be sent; undefined where it is not exactly one number. */
export function numberToSend(stored: string): string | undefined {
  const plain = stored.replace(INVISIBLE, " ").trim();
  const number = normalisePhone(plain);
  return number && ONE_NUMBER.test(plain) && /^\+?[1-9][0-9]{2,14}$/.test(number) ? number : undefined;
}

/** Digits with the separators that people write. Two numbers are too long for E.164, or have two pluses. */
const ONE_NUMBER = /^\+?[0-9 ().\-/]+$/;

/** `Bob <b@x>` and `mailto:b@x` taken apart. */
function partsOf(text: string): { readonly name: string | null; readonly plain: string } {
  const visible = trimmed(text.replace(INVISIBLE, ""));
  const [, name, inner] = /^([^<>]*)<([^<>]*)>$/.exec(visible) ?? [];
  const plain = trimmed(trimmed(inner ?? visible).replace(/^mailto:/i, ""));
  return { name: name === undefined ? null : withoutQuotes(trimmed(name)) || null, plain };
}

const trimmed = (text: string): string => text.replace(BLANKS_AROUND, "");
const withoutQuotes = (name: string): string => name.replace(/^"(.*)"$/s, "$1").replaceAll(/\\(.)/gs, "$1");

/** Not `toLowerCase`: the database's lower-casing of other letters depends on its locale. */
const lowerAscii = (text: string): string => text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** Empty where the domain has no ASCII form. An ASCII domain stays as it is: `domainToASCII` reads `1.2` as an IPv4 address. */
function asciiDomain(domain: string): string {
  if (/^[!-~]*$/.test(domain)) return domain.toLowerCase().replace(/\.$/, "");
  // `domainToASCII` decodes percent signs, so two different texts would become one domain.
  return domain.includes("%") ? "" : domainToASCII(domain).replace(/\.$/, "");
}
