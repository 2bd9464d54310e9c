/**
 * Around what stands for something else in a rendered and stored text. Noncharacters (Unicode, section 23.7): text has
 * none, and PostgreSQL stores them.
 */
export const MARKER_START = "\u{fdd0}";
const MARKER_END = "\u{fdd1}";

/** A regular expression, for JavaScript and PostgreSQL, that finds the plain output of a name in a template. */
const outputOf = (name: string): string => String.raw`\{\{-?\s*${name}\s*-?\}\}`;

/** A value of a lead, which cannot smuggle a marker into a text. */
export const withoutMarkers = (value: string | null): string | null =>
  value?.includes(MARKER_START) ? value.replaceAll(MARKER_START, "") : value;

/** The name by which templates write the times that they offer. */
export const SLOTS_NAME = "slots";

/** Finds the times in a template. */
export const SLOTS_OUTPUT = outputOf(SLOTS_NAME);
const WRITES_SLOTS = new RegExp(SLOTS_OUTPUT);

/** Whether a template may offer times. Also true for one that only quotes them. */
export const writesSlots = ({ body }: { readonly body: string }): boolean => WRITES_SLOTS.test(body);

const OFFER_START = `${MARKER_START}${SLOTS_NAME}:`;
/** Stands for the times in a rendered text until `withOffer` fills it. Templates and values of leads cannot contain it. */
const SLOTS_MARKER = `${OFFER_START}${MARKER_END}`;
const OFFER = new RegExp(`${OFFER_START}([^${MARKER_END}]*)${MARKER_END}`, "gu");

export const hasOffer = (text: string): boolean => text.includes(OFFER_START);

/** The message with these times in place of the marker, or of the times that it offered. They stay marked. */
export const withOffer = <Given extends { readonly body: string }>(message: Given, text: string): Given => ({
  ...message,
  body: message.body.replaceAll(OFFER, () => `${OFFER_START}${text}${MARKER_END}`),
});

/** A text as it is sent: the times without their marks. */
export const withoutOfferMarks = (text: string): string => (hasOffer(text) ? text.replaceAll(OFFER, "$1") : text);

/** The same for people, who may see a text before times are chosen. */
const readableOffers = (text: string): string => withoutOfferMarks(text.replaceAll(SLOTS_MARKER, "[free times]"));

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

interface LateValue {
  /** Stands for the value in a rendered text. */
  readonly marker: string;
  /** The value in words, for the reports about a template. */
  readonly what: string;
}

/** The values that are known only when a text is sent, by their names in templates. No filter can change them. */
export const LATE_VALUES: ReadonlyMap<string, LateValue> = new Map([
  [UNSUBSCRIBE_NAME, { marker: UNSUBSCRIBE_MARKER, what: "the unsubscribe link" }],
  [SLOTS_NAME, { marker: SLOTS_MARKER, what: "the offered times" }],
]);
