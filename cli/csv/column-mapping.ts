import { LEAD_COLUMNS, LEAD_KEYS, type LeadKey } from "../../lib/domain/lead-columns.ts";
import { CRM_EXPORTS, type CrmExport, ROW_FACTS, type RowFact, type Target } from "./crm-exports.ts";
import { fieldTarget, nameFields, quoted } from "./field-columns.ts";

/** The columns of a file. */
export interface ColumnMapping {
  /** The CRM whose export it is. */
  readonly crm: CrmExport | undefined;
  /** The places of the columns with each target, in the order in which their values count. */
  readonly places: ReadonlyMap<Target, readonly number[]>;
  /** Number of columns before those that an import has added. */
  readonly ownWidth: number;
  /** Headings whose columns are not imported. */
  readonly ignored: readonly string[];
}

/** How a person wants other columns to be read. */
export interface MappingOptions {
  /** Each as in `Work Email=email` or `Role=fields.role`. */
  readonly map: readonly string[];
  /** Otherwise, they are custom fields. */
  readonly ignoreOtherColumns: boolean;
}

/** The columns that an import adds to each row, at the end. Ignored when a verdict file is imported. */
export const ADDED = ["line", "verdict", "reason"];

/** A heading in lower case, without spaces, punctuation and a unit in parentheses, as in `Create Date (GMT+1)`. */
const plainName = (heading: string): string =>
  heading
    .replace(/(?<=[^(]) *\([^)]*\)$/, "")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}#]/gu, "");

const FACTS: readonly RowFact[] = ["country", "optedOut"];

/** Headings that every file may have: the names of the columns and their aliases. */
const OWN: ReadonlyMap<string, Target> = new Map([
  ...LEAD_KEYS.flatMap((key) => {
    const { column, aliases = [] } = LEAD_COLUMNS[key];
    return [column, ...aliases].map((name) => [plainName(name), key] as const);
  }),
  ...FACTS.flatMap((fact) => ROW_FACTS[fact].map((name) => [plainName(name), fact] as const)),
]);

/** Whether a heading is known without options, so that the delimiter that yields it is the right one. */
export const isKnownHeading = (heading: string): boolean => {
  const plain = plainName(heading);
  return OWN.has(plain) || CRM_EXPORTS.some(({ signs }) => signs.some((sign) => plainName(sign) === plain));
};

/**
 * Maps the headings, or returns all faults. Columns that neither a lead nor the CRM's bookkeeping has are custom fields,
 * and so is the country.
 */
export function mapColumns(
  headings: readonly string[],
  { map, ignoreOtherColumns }: MappingOptions,
): ColumnMapping | { readonly faults: readonly string[] } {
  const plain = headings.map(plainName);
  const crm = CRM_EXPORTS.find(({ signs }) => signs.some((sign) => plain.includes(plainName(sign))));
  const builtIn = new Map([...builtInPlaces(plain, crm), ...fieldPlaces(headings)]);
  const asked = askedFor(map, headings);
  const chosen = chosenPlaces(builtIn, asked);
  const known = new Set([...knownPlaces(builtIn), ...asked.taken, ...ignoredPlaces(plain, crm)]);
  const others = headings.flatMap((heading, place) =>
    plain[place] === "" || known.has(place) ? [] : [{ heading: withoutPrefix(heading, crm), place }],
  );
  const named = nameFields(ignoreOtherColumns ? [] : others, chosen, headings);
  const faults = [
    ...asked.faults,
    ...named.faults,
    ...twice(headings, plain, new Set([...chosen.values()].flat())),
    ...(chosen.has("email") || chosen.has("externalId") ? [] : ["email or external_id is needed"]),
  ];
  if (faults.length > 0) return { faults };
  const places: Places = new Map([...chosen, ...named.places]);
  const used = new Set([...places.values()].flat());
  const own = headings.slice(0, headings.length - addedPlaces(plain).length);
  return { crm, places, ownWidth: own.length, ignored: own.filter((name, place) => name && !used.has(place)) };
}

/** The columns that are not custom fields by default. */
const knownPlaces = (builtIn: Places): readonly number[] =>
  [...builtIn].flatMap(([target, places]) => (target === "country" ? [] : places));

type Places = ReadonlyMap<Target, readonly number[]>;

const COLUMN_TARGETS: readonly (LeadKey | RowFact)[] = [...LEAD_KEYS, ...FACTS];

