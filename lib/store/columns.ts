import * as z from "zod";
import type { LeadFacts, WorkspaceFacts } from "../domain/due-item.ts";
import { loadHolidays } from "../domain/holidays.ts";
import { ADDRESS_OF_CHANNEL, type AddressKind, CHANNELS, type Channel, perChannel } from "../domain/labels.ts";
import {
  LEAD_COLUMNS,
  LEAD_KEYS,
  type LeadKey,
  TEMPLATE_KEYS,
  type TemplateKey,
  type TemplateLead,
} from "../domain/lead-columns.ts";
import { join, raw, type Sql, sql } from "./sql.ts";

/** Labels as SQL literals, so that the planner sees constants. */
export const literal = (label: Channel | AddressKind): Sql => raw(`'${label}'`);

/** Excludes touches on channels that only newer code knows. */
export const CHANNEL_IS_KNOWN = sql`touch.channel::text = any(${[...CHANNELS]}::text[])`;

export const lastTouchColumn = (channel: Channel): Sql => raw(`last_${channel}_at`);

/** The columns of `lead` for when each channel last reached it. */
export const LAST_TOUCHES = join(CHANNELS.map((channel) => sql`lead.${lastTouchColumn(channel)}`));

type LastTouchColumn = `last_${Channel}_at`;
const keyOf = perChannel((channel): LastTouchColumn => `last_${channel}_at`);
const stamp = z.date().nullable();
export const lastTouchColumns = Object.fromEntries(CHANNELS.map((channel) => [keyOf[channel], stamp])) as Record<
  LastTouchColumn,
  typeof stamp
>;

export function lastTouchOf(row: Readonly<Record<LastTouchColumn, Date | null>>): LeadFacts["lastTouchAt"] {
  const lastTouchAt: Record<Channel, Date | null> = { ...NEVER };
  for (const channel of CHANNELS) lastTouchAt[channel] = row[keyOf[channel]];
  return lastTouchAt;
}

export const NEVER = perChannel((): Date | null => null);

/** Assignments to `lead` for a touch on that channel that starts now. */
export const lastTouchesBy = (channel: Sql, now: Date): Sql =>
  join(
    CHANNELS.map((each) => {
      const column = lastTouchColumn(each);
      return sql`
  ${column} = case when ${channel} = ${literal(each)} then ${now} else lead.${column} end`;
    }),
  );

/** The channels that send to an address of that kind. */
export const channelsTo = (kind: AddressKind): readonly Channel[] =>
  CHANNELS.filter((channel) => ADDRESS_OF_CHANNEL[channel] === kind);

/** When a channel that sends to an address of that kind last reached `lead`. */
export const lastTouchTo = (kind: AddressKind, lead: Sql): Sql =>
  sql`greatest(${join(channelsTo(kind).map((channel) => sql`${lead}.${lastTouchColumn(channel)}`))})`;

/** A CASE on a channel: one branch for each channel with an address, `otherwise` for the rest. */
export const byAddress = (channel: Sql, branch: (kind: AddressKind) => Sql, otherwise: Sql = sql`null`): Sql => sql`
  case ${channel} ${join(
    CHANNELS.flatMap((each) => {
      const kind = ADDRESS_OF_CHANNEL[each];
      return kind ? [sql`when ${literal(each)} then ${branch(kind)}`] : [];
    }),
    " ",
  )} else ${otherwise} end`;

/** The address of `lead` that `touch` goes to; null if its channel needs none. */
export const ADDRESS_OF_TOUCH = byAddress(sql`touch.channel`, (kind) => sql`lead.${raw(kind)}`);

/** The name of `lead`, for people; empty without one. */
export const LEAD_NAME = sql`concat_ws(' ', lead.first_name, lead.last_name)`;

/** The name of a lead's column, for SQL. */
export const leadColumn = (key: LeadKey): Sql => raw(LEAD_COLUMNS[key].column);

/** Columns of `lead`, named as in code. */
export const leadColumnsAs = (keys: readonly LeadKey[]): Sql =>
  join(keys.map((key) => sql`lead.${leadColumn(key)} as ${raw(`"${key}"`)}`));

/** The columns of `lead` that templates may read. */
export const TEMPLATE_COLUMNS = sql`${leadColumnsAs(TEMPLATE_KEYS)}, lead.fields`;

/** All registered columns and the custom fields of `lead` as arguments of `json_build_object`, named as in code. */
export const LEAD_TEXTS = sql`
  ${join(LEAD_KEYS.map((key) => sql`${raw(`'${key}'`)}, lead.${leadColumn(key)}`))}, 'fields', lead.fields`;

const text = z.string().nullable();
/** The custom fields of a lead. */
const leadFields = z.record(z.string(), z.string());
export const leadTexts = {
  ...(Object.fromEntries(LEAD_KEYS.map((key) => [key, text])) as Record<LeadKey, typeof text>),
  fields: leadFields,
};
export const templateColumns = {
  ...(Object.fromEntries(TEMPLATE_KEYS.map((key) => [key, text])) as Record<TemplateKey, typeof text>),
  fields: leadFields,
};

export const NO_TEXTS = Object.fromEntries(TEMPLATE_KEYS.map((key) => [key, null])) as Record<TemplateKey, null>;

/** The values of a row that templates may read. */
export function templateLeadOf(row: TemplateLead): TemplateLead {
  const lead: Record<TemplateKey, string | null> = { ...NO_TEXTS };
  for (const key of TEMPLATE_KEYS) lead[key] = row[key];
  return { ...lead, fields: row.fields };
}

/** The columns of `workspace` that determine send times, as `sendTimeColumns` parses them. */
export const SEND_TIMES = sql`
  workspace.gap_minutes, workspace.window_days, to_char(workspace.window_start, 'HH24:MI') as window_start,
  to_char(workspace.window_end, 'HH24:MI') as window_end, workspace.holiday_country, workspace.holiday_region,
  workspace.own_holidays::text[] as own_holidays, workspace.working_dates::text[] as working_dates`;

export const sendTimeColumns = {
  gap_minutes: z.int(),
  window_days: z.array(z.int()),
  window_start: z.string(),
  window_end: z.string(),
  holiday_country: z.string().nullable(),
  holiday_region: z.string().nullable(),
  own_holidays: z.array(z.string()),
  working_dates: z.array(z.string()),
};

const sendTimeRow = z.object(sendTimeColumns);

export const sendTimesOf = (
  row: z.infer<typeof sendTimeRow>,
): Pick<WorkspaceFacts, "gapMinutes" | "sendWindow" | "holidays"> => ({
  gapMinutes: row.gap_minutes,
  sendWindow: { days: row.window_days, start: row.window_start, end: row.window_end },
  holidays: {
    country: row.holiday_country,
    region: row.holiday_region,
    ownDates: row.own_holidays,
    workingDates: row.working_dates,
  },
});

/** Loads the holiday data if any of the workspaces has a holiday country. */
export async function loadHolidaysFor(rows: unknown): Promise<void> {
  const places = z.array(z.object({ holiday_country: z.string().nullable() })).parse(rows);
  if (places.some(({ holiday_country }) => holiday_country !== null)) await loadHolidays();
}
