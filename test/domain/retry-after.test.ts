import { describe, expect, it } from "@jest/globals";
import { retryAfterMs } from "../../lib/domain/retry-after.ts";

const NOON = new Date("2026-11-25T12:00:00.500Z");
const HOUR_MS = 3_600_000;

describe("Retry-After", () => {
  it.each<[string | undefined, number | null]>([
    ["0", 0],
    ["120", 120_000],
    [" 7 ", 7_000],
    ["3601", HOUR_MS],
    ["9".repeat(400), HOUR_MS],
    // The three forms of an HTTP-date.
    ["Wed, 25 Nov 2026 12:00:30 GMT", 29_500],
    ["Wednesday, 25-Nov-26 12:00:30 GMT", 29_500],
    ["Wed Nov 25 12:00:30 2026", 29_500],
    ["Wed, 25 Nov 2026 11:59:00 GMT", 0],
    ["Fri, 31 Dec 9999 23:59:59 GMT", HOUR_MS],
    [undefined, null],
    ["", null],
    ["-5", null],
    ["1.5", null],
    ["1e3", null],
    ["soon", null],
    ["2026-11-25T12:00:30Z", null],
    ["Wed, 99 Nov 2026 12:00:30 GMT", null],
  ])("reads %p as %p ms", (field, ms) => {
    expect(retryAfterMs(field, NOON)).toBe(ms);
  });
});
