const AT_MOST_MS = 60 * 60_000;

/** An HTTP-date begins with the day of the week in each of its three forms: RFC 9110 section 5.6.7. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /;

/**
 * How long a field Retry-After asks to wait, after RFC 9110 section 10.2.3: seconds, or an HTTP-date. Null where it is
 * absent or neither. Never negative; at most an hour, since nobody has to wait for a date that a receiver got wrong.
 */
export function retryAfterMs(field: string | undefined, now: Date): number | null {
  const value = field?.trim() ?? "";
  if (/^\d+$/.test(value)) return Math.min(AT_MOST_MS, Number(value) * 1_000);
  if (!HTTP_DATE.test(value)) return null;
  // The third form, that of asctime, names no zone; all three are of UTC.
  const at = Date.parse(value.endsWith("GMT") ? value : `${value} GMT`);
  return Number.isNaN(at) ? null : Math.min(AT_MOST_MS, Math.max(0, at - now.getTime()));
}
