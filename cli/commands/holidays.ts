import { Command, InvalidArgumentError } from "commander";
import { hasHolidays, holidaysOfYear, loadHolidays, POOR_DATA, regionsOf } from "../../lib/domain/holidays.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { print } from "../print.ts";
import { UsageProblem } from "../problem.ts";
import { showProgress } from "../terminal.ts";

const HELP = `
Nothing is sent on these dates to leads of a workspace with this country and region. A workspace can add and remove dates: holidays.own and holidays.working of \`workspaces apply\`. Some countries have poor data, for which the command prints a warning: ${Object.keys(POOR_DATA).join(", ")}. Compare the dates with those that the country announces.

Examples:
  $ npm run backstop -- holidays list --country IN --year 2027
  $ npm run backstop -- holidays list --country DE --region BY --year 2027`;

interface Options {
  readonly country: string;
  readonly region?: string;
  readonly year: number;
}

/** The command `holidays list`. Needs no database. */
export function holidaysCommand(): Command {
  return new Command("holidays")
    .description("show which dates count as holidays of a country or region")
    .addCommand(
      new Command("list")
        .description("Lists the dates of a year on which nothing is sent.")
        .requiredOption("--country <code>", "two capital letters of ISO 3166-1, such as DE")
        .option("--region <code>", "the second part of ISO 3166-2, such as BY, or BY-A for a district")
        .requiredOption("--year <year>", "from 1971 to 2199", year)
        .addHelpText("after", HELP)
        .action(list),
    );
}

function year(text: string): number {
  if (/^\d{4}$/.test(text) && Number(text) >= 1971 && Number(text) <= 2199) return Number(text);
  throw new InvalidArgumentError("Expected a year from 1971 to 2199.");
}

async function list({ country, region, year }: Options): Promise<void> {
  await loadHolidays();
  requirePlace(country, region);
  const rows = holidaysOfYear(country, region ?? null, year).map(({ date, name }) => [date, weekdayOf(date), name]);
  print(`${fittedTable({ head: ["date", "day", "holiday"], rows }, columnsOf(process.stdout))}\n`);
  const regions = regionsOf(country).map(([code, name]) => `${code} ${name}`);
  if (region === undefined && regions.length > 0) showProgress(`Regions of ${country}: ${regions.join(", ")}`);
  warnOfPoorHolidays(country);
}

function requirePlace(country: string, region: string | undefined): void {
  if (!hasHolidays(country, null)) {
    throw new UsageProblem(`there are no known holidays of "${country}": expected two capital letters, such as DE`);
  }
  if (region === undefined || hasHolidays(country, region)) return;
  const known = regionsOf(country).map(([code]) => code);
  const expected = known.length > 0 ? `its regions are ${known.join(", ")}` : "it has no regions";
  throw new UsageProblem(`there are no known holidays of the region "${region}" of ${country}: ${expected}`);
}

const WEEKDAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", timeZone: "UTC" });

const weekdayOf = (date: string): string => WEEKDAY.format(new Date(date));

/** Warns on standard error if the public holidays of a country are incomplete. */
export function warnOfPoorHolidays(country: string): void {
  if (POOR_DATA[country]) showProgress(`Warning: the data of ${country} is poor: ${POOR_DATA[country]}`);
}
