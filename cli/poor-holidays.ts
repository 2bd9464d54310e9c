import { POOR_DATA } from "../lib/domain/holidays.ts";
import { showProgress } from "./terminal.ts";

/** Warns on standard error if the public holidays of a country are incomplete. */
export function warnOfPoorHolidays(country: string): void {
  if (POOR_DATA[country]) showProgress(`Warning: the data of ${country} is poor: ${POOR_DATA[country]}`);
}
