import { readableOffers } from "./offered-text.ts";
import { MARKER_END, MARKER_START, outputOf } from "./text-marks.ts";

/** The name by which templates write the link with which the receiver unsubscribes. */
export const UNSUBSCRIBE_NAME = "unsubscribe_url";

/** Finds the link in a template. */
export const UNSUBSCRIBE_OUTPUT = outputOf(UNSUBSCRIBE_NAME);

/**
 * Stands for the link in a rendered and stored text: the link is signed for a touch, which has no id before it is
 * stored. Templates and values of leads cannot contain it.
 */
export const UNSUBSCRIBE_MARKER = `${MARKER_START}${UNSUBSCRIBE_NAME}${MARKER_END}`;

/** The texts of a message. */
interface Texts {
  readonly subject: string | null;
  readonly body: string;
}

export const hasUnsubscribeLink = ({ subject, body }: Texts): boolean =>
  body.includes(UNSUBSCRIBE_MARKER) || (subject?.includes(UNSUBSCRIBE_MARKER) ?? false);

/** The message as it is sent. */
export const withUnsubscribeLink = ({ subject, body }: Texts, link: string): Texts => ({
  subject: subject?.replaceAll(UNSUBSCRIBE_MARKER, () => link) ?? null,
  body: body.replaceAll(UNSUBSCRIBE_MARKER, () => link),
});

/** A stored text as people read it, before there is a link or times are chosen. */
export const readableText = (text: string): string =>
  readableOffers(text.replaceAll(UNSUBSCRIBE_MARKER, "[unsubscribe link]"));

export const readableMessage = ({ subject, body }: Texts): Texts => ({
  subject: subject === null ? null : readableText(subject),
  body: readableText(body),
});
