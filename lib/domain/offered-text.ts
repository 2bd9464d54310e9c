import { MARKER_END, MARKER_START, outputOf } from "./text-marks.ts";

/** The name by which templates write the times that they offer. */
export const SLOTS_NAME = "slots";

/** Finds the times in a template. */
export const SLOTS_OUTPUT = outputOf(SLOTS_NAME);
const WRITES_SLOTS = new RegExp(SLOTS_OUTPUT);

/** Whether a template may offer times. Also true for one that only quotes them. */
export const writesSlots = ({ body }: { readonly body: string }): boolean => WRITES_SLOTS.test(body);

const OFFER_START = `${MARKER_START}${SLOTS_NAME}:`;
/** Stands for the times in a rendered text until `withOffer` fills it. Templates and values of leads cannot contain it. */
export const SLOTS_MARKER = `${OFFER_START}${MARKER_END}`;
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
export const readableOffers = (text: string): string =>
  withoutOfferMarks(text.replaceAll(SLOTS_MARKER, "[free times]"));
