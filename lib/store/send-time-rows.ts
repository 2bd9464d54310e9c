import * as z from "zod";
import type { WorkspaceFacts } from "../domain/due-item.ts";
import { loadHolidays } from "../domain/holidays.ts";
import { sql } from "./sql.ts";

/** The columns of `workspace` that determine send times, as `sendTimeColumns` parses them. */
export const SEND_TIMES = sql`
  workspace.gap_minutes, workspace.window_days, to_char(workspace.window_start, 'HH24:MI') as window_start,
  to_char(workspace.window_end, 'HH24:MI') as window_end, workspace.holiday_country, workspace.holiday_region,
  workspace.own_holidays::text[] as own_holidays`;

export const sendTimeColumns = {
  gap_minutes: z.int(),
  window_days: z.array(z.int()),
  window_start: z.string(),
  window_end: z.string(),
  holiday_country: z.string().nullable(),
  holiday_region: z.string().nullable(),
  own_holidays: z.array(z.string()),
};

const sendTimeRow = z.object(sendTimeColumns);

export const sendTimesOf = (
  row: z.infer<typeof sendTimeRow>,
): Pick<WorkspaceFacts, "gapMinutes" | "sendWindow" | "holidays"> => ({
  gapMinutes: row.gap_minutes,
  sendWindow: { days: row.window_days, start: row.window_start, end: row.window_end },
  holidays: { country: row.holiday_country, region: row.holiday_region, ownDates: row.own_holidays },
});

/** Loads the holiday data if any of the workspaces has a holiday country. */
export async function loadHolidaysFor(rows: unknown): Promise<void> {
  const places = z.array(z.object({ holiday_country: z.string().nullable() })).parse(rows);
  if (places.some(({ holiday_country }) => holiday_country !== null)) await loadHolidays();
}
