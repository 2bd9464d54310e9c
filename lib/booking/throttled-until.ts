import { retryAfterMs } from "../domain/retry-after.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../domain/time-zone.ts";

/** Larger resets are Unix times in seconds. */
const LARGEST_WAIT_S = 1_000_000_000;

/**
 * When the sender of an answer 429 wants the next call, by our clock. The first of these counts:
 *
 * - `Retry-After`
 * - the reset header (`X-RateLimit-Reset`, with or without a suffix), in seconds or as a Unix time
 * - an hour if the day's limit is used up
 * - the interval of the limit (`X-RateLimit-Interval-Milliseconds`)
 * - one minute
 *
 * Points in time are relative to the sender's own clock (`Date`). At most a day ahead.
 *
 * Sources: RFC 9110 section 10.2.3, https://developer.calendly.com/api-docs/overview/rate-limits (seconds),
 * https://cal.com/docs/api-reference/v2/introduction (`X-RateLimit-Reset-Default`) and
 * https://marketplace.gohighlevel.com/docs/other/rate-limits (day, interval).
 */
export function throttledUntil(headers: Headers, now: Date): Date {
  const senderNow = new Date(Date.parse(headers.get("date") ?? "") || now);
  const wait =
    retryAfterMs(headers.get("retry-after") ?? undefined, senderNow) ??
    resetMs(headers, senderNow) ??
    (headers.get("x-ratelimit-daily-remaining") === "0" ? HOUR_MS : undefined) ??
    wholeNumber(headers.get("x-ratelimit-interval-milliseconds")) ??
    MINUTE_MS;
  return new Date(now.getTime() + Math.min(wait, DAY_MS));
}

/** The longest wait, if several limits have a reset. */
function resetMs(headers: Headers, now: Date): number | undefined {
  const waits = [...headers].flatMap(([name, value]) => {
    if (!/^(x-)?ratelimit-reset(-|$)/.test(name)) return [];
    const seconds = wholeNumber(value);
    if (seconds === undefined) return [];
    return seconds < LARGEST_WAIT_S ? seconds * 1_000 : Math.max(0, seconds * 1_000 - now.getTime());
  });
  return waits.length > 0 ? Math.max(...waits) : undefined;
}

const wholeNumber = (value: string | null): number | undefined =>
  value !== null && /^\d{1,15}$/.test(value.trim()) ? Number(value) : undefined;