/** The columns of each target in the order in which they count: the CRM's names, then those of every file. */
function builtInPlaces(plain: readonly string[], crm: CrmExport | undefined): Places {
  const isOf = (target: Target) => [...OWN].flatMap(([name, key]) => (key === target ? [name] : []));
  return new Map(
    COLUMN_TARGETS.map((target) => {
      const names = (crm?.columns[target] ?? []).map((name) => withPrefix(name, crm));
      const places = [...names, ...isOf(target)].flatMap((name) => placesOf(name, plain));
      return [target, [...new Set(places)]] as const;
    }),
  );
}

/** The columns whose headings are custom fields, such as `fields.job_title`. */
function fieldPlaces(headings: readonly string[]): Places {
  const found = headings.flatMap((heading, place) => {
    const target = fieldTarget(heading);
    return target ? [{ target, place }] : [];
  });
  const byTarget = Map.groupBy(found, ({ target }) => target);
  return new Map([...byTarget].map(([target, places]) => [target, places.map(({ place }) => place)]));
}

/** The columns that a person has mapped replace the built-in ones of the same target. */
function chosenPlaces(builtIn: Places, asked: Asked): Places {
  const targets = [...new Set([...builtIn.keys(), ...asked.places.keys()])];
  const chosen = targets.map((target) => {
    const own = builtIn.get(target)?.filter((place) => !asked.taken.has(place)) ?? [];
    return [target, asked.places.get(target) ?? own] as const;
  });
  return new Map(chosen.filter(([, places]) => places.length > 0));
}

const ignoredPlaces = (plain: readonly string[], crm: CrmExport | undefined): readonly number[] => [
  ...addedPlaces(plain),
  ...(crm?.ignored ?? []).flatMap((name) => placesOf(withPrefix(name, crm), plain)),
];

const withoutPrefix = (heading: string, crm: CrmExport | undefined): string =>
  crm?.prefix !== undefined && heading.startsWith(crm.prefix) ? heading.slice(crm.prefix.length) : heading;

const withPrefix = (name: string, crm: CrmExport | undefined): string => `${crm?.prefix ?? ""}${name}`;

function placesOf(name: string, plain: readonly string[]): readonly number[] {
  const wanted = plainName(name);
  return plain.flatMap((heading, place) => (heading === wanted ? [place] : []));
}

interface Asked {
  readonly places: Places;
  readonly taken: ReadonlySet<number>;
  readonly faults: readonly string[];
}

function askedFor(map: readonly string[], headings: readonly string[]): Asked {
  const places = new Map<Target, number[]>();
  const taken = new Set<number>();
  const faults: string[] = [];
  for (const pair of map) {
    const [heading, name] = [pair.slice(0, pair.lastIndexOf("=")).trim(), pair.slice(pair.lastIndexOf("=") + 1).trim()];
    const target = LEAD_KEYS.find((key) => LEAD_COLUMNS[key].column === name) ?? fieldTarget(name);
    const place = headings.findIndex((given) => given.toLowerCase() === heading.toLowerCase());
    if (!pair.includes("=")) faults.push(`--map ${quoted(pair)} is not of the form "Heading=column"`);
    else if (place === -1) faults.push(`--map ${quoted(pair)}: the file has no column ${quoted(heading)}`);
    else if (!target)
      faults.push(`--map ${quoted(pair)}: ${quoted(name)} is neither a column of a lead nor a custom field`);
    else if (taken.has(place)) faults.push(`--map ${quoted(pair)}: ${quoted(heading)} is mapped twice`);
    else {
      taken.add(place);
      places.set(target, [...(places.get(target) ?? []), place]);
    }
  }
  return { places, taken, faults };
}

/** The places of the columns that an import has added: the last ones. */
function addedPlaces(plain: readonly string[]): readonly number[] {
  const start = plain.length - ADDED.length;
  return ADDED.every((name, index) => plain[start + index] === name) ? ADDED.map((_, index) => start + index) : [];
}

/** Headings that occur more than once, so that their values could contradict each other. */
const twice = (headings: readonly string[], plain: readonly string[], used: ReadonlySet<number>): readonly string[] =>
  headings.flatMap((heading, place) => {
    const first = plain.indexOf(plain[place] ?? "");
    return first !== place && used.has(place) && used.has(first) ? [`${quoted(heading)} occurs twice`] : [];
  });
