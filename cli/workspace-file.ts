import { stringify } from "yaml";
import * as z from "zod";
import { MINUTES_PER_DAY } from "../lib/domain/time-zone.ts";
import {
  placeFaults,
  type SettingFault,
  type SettingsToChange,
  settingsToChange,
  type WorkspaceSettings,
} from "../lib/operate/workspace-settings.ts";
import { duration, formatDuration } from "./duration.ts";
import { fieldLines } from "./sequence-diff.ts";
import { type FileFault, faultsOfIssue, type PlacedFault, parseYaml, readTextFile } from "./yaml-file.ts";

const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

const weekday = z
  .string()
  .transform((name) => WEEKDAYS.indexOf(name.toLowerCase()) + 1)
  .refine((day) => day > 0, `must be one of ${WEEKDAYS.join(", ")}`);
const wholeDays = duration
  .refine((minutes) => minutes % MINUTES_PER_DAY === 0, 'must be whole days, such as "7 days"')
  .transform((minutes) => minutes / MINUTES_PER_DAY);

const { gapMinutes, ghostedAfterDays, availabilityMaxAgeMinutes, emailFrom, ...sameInFile } = settingsToChange.shape;
const sendWindow = sameInFile.sendWindow.unwrap();
const fileSchema = z
  .strictObject({
    ...sameInFile,
    sendWindow: sendWindow
      .extend({ days: z.array(weekday).pipe(sendWindow.shape.days.unwrap()).optional() })
      .optional(),
    gap: duration.pipe(gapMinutes.unwrap()).optional(),
    ghostedAfter: wholeDays.pipe(ghostedAfterDays.unwrap()).optional(),
    availabilityMaxAge: duration.pipe(availabilityMaxAgeMinutes.unwrap()).optional(),
    sender: emailFrom,
  })
  .transform(
    ({ gap, ghostedAfter, availabilityMaxAge, sender, ...same }): SettingsToChange => ({
      ...same,
      gapMinutes: gap,
      ghostedAfterDays: ghostedAfter,
      availabilityMaxAgeMinutes: availabilityMaxAge,
      emailFrom: sender,
    }),
  );

/** The names in a file of settings that have another notation there. */
const NAMES_IN_FILE: Readonly<Record<string, string>> = {
  gapMinutes: "gap",
  ghostedAfterDays: "ghostedAfter",
  availabilityMaxAgeMinutes: "availabilityMaxAge",
  emailFrom: "sender",
};

interface WorkspaceFile {
  readonly settings: SettingsToChange;
  /** The faults that a stage found, each with the position of the value in the file. */
  faultTexts(faults: readonly SettingFault[]): readonly string[];
}

/** Reads the settings of a workspace from YAML, or returns all faults, each with its file, line and column. */
export async function readWorkspaceFile(path: string): Promise<WorkspaceFile | { readonly faults: readonly string[] }> {
  const text = await readTextFile(path);
  if (typeof text !== "string") return { faults: [`${path}:1:1: ${text.fault}`] };
  const textsOf = (faults: readonly PlacedFault[]) =>
    faults.map(({ line, column, message }) => `${path}:${line}:${column}: ${message}`);
  const file = parseYaml(text);
  if ("faults" in file) return { faults: textsOf(file.faults) };
  const parsed = fileSchema.safeParse(file.value);
  const faults: FileFault[] = [
    ...(parsed.error?.issues.flatMap(faultsOfIssue) ?? []),
    ...(await faultsOfPlace(file.value)),
  ];
  if (faults.length > 0 || !parsed.success) return { faults: textsOf(file.placed(faults, faultText)) };
  return {
    settings: parsed.data,
    faultTexts: (found) => textsOf(file.placed(found.map(inFile), faultText)),
  };
}

const place = z.object({ holidays: z.object({ country: z.string(), region: z.string().nullable().default(null) }) });

/** Checks a country also if other values are invalid. A region alone belongs to the stored country. */
async function faultsOfPlace(value: unknown): Promise<readonly FileFault[]> {
  const { data } = place.safeParse(value);
  return data ? await placeFaults(data.holidays) : [];
}

const inFile = ({ path, message }: SettingFault): FileFault => {
  const [first, ...rest] = path;
  return { path: first === undefined ? [] : [NAMES_IN_FILE[first] ?? first, ...rest], message };
};

const faultText = ({ path, message }: FileFault): string =>
  path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`;

type InFile = Readonly<Record<string, unknown>>;

function fileOf({
  gapMinutes,
  ghostedAfterDays,
  availabilityMaxAgeMinutes,
  emailFrom,
  ...same
}: WorkspaceSettings): InFile {
  const { name, timeZone, sendWindow, holidays, dailyCap, guardrail, digest } = same;
  return {
    name,
    timeZone,
    sender: emailFrom,
    sendWindow: { ...sendWindow, days: sendWindow.days.map((day) => WEEKDAYS[day - 1]) },
    holidays,
    dailyCap,
    gap: formatDuration(gapMinutes),
    ghostedAfter: formatDuration(ghostedAfterDays * MINUTES_PER_DAY),
    availabilityMaxAge: formatDuration(availabilityMaxAgeMinutes),
    guardrail,
    digest,
  };
}

/** The YAML whose settings are these. */
export const writeWorkspaceFile = (settings: WorkspaceSettings): string =>
  stringify(fileOf(settings), { lineWidth: 0 });

/** Describes the changes to a workspace; one line if there are none. */
export function describeSettings(before: WorkspaceSettings | null, after: WorkspaceSettings): string {
  const old = before ? flat(fileOf(before)) : new Map<string, string>();
  const now = flat(fileOf(after));
  const lines = [...now].flatMap(([key, value]) => fieldLines(key, old.get(key), value));
  if (before && lines.length === 0) return `${after.name}: no change`;
  return [`${before?.name ?? after.name}: ${before ? "changes" : "new"}`, ...lines.map((line) => `  ${line}`)].join(
    "\n",
  );
}

/** Each value by its path, such as `digest.time`. */
function flat(values: InFile, prefix = ""): Map<string, string> {
  return new Map(
    Object.entries(values).flatMap(([key, value]): [string, string][] => {
      if (Array.isArray(value)) return [[prefix + key, value.join(", ") || "none"]];
      if (typeof value === "object" && value !== null) return [...flat(value as InFile, `${prefix}${key}.`)];
      return [[prefix + key, value === null ? "none" : String(value)]];
    }),
  );
}
