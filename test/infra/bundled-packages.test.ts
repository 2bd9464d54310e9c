import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import Holidays from "date-holidays";
import { buildFunctions } from "../../infra/build.ts";
import { PROJECT } from "../../infra/bundle.ts";
import { stripHolidays, stripTimeZones } from "../../infra/bundled-packages.ts";
import * as domain from "../../lib/domain/holidays.ts";
import { long } from "../support/long.ts";

let folder: string;
let bundled: typeof domain;

beforeAll(async () => {
  // Inside the project, so that the sources resolve its packages.
  await mkdir(join(PROJECT, ".local"), { recursive: true });
  folder = await mkdtemp(join(PROJECT, ".local", "holidays-"));
  const [from, to] = [join(folder, "functions"), join(folder, "dist")];
  await mkdir(from);
  await writeFile(join(from, "probe.ts"), 'export * from "../../../lib/domain/holidays.ts";\n');
  await buildFunctions(from, to);
  bundled = (await import(join(to, "probe/index.mjs"))) as typeof domain;
  await Promise.all([domain.loadHolidays(), bundled.loadHolidays()]);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

it("a bundle has every place of the package", () => {
  const found = places();
  expect(found.length).toBeGreaterThan(600);
  const known = (holidays: typeof domain) => found.map(([country, region]) => holidays.hasHolidays(country, region));
  expect(known(bundled)).toEqual(known(domain));
});

long.it("a bundle has the same holidays as the package, in every fifteenth place", () => {
  const year = Array.from({ length: 365 }, (_, day) => new Date(Date.UTC(2027, 0, 1 + day)).toISOString().slice(0, 10));
  const some = places().filter(([country, region], index) => index % 15 === 0 && domain.hasHolidays(country, region));
  const daysOff = (holidays: typeof domain) =>
    some.map(([country, region]) => [country, region, year.filter(holidays.holidayCalendar(country, region))]);
  expect(daysOff(bundled)).toEqual(daysOff(domain));
});

it("a bundle has the same holidays as the package in every year whose dates a time zone decides", () => {
  const years = Array.from({ length: 40 }, (_, index) => 2010 + index);
  const solstices = (holidays: typeof domain) => {
    const isHoliday = holidays.holidayCalendar("CL", null);
    return years.flatMap((year) => ["06-20", "06-21"].map((date) => isHoliday(`${year}-${date}`)));
  };
  expect(solstices(bundled)).toContain(true);
  expect(solstices(bundled)).toEqual(solstices(domain));
});

it("throws if a rule names a time zone that the package lacks", async () => {
  const project = await projectWith({
    "date-holidays/data.js": 'exports.data = { CL: { "june solstice in America/Atlantis": {} } };',
    "moment-timezone/data/packed/latest.json": '{ "version": "1", "zones": ["GMT|GMT|0|0||"], "links": ["GMT|UTC"] }',
  });
  expect(() => stripTimeZones(project)).toThrow("moment-timezone has no zone America/Atlantis");
});

it("throws if the package stores its data differently", async () => {
  const project = await projectWith({
    "date-holidays/data.js": 'exports.data = { places: { DE: { "01-01": "New Year" } } };',
  });
  expect(() => stripHolidays(project)).toThrow("date-holidays has another form");
});

it("a bundle has no place that the package lacks", () => {
  expect(bundled.hasHolidays("DE", "BY")).toBe(true);
  for (const [country, region] of [
    ["XX", null],
    ["DE", "XX"],
    ["DE", "BY-X"],
  ] as const) {
    expect(bundled.hasHolidays(country, region)).toBe(false);
  }
});

/** A project with these files of its packages. */
async function projectWith(files: Readonly<Record<string, string>>): Promise<string> {
  const project = await mkdtemp(join(folder, "project-"));
  await writeFile(join(project, "package.json"), "{}");
  for (const [name, content] of Object.entries(files)) {
    const file = join(project, "node_modules", name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  }
  return project;
}

/** Every country, every region, every district. */
function places(): readonly (readonly [country: string, region: string | null])[] {
  const library = new Holidays();
  const keys = (found: object | undefined) => Object.keys(found ?? {});
  return keys(library.getCountries()).flatMap((country) => [
    [country, null] as const,
    ...keys(library.getStates(country)).flatMap((state) => [
      [country, state] as const,
      ...keys(library.getRegions(country, state)).map((district) => [country, `${state}-${district}`] as const),
    ]),
  ]);
}
