/**
 * Around what stands for something else in a rendered and stored text. Noncharacters (Unicode, section 23.7): text has
 * none, and PostgreSQL stores them.
 */
export const MARKER_START = "\u{fdd0}";
export const MARKER_END = "\u{fdd1}";

/** A value of a lead, which cannot smuggle a marker into a text. */
export const withoutMarkers = (value: string | null): string | null =>
  value?.includes(MARKER_START) ? value.replaceAll(MARKER_START, "") : value;
