/** Names that `Intl` accepts and Temporal rejects: each is ambiguous or means another zone than people expect. */
export const LEGACY_NAMES =
  "ACT AET AGT ART AST BET BST CAT CNT CST CTT EAT ECT IET IST JST MIT NET NST PLT PNT PRT PST SST VST".split(" ");

/** Values that are not valid time zones. */
export const INVALID_ZONES: readonly string[] = [
  ...LEGACY_NAMES,
  "\u221202:00",
  "\u22120200",
  "UTC+2",
  "GMT+2",
  "+24:00",
  "+02:00:30",
  "Z",
  "2026-11-25T14:00:00Z",
  "2026-11-25T14:00[Europe/Berlin]",
  "[Europe/Berlin]",
  "(GMT-05:00) Eastern Standard Time (America/New_York)",
  "Eastern Time (US & Canada)",
  "Europe/Atlantis",
  "Etc/Unknown",
  "undefined",
  "",
  "   ",
  " Europe/Berlin",
  "Europe/Berlin ",
  "Europe/Berlin\n",
  "Europe/Berlin\r\nBcc: x@y.test",
  "\u0001",
  "Europe/Berl\u0131n",
  "x".repeat(100_000),
];

export const VALID_ZONES: readonly string[] = [
  "Europe/Berlin",
  "europe/berlin",
  "AMERICA/NEW_YORK",
  "UTC",
  "utc",
  "GMT",
  "EST",
  "EST5EDT",
  "Etc/GMT+5",
  "US/Pacific",
  "Asia/Kolkata",
  "Asia/Calcutta",
  "+02:00",
  "-0330",
  "+14",
];
