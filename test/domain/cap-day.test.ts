import { expect, it } from "@jest/globals";
import { capDayEnd, capDayOf } from "../../lib/domain/send-times.ts";

const evening = new Date("2026-06-03T22:30Z");

it.each([
  ["Europe/Berlin", "2026-06-04", "2026-06-04T22:00Z"],
  ["UTC", "2026-06-03", "2026-06-04T00:00Z"],
  ["Mars/Olympus_Mons", "2026-06-03", "2026-06-04T00:00Z"],
])("a cap counts by the local day of its workspace, or the UTC day for an unknown zone: %s", (zone, day, end) => {
  expect(capDayOf(zone, evening)).toBe(day);
  expect(capDayEnd(zone, evening)).toEqual(new Date(end));
});
