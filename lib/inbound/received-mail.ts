import PostalMime, { addressParser, type Email } from "postal-mime";

/** Far above real mails, and small enough to bound the work on a hostile one. */
const LIMITS = { maxNestingDepth: 64, maxHeadersSize: 128 * 1024 };

/** A part that mail servers attach to reports. */
interface ReportPart {
  readonly type: string;
  readonly text: string;
}

/** The parts of a mail that are read. Its body is not one of them. */
export interface ReceivedMail {
  /** All values of a header field, unfolded; in the order of the mail. */
  readonly headers: (name: string) => readonly string[];
  readonly subject: string;
  readonly parts: readonly ReportPart[];
}

/** Parses a mail, or the start of one. Undefined if it exceeds the limits: no mail program writes such a mail. */
export async function readMail(raw: Uint8Array | string): Promise<ReceivedMail | undefined> {
  const parsed = await parsedWithin(raw);
  if (!parsed) return undefined;
  const headers = (name: string) => parsed.headers.filter(({ key }) => key === name).map(({ value }) => value);
  return { headers, subject: parsed.subject ?? "", parts: parsed.attachments.map(partOf) };
}

async function parsedWithin(raw: Uint8Array | string): Promise<Email | undefined> {
  try {
    // A returned mail is a part, not text of the mail that returns it.
    return await PostalMime.parse(raw, { ...LIMITS, forceRfc822Attachments: true });
  } catch (thrown) {
    // The parser throws only at its limits, with a plain Error. Anything else is a bug.
    if (thrown instanceof Error && /^Maximum /.test(thrown.message)) return undefined;
    throw thrown;
  }
}

const partOf = ({ mimeType, content }: Email["attachments"][number]): ReportPart => ({
  type: mimeType.toLowerCase(),
  text: typeof content === "string" ? content : new TextDecoder().decode(content),
});

/** The addresses in a header field, in its order: of mailboxes, with or without a name, also in groups. */
export const addressesIn = (value: string): readonly string[] =>
  addressParser(value, { flatten: true }).flatMap(({ address = "" }) => (address.includes("@") ? [address] : []));

/**
 * The Message-IDs in a header field, in angle brackets. Blanks within one are dropped: some programs fold there. All
 * ids of mails that we sent are printable ASCII, so others are left out.
 */
export const messageIdsIn = (value: string): readonly string[] =>
  (value.match(/<[^<>]{1,500}>/g) ?? []).map((id) => id.replaceAll(/\s/g, "")).filter((id) => /^[!-~]+$/.test(id));
