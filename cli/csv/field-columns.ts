import { isFieldName, MOST_FIELDS, suggestedFieldName } from "../../lib/domain/lead-fields.ts";

/** A custom field, as `--map` and headings name it. */
export type FieldTarget = `fields.${string}`;

export const isFieldTarget = (target: string): target is FieldTarget => target.startsWith("fields.");

/** The custom field that a heading or `--map` names; undefined if it names none. */
export function fieldTarget(text: string): FieldTarget | undefined {
  const name = /^fields\.(.*)$/i.exec(text.trim())?.[1]?.toLowerCase();
  return name !== undefined && isFieldName(name) ? `fields.${name}` : undefined;
}

/** A column of a file, by its heading and its place. */
interface Column {
  readonly heading: string;
  readonly place: number;
}

interface NamedFields {
  readonly places: ReadonlyMap<FieldTarget, readonly number[]>;
  readonly faults: readonly string[];
}

/** Names custom fields after the headings of these columns, next to the targets that the file has already. */
export function nameFields(
  columns: readonly Column[],
  before: ReadonlyMap<string, readonly number[]>,
  headings: readonly string[],
): NamedFields {
  const places = new Map<FieldTarget, readonly number[]>();
  const faults: string[] = [];
  for (const { heading, place } of columns) {
    const name = suggestedFieldName(heading);
    const target = `fields.${name ?? ""}` as const;
    const [taken] = places.get(target) ?? before.get(target) ?? [];
    if (name === undefined) faults.push(`${quoted(heading)} is no name of a custom field`);
    else if (taken === undefined) places.set(target, [place]);
    else faults.push(`${quoted(headings[taken] ?? "")} and ${quoted(heading)} would both be the custom field ${name}`);
  }
  const count = places.size + [...before.keys()].filter(isFieldTarget).length;
  if (count > MOST_FIELDS) faults.push(`${count} columns would be custom fields; a lead has at most ${MOST_FIELDS}`);
  return { places, faults };
}

/** A heading for an error: in quotes, and not longer than a line. */
export const quoted = (text: string): string => JSON.stringify(text.slice(0, 80));
