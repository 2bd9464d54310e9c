import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "@jest/globals";
import fc from "fast-check";
import { describeSettings, readWorkspaceFile, writeWorkspaceFile } from "../../cli/workspace-file.ts";
import { changedSettings, type WorkspaceSettings } from "../../lib/operate/workspace-settings.ts";
import { long } from "../support/long.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const EXAMPLE = fileURLToPath(new URL("../../workspaces/harbour-homes.yaml", import.meta.url));
const folder = await temporaryFolder();

async function read(text: string) {
  const path = join(folder, "w.yaml");
  await writeFile(path, text);
  const file = await readWorkspaceFile(path);
  return "faults" in file ? { faults: file.faults.map((fault) => fault.slice(path.length + 1)) } : file;
}

async function settingsIn(text: string): Promise<WorkspaceSettings> {
  const file = await read(text);
  if ("faults" in file) throw new Error(file.faults.join("\n"));
  return changedSettings(null, file.settings);
}

const time = fc
  .tuple(fc.nat(23), fc.nat(59))
  .map((parts) => parts.map((part) => String(part).padStart(2, "0")).join(":"));
const settings: fc.Arbitrary<WorkspaceSettings> = fc.record({
  name: fc.constantFrom("Harbour Homes", "NO", "null", "2026", "1e3", "09:00", "a: b", "# c", "'", "Ärger"),
  timeZone: fc.constantFrom("UTC", "Europe/Berlin", "+05:30"),
  sendWindow: fc.record({
    days: fc.subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 }),
    start: time,
    end: fc.oneof(time, fc.constant("24:00")),
  }),
  holidays: fc.constantFrom(
    { country: null, region: null, own: [], working: [] },
    { country: "NO", region: null, own: ["2026-12-24", "2027-01-01"], working: ["2027-05-17"] },
    { country: "MY", region: "03", own: [], working: [] },
    { country: "AT", region: "9", own: [], working: [] },
  ),
  dailyCap: fc.option(fc.integer({ min: 1, max: 2_147_483_647 })),
  gapMinutes: fc.nat(10_000),
  ghostedAfterDays: fc.integer({ min: 1, max: 36_500 }),
  availabilityMaxAgeMinutes: fc.integer({ min: 1, max: 10_000 }),
  guardrail: fc.record({
    bouncedPercent: fc.constantFrom(0.01, 5, 33.33, 100),
    bouncedAtLeast: fc.integer({ min: 1, max: 100 }),
    complainedPercent: fc.constantFrom(0.1, 0.3, 2.5),
    complainedAtLeast: fc.integer({ min: 1, max: 100 }),
  }),
  emailFrom: fc.constantFrom("a@b.example", "Hana <a@b.example>", '"Homes, Harbour" <a@b.example>'),
  digest: fc.record({
    time,
    email: fc.option(fc.constant("team@b.example")),
    webhookUrl: fc.option(fc.constant("https://hooks.example/#x")),
    muted: fc.boolean(),
  }),
});

long.it("reads the settings that it has written, with any text that YAML could misread", async () => {
  await fc.assert(
    fc.asyncProperty(settings, async (written) => {
      expect(await settingsIn(writeWorkspaceFile(written))).toEqual(written);
      expect(describeSettings(written, written)).toBe(`${written.name}: no change`);
    }),
    { numRuns: 60 },
  );
});

it("reads the example", async () => {
  const file = await readWorkspaceFile(EXAMPLE);
  expect(file).toMatchObject({ settings: { name: "Harbour Homes", holidays: { country: "DE", region: "HH" } } });
});

it("takes the country code of Norway and a time without quotes as texts", async () => {
  const text = "name: X\nholidays: {country: NO}\nsendWindow: {start: 09:00, end: 10:30}\n";
  expect(await settingsIn(text)).toMatchObject({
    holidays: { country: "NO" },
    sendWindow: { start: "09:00", end: "10:30" },
  });
});

it("reports all errors with their positions", async () => {
  const text = `name: 2026
timezone: UTC
timeZone: PST
sendWindow:
  days: [monday, mon]
  start: 9:00
holidays:
  country: MY
  region: 03
  own: [2026-02-30]
gap: 90
ghostedAfter: 36 hours
sender: Hana
digest: {email: a, webhookUrl: "http://x"}
guardrail: {bouncedPercent: 0.001, complainedAtLeast: 0, bounced: 5}
`;
  expect(await read(text)).toEqual({
    faults: [
      expect.stringMatching(/^1:1: name: is a number: write it in quotes$/),
      expect.stringMatching(/^2:1: timezone: unknown key$/),
      expect.stringMatching(/^3:1: timeZone: is not a time zone/),
      expect.stringMatching(/^5:18: sendWindow\.days\.1: must be one of monday/),
      expect.stringMatching(/^6:3: sendWindow\.start: must be a time/),
      expect.stringMatching(/^9:3: holidays\.region: is a number: write it in quotes$/),
      expect.stringMatching(/^10:9: holidays\.own\.0: must be a date such as/),
      expect.stringMatching(/^11:1: gap: /),
      expect.stringMatching(/^12:1: ghostedAfter: must be whole days/),
      expect.stringMatching(/^13:1: sender: must be exactly one address/),
      expect.stringMatching(/^14:10: digest\.email: must be exactly one address/),
      expect.stringMatching(/^14:20: digest\.webhookUrl: must be a URL that starts with https/),
      expect.stringMatching(/^15:13: guardrail\.bouncedPercent: must have at most two decimals$/),
      expect.stringMatching(/^15:36: guardrail\.complainedAtLeast: /),
      expect.stringMatching(/^15:58: guardrail\.bounced: unknown key/),
    ],
  });
});

it("reports a country without known holidays together with the other errors", async () => {
  expect(await read("name: X\nholidays: {country: Germany}\ndailyCap: 0\n")).toEqual({
    faults: [
      expect.stringMatching(/^2:12: holidays\.country: has no known holidays; write the two capital letters/),
      expect.stringMatching(/^3:1: dailyCap: /),
    ],
  });
});

it("shows the position in the file of a fault that the stage found", async () => {
  const file = await read("name: X\nsender: a@b.example\nholidays:\n  region: BY\n");
  if ("faults" in file) throw new Error(file.faults.join("\n"));
  const faults = file.faultTexts([
    { path: ["emailFrom"], message: "one" },
    { path: ["holidays", "region"], message: "two" },
  ]);
  expect(faults.map((fault) => fault.replace(/^.*\.yaml:/, ""))).toEqual([
    "2:1: sender: one",
    "4:3: holidays.region: two",
  ]);
});
