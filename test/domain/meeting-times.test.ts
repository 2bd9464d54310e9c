import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { readMeetingTimes, type SentTimes } from "../../lib/domain/meeting.ts";

const read = (sent: SentTimes) => {
  const { times, assumed } = readMeetingTimes(sent);
  return { starts: times?.startsAt.toISOString(), ends: times?.endsAt.toISOString(), assumed };
};
const NO_ZONE = "its times have no time zone: it counts as over once it is over everywhere";
const DAY = "it is a whole day";

describe("the times of a meeting", () => {
  it.each<[string, SentTimes, string, string]>([
    ["as instants", { startsAt: "2026-12-03T13:00:00Z", endsAt: "2026-12-03T13:30:00.000000Z" }, "13:00", "13:30"],
    [
      "with an offset without a colon",
      { startsAt: "2026-12-03T14:00:00+0100", endsAt: "2026-12-03 14:30+01" },
      "13:00",
      "13:30",
    ],
    [
      "as Google and Microsoft write them",
      {
        startsAt: { dateTime: "2026-12-03T14:00:00.0000000", timeZone: "Europe/Berlin" },
        endsAt: { dateTime: "2026-12-03T14:30:00+01:00", timeZone: "Europe/Berlin" },
      },
      "13:00",
      "13:30",
    ],
    [
      "local, with the zone beside them",
      { startsAt: "2026-12-03T14:00", endsAt: "2026-12-03T14:30", timeZone: "Europe/Berlin" },
      "13:00",
      "13:30",
    ],
    ["with a duration", { startsAt: "2026-12-03T13:00:00Z", durationMinutes: "30" }, "13:00", "13:30"],
  ])("are parsed without assumptions %s", (_, sent, starts, ends) => {
    const expected = { starts: `2026-12-03T${starts}:00.000Z`, ends: `2026-12-03T${ends}:00.000Z`, assumed: [] };
    expect(read(sent)).toEqual(expected);
  });

  it.each<[string, SentTimes, string, string, string[]]>([
    [
      "are Unix times",
      { startsAt: 1_796_302_800_000, endsAt: "1796304600" },
      "2026-12-03T13:00",
      "2026-12-03T13:30",
      ["its times are numbers: read as Unix time"],
    ],
    [
      "have no zone",
      { startsAt: "2026-12-03T13:00:00", endsAt: "2026-12-03T13:30:00" },
      "2026-12-03T13:00",
      "2026-12-04T01:30",
      [NO_ZONE],
    ],
    [
      "name a zone that does not exist",
      { startsAt: "2026-12-03T13:00:00", endsAt: "2026-12-03T13:30:00", timeZone: "IST" },
      "2026-12-03T13:00",
      "2026-12-04T01:30",
      [NO_ZONE],
    ],
    [
      "are a whole day, whose end is the next",
      { startsAt: { date: "2026-12-03" }, endsAt: { date: "2026-12-04" }, timeZone: "Europe/Berlin" },
      "2026-12-02T23:00",
      "2026-12-03T23:00",
      [DAY],
    ],
    [
      "are a whole day, whose end is itself",
      { startsAt: "2026-12-03", endsAt: "2026-12-03", timeZone: "Europe/Berlin" },
      "2026-12-02T23:00",
      "2026-12-03T23:00",
      [DAY],
    ],
    [
      "are a whole day without an end or a zone",
      { startsAt: "2026-12-03" },
      "2026-12-03T00:00",
      "2026-12-04T12:00",
      [NO_ZONE, DAY, "it has no end: an hour was assumed"],
    ],
    [
      "end before they start",
      { startsAt: "2026-12-03T13:00:00Z", endsAt: "2026-12-03T12:00:00Z" },
      "2026-12-03T13:00",
      "2026-12-03T14:00",
      ["it does not end after its start: an hour was assumed"],
    ],
    [
      "have no end",
      { startsAt: "2026-12-03T13:00:00Z" },
      "2026-12-03T13:00",
      "2026-12-03T14:00",
      ["it has no end: an hour was assumed"],
    ],
    [
      "have an end alone",
      { startsAt: "tomorrow", endsAt: "2026-12-03T13:00:00Z" },
      "2026-12-03T12:00",
      "2026-12-03T13:00",
      ["it has no start: an hour before its end was assumed"],
    ],
  ])("are read, with the assumption named, if they %s", (_, sent, starts, ends, assumed) => {
    expect(read(sent)).toEqual({ starts: `${starts}:00.000Z`, ends: `${ends}:00.000Z`, assumed });
  });

  it.each<[SentTimes]>([
    [{}],
    [{ startsAt: "tomorrow at five", endsAt: "12/3/2026 1:00 PM" }],
    [{ startsAt: "2026-02-30T13:00:00Z" }],
    [{ startsAt: "1970-01-01T00:00:00Z", endsAt: 5 }],
    [{ startsAt: Number.NaN, endsAt: Number.POSITIVE_INFINITY }],
    [{ startsAt: [], endsAt: { dateTime: {} } }],
  ])("are undefined if unreadable: %j", (sent) => {
    expect(readMeetingTimes(sent).times).toBeNull();
  });

  it("are undefined or end after they start for any input, and no assumption repeats a value", () => {
    const value = fc.oneof(
      fc.anything(),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString().slice(0, 16)),
      fc.string(),
    );
    fc.assert(
      fc.property(value, value, value, fc.anything(), (startsAt, endsAt, timeZone, durationMinutes) => {
        const { times } = readMeetingTimes({ startsAt, endsAt, timeZone, durationMinutes });
        if (times) expect(times.endsAt.getTime()).toBeGreaterThan(times.startsAt.getTime());
      }),
    );
  });
});
