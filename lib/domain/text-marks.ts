/**
 * Around what stands for something else in a rendered and stored text. Noncharacters (Unicode, section 23.7): text has
 * none, and PostgreSQL stores them.
 */
export const MARKER_START = "\u{fdd0}";
export const MARKER_END = "\u{fdd1}";

/** A regular expression, for JavaScript and PostgreSQL, that finds the plain output of a name in a template. */
export const outputOf = (name: string): string => String.raw`\{\{-?\s*${name}\s*-?\}\}`;

/** A value of a lead, which cannot smuggle a marker into a text. */
export const withoutMarkers = (value: string | null): string | null =>
  value?.includes(MARKER_START) ? value.replaceAll(MARKER_START, "") : value;
