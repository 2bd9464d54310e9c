/** The kind of a demo row, as encoded in its id. */
const KINDS = {
  workspace: 1,
  sequence: 2,
  step: 3,
  lead: 4,
  instance: 5,
  touch: 6,
  appointment: 7,
  task: 8,
  notification: 9,
} as const;
type Kind = keyof typeof KINDS;

const prefixOf = (kind: Kind): string => `01000000-000${KINDS[kind]}-7000-8000-`;

/** The id of the row of this kind and number. A valid UUIDv7 with a timestamp earlier than any real one. */
export const demoId = (kind: Kind, number: number): string =>
  `${prefixOf(kind)}${number.toString(16).padStart(12, "0")}`;

/** The lowest and the highest id of this kind. */
export const demoIdRange = (kind: Kind): readonly [string, string] => [
  `${prefixOf(kind)}${"0".repeat(12)}`,
  `${prefixOf(kind)}${"f".repeat(12)}`,
];
