/** Formats an instant in UTC, to the minute. */
export const instantOf = (instant: Date): string => instant.toISOString().replace(/:\d\d\.\d{3}Z$/, "Z");
