const AT_MOST_MS = 60 * 60_000;

/** All three forms of an HTTP-date start with the day of the week: RFC 9110 section 5.6.7. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /;

/**
 * The wait that Retry-After requests, in milliseconds: RFC 9110 section 10.2.3, seconds or an HTTP-date. Null if absent
 * or invalid. Between zero and one hour: the cap limits the damage of a wrong date.
 */
export function retryAfterMs(field: string | undefined, now: Date): number | null {
  const value = field?.trim() ?? "";
  if (/^\d+$/.test(value)) return Math.min(AT_MOST_MS, Number(value) * 1_000);
  if (!HTTP_DATE.test(value)) return null;
  // The asctime form names no zone; all three forms are UTC.
  const at = Date.parse(value.endsWith("GMT") ? value : `${value} GMT`);
  return Number.isNaN(at) ? null : Math.min(AT_MOST_MS, Math.max(0, at - now.getTime()));
}
