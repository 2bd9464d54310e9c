import * as z from "zod";
import { addressToSend, isSender } from "../domain/address.ts";
import { nextOpening } from "../domain/calendar.ts";
import { hasHolidays, holidayCalendar, loadHolidays } from "../domain/holidays.ts";
import { isTimeZone } from "../domain/time-zone.ts";

/** YAML and spreadsheets turn `03` or `2026` into a number. */
const text = z.string({
  error: ({ input }) => (typeof input === "number" ? "is a number: write it in quotes" : undefined),
});

const isUuid = (name: string): boolean => z.guid().safeParse(name).success;

/** A name that can select the workspace, so not the form of an id. */
const newName = text
  .trim()
  .min(1, "must not be empty")
  .max(200)
  .regex(/^\P{Cc}*$/u, "must be a name on one line")
  .refine((name) => !isUuid(name), "must not have the form of an id");

/** The clock of a send window, which may end at `24:00`. */
const clock = text.regex(
  /^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/,
  'must be a time from "00:00" to "24:00", with two digits for the hour',
);
const isoDate = text.pipe(z.iso.date("must be a date such as 2026-12-24"));

/** A stage reaches nothing else (`PUBLIC_NETWORK`). */
const publicUrl = text.refine(isPublicUrl, "must be a URL that starts with https://, without a port");

function isPublicUrl(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === "https:" && url.port === "";
}

const sendWindow = z.strictObject({
  /** ISO weekdays: 1 is Monday. */
  days: z.array(z.int().min(1).max(7)).min(1, "must name at least one weekday"),
  start: clock,
  end: clock,
});
const holidays = z.strictObject({
  country: text.nullable(),
  region: text.nullable(),
  own: z.array(isoDate).max(1_000),
  /** Dates that are no holidays here, although they are in the country. */
  working: z.array(isoDate).max(1_000),
});
/** Two decimals, as the column has. */
const percent = z
  .number()
  .gt(0)
  .max(100)
  .refine((value) => Math.round(value * 100) / 100 === value, "must have at most two decimals");
/** When the guardrail pauses the workspace (lib/domain/guardrail.ts). */
const guardrail = z.strictObject({
  bouncedPercent: percent,
  bouncedAtLeast: z.int32().min(1),
  complainedPercent: percent,
  complainedAtLeast: z.int32().min(1),
});
const digest = z.strictObject({
  time: clock.refine((time) => time !== "24:00", 'must be before "24:00"'),
  email: text.refine((address) => addressToSend(address) !== undefined, "must be exactly one address").nullable(),
  webhookUrl: publicUrl.nullable(),
  muted: z.boolean(),
});

/** The settings of a workspace that a person chooses. Times are local, as HH:MM. */
export const workspaceSettings = z.strictObject({
  name: newName,
  timeZone: text.refine(isTimeZone, "is not a time zone; valid are names such as Europe/Berlin, and UTC"),
  sendWindow,
  holidays,
  dailyCap: z.int32().min(1).nullable(),
  gapMinutes: z.int32().min(0),
  ghostedAfterDays: z.int().min(1).max(36_500),
  /** Free times that were reported longer ago are not offered. */
  availabilityMaxAgeMinutes: z.int32().min(1),
  emailFrom: text.refine(isSender, 'must be exactly one address, such as "Hana <hana@harbour.example>"'),
  guardrail,
  digest,
});
export type WorkspaceSettings = z.output<typeof workspaceSettings>;

/**
 * Settings to change. A missing value stays as it is, null removes it, and a list replaces the whole list, as in a JSON
 * Merge Patch (RFC 7396).
 */
export const settingsToChange = workspaceSettings.partial().extend({
  name: newName,
  sendWindow: sendWindow.partial().optional(),
  holidays: holidays.partial().optional(),
  guardrail: guardrail.partial().optional(),
  digest: digest.partial().optional(),
});
export type SettingsToChange = z.output<typeof settingsToChange>;

/** Those that a new workspace has without a value of its own; the sender has none. */
const DEFAULTS = {
  timeZone: "UTC",
  sendWindow: { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" },
  holidays: { country: null, region: null, own: [], working: [] },
  dailyCap: null,
  gapMinutes: 0,
  ghostedAfterDays: 7,
  availabilityMaxAgeMinutes: 30,
  emailFrom: "",
  guardrail: { bouncedPercent: 5, bouncedAtLeast: 10, complainedPercent: 0.3, complainedAtLeast: 3 },
  digest: { time: "08:00", email: null, webhookUrl: null, muted: false },
} as const satisfies Partial<WorkspaceSettings>;

/** The settings after the change. Days and dates are in order, each once. */
export function changedSettings(before: WorkspaceSettings | null, change: SettingsToChange): WorkspaceSettings {
  const base = before ?? DEFAULTS;
  const merged = {
    ...base,
    ...given(change),
    sendWindow: { ...base.sendWindow, ...given(change.sendWindow ?? {}) },
    holidays: { ...base.holidays, ...given(change.holidays ?? {}) },
    guardrail: { ...base.guardrail, ...given(change.guardrail ?? {}) },
    digest: { ...base.digest, ...given(change.digest ?? {}) },
  } as WorkspaceSettings;
  return {
    ...merged,
    sendWindow: { ...merged.sendWindow, days: inOrder(merged.sendWindow.days) },
    holidays: {
      ...merged.holidays,
      own: inOrder(merged.holidays.own),
      working: inOrder(merged.holidays.working),
    },
  };
}

const given = <Values extends object>(values: Values): Partial<Values> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<Values>;

const inOrder = <Value extends number | string>(values: readonly Value[]): Value[] => [...new Set(values)].sort();

export const settingFault = z.object({ path: z.array(z.union([z.string(), z.number()])), message: z.string() });
export type SettingFault = z.output<typeof settingFault>;

/** All faults of settings as they would be stored; empty if a run can use them. `now` is the start of the year to check. */
export async function settingFaults(settings: WorkspaceSettings, now: Date): Promise<readonly SettingFault[]> {
  const { error } = workspaceSettings.safeParse(settings);
  const issues = (error?.issues ?? []).map(({ path, message }) => ({ path: path.map(plainKey), message }));
  const faults = [...issues, ...(await placeFaults(settings.holidays))];
  return faults.length > 0 ? faults : openingFaults(settings, now);
}

const plainKey = (key: PropertyKey): string | number => (typeof key === "number" ? key : String(key));

type Place = Pick<WorkspaceSettings["holidays"], "country" | "region">;

/** A country or region without known public holidays. */
export async function placeFaults({ country, region }: Place): Promise<readonly SettingFault[]> {
  if (country === null) {
    return region === null ? [] : [{ path: ["holidays", "region"], message: "needs a country beside it" }];
  }
  await loadHolidays();
  if (!hasHolidays(country, null)) {
    const message = "has no known holidays; write the two capital letters of ISO 3166-1, such as DE";
    return [{ path: ["holidays", "country"], message }];
  }
  if (region === null || hasHolidays(country, region)) return [];
  const message = `has no known holidays in ${country}; write the second part of ISO 3166-2, such as BY of DE-BY`;
  return [{ path: ["holidays", "region"], message }];
}

function openingFaults({ timeZone, sendWindow: window, holidays: place }: WorkspaceSettings, now: Date) {
  const isHoliday = holidayCalendar(place.country, place.region, place.own, place.working);
  if (nextOpening(now, { zone: timeZone, window, isHoliday })) return [];
  return [{ path: ["sendWindow"], message: "does not open within a year" }];
}
