import { encodeWord } from "nodemailer/lib/mime-funcs";
import type { Mailbox } from "../domain/sender.ts";

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
export const subjectOf = (text: string): string => (isPassedOn(text) ? encodeWord(text, "Q", WORD_LENGTH) : text);

/** A placeholder that nodemailer treats as plain text. */
const ENCODED_FROM = "X-Backstop-From";

/** The nodemailer options of a sender whose name mail programs show as written. */
export function fromOf({ name, address }: Mailbox) {
  if (!isPassedOn(name)) return { from: { name, address }, headers: {} };
  // In `from`, nodemailer would quote the encoded words.
  return {
    headers: { [ENCODED_FROM]: `${encodeWord(name, "Q", WORD_LENGTH)} <${address}>` },
    normalizeHeaderKey: (key: string) => (key === ENCODED_FROM ? "From" : key),
  };
}
