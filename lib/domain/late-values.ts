import { SLOTS_MARKER, SLOTS_NAME } from "./offered-text.ts";
import { UNSUBSCRIBE_MARKER, UNSUBSCRIBE_NAME } from "./unsubscribe-link.ts";

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
