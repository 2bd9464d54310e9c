import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

/** Replaces the package's main module, and reads the stripped data. */
const ON_OWN_DATA = `import HolidaysParser from "date-holidays-parser";
import data from "./holidays.json";
export default class Holidays extends HolidaysParser {
  constructor(...place) {
    super(data, ...place);
  }
}
`;

/**
 * Strips unused fields from the holiday data, and returns the module that bundles import instead of `date-holidays`.
 * Saves 60 kB in the zip. Throws if the package stores its data differently.
 */
export function stripHolidays(project: string): string {
  const { data } = createRequire(join(project, "package.json"))("date-holidays/data") as { readonly data: unknown };
  const stripped = JSON.stringify(data, withoutTexts());
  if (stripped.length > JSON.stringify(data).length * (2 / 3)) {
    throw new Error(
      "the data of date-holidays has another form than infra/bundled-packages.ts expects: compare the two",
    );
  }
  placeInCache(project, "holidays.json", stripped);
  return placeInCache(project, "holidays.mjs", ON_OWN_DATA);
}

const NOT_READ = new Set(["zones", "note", "sources"]);

function withoutTexts(): (key: string, value: unknown) => unknown {
  const numbers = new Map<string, string>();
  // The library distinguishes two holidays on one day by name, so equal names must stay equal.
  const numberOf = (text: string): string => {
    const number = numbers.get(text) ?? numbers.size.toString(36);
    numbers.set(text, number);
    return number;
  };
  return (key, value) => {
    if (NOT_READ.has(key)) return undefined;
    if (key === "names" && isTranslated(value)) return {};
    if (key === "name" && typeof value === "string") return numberOf(value);
    if (key === "name" && isTranslated(value)) return numberOf(Object.values(value).join());
    return value;
  };
}

function isTranslated(value: unknown): value is Readonly<Record<string, string>> {
  return typeof value === "object" && value !== null && Object.values(value).every((text) => typeof text === "string");
}

/** The zones that no rule names: that in which holidays are computed, and the library's own. */
const ALWAYS_KEPT = ["UTC", "GMT"];

interface PackedZones {
  readonly version: string;
  /** `<name>|<abbreviations>|<offsets>|…` */
  readonly zones: readonly string[];
  /** `<name>|<another name of the same zone>` */
  readonly links: readonly string[];
}

/**
 * Keeps the time zones that rules of holidays name, such as `june solstice in America/Santiago`, and returns the module
 * that bundles import instead of `moment-timezone`. Saves 7 kB in the zip. Throws if a zone is unknown.
 */
export function stripTimeZones(project: string): string {
  const require = createRequire(join(project, "package.json"));
  const rules = JSON.stringify(require("date-holidays/data"));
  const named = [...rules.matchAll(/(?:equinox|solstice) in ([A-Z][\w/-]*)/g)].map(([, name = ""]) => name);
  const packed = require("moment-timezone/data/packed/latest.json") as PackedZones;
  const zones = [...new Set([...ALWAYS_KEPT, ...named])].map((name) => zoneNamed(name, packed));
  const library = require.resolve("moment-timezone/moment-timezone.js");
  const source = `import moment from ${JSON.stringify(library)};
moment.tz.load(${JSON.stringify({ version: packed.version, zones, links: [] })});
export default moment;
`;
  return placeInCache(project, "moment-timezone.mjs", source);
}

function zoneNamed(name: string, { zones, links }: PackedZones): string {
  const [main = name] = links.find((link) => link.endsWith(`|${name}`))?.split("|") ?? [];
  const zone = zones.find((each) => each.startsWith(`${main}|`));
  if (zone === undefined) throw new Error(`moment-timezone has no zone ${name}, which a rule of date-holidays names`);
  return zone.replace(main, name);
}

/** Prisma's client imports this WebAssembly file as base64 text, which compresses badly. */
export const QUERY_COMPILER = "@prisma/client/runtime/query_compiler_small_bg.postgresql.wasm-base64.mjs";

const READ_BESIDE_THE_BUNDLE = `import { readFileSync } from "node:fs";
import file from "./query-compiler.wasm";
export const wasm = readFileSync(new URL(file, import.meta.url)).toString("base64");
`;

/**
 * Decodes the query compiler into a cache below `project`, and returns the module that bundles import instead.
 * The module reads the file beside the bundle at the first query. Saves 250 kB and the parsing of the text.
 */
export function unpackQueryCompiler(project: string): string {
  const { wasm } = createRequire(join(project, "package.json"))(QUERY_COMPILER.replace(/mjs$/, "js")) as {
    wasm: string;
  };
  placeInCache(project, "query-compiler.wasm", Buffer.from(wasm, "base64"));
  return placeInCache(project, "query-compiler.mjs", READ_BESIDE_THE_BUNDLE);
}

/** Writes a source file for bundles into a cache below `project`, and returns its path. */
function placeInCache(project: string, name: string, content: Buffer | string): string {
  const folder = join(project, "node_modules", ".cache", "backstop");
  mkdirSync(folder, { recursive: true });
  // An atomic rename, so that a concurrent build never reads a partial file.
  const aside = mkdtempSync(join(folder, "making-"));
  writeFileSync(join(aside, name), content);
  renameSync(join(aside, name), join(folder, name));
  rmSync(aside, { recursive: true });
  return join(folder, name);
}
