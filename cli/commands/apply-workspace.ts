import { isDeepStrictEqual } from "node:util";
import { Command } from "commander";
import type * as z from "zod";
import { applyWorkspace, planWorkspace } from "../../lib/operate/apply-workspace.ts";
import { showWorkspace } from "../../lib/operate/workspaces.ts";
import { type Place, type Review, requireYes, signatureOf, withOperator, withPlace, withReview } from "../operator.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { showAdvice, showProgress } from "../terminal.ts";
import { describeSettings, readWorkspaceFile, writeWorkspaceFile } from "../workspace-file.ts";
import { warnOfPoorHolidays } from "./holidays.ts";

const APPLY_HELP = `
A file has the settings of one workspace, which its name identifies. Only the name is required, and the sender of a new
workspace. A setting without a value in the file stays as it is; null removes it; a list replaces the whole list.

  name: Harbour Homes
  timeZone: Europe/Berlin           for leads without a zone of their own; a new workspace: UTC
  sender: Hana <hana@harbour.example>
  sendWindow:                       a new workspace: Monday to Friday, 09:00 to 17:00
    days: [monday, tuesday, wednesday, thursday, friday]
    start: 09:00
    end: 17:00                      exclusive; not after start: overnight; at most 24:00
  holidays:                         days on which nothing is sent; a new workspace: none
    country: DE                     ISO 3166-1
    region: BY                      ISO 3166-2; quote numbers, as in "03"
    own: [2026-12-24]
    working: [2026-10-03]           holidays of the country that are none here
  dailyCap: 200                     touches per day; null: no cap
  gap: 4 hours                      between two touches of a lead; a new workspace: 0 minutes
  ghostedAfter: 7 days              without an answer to our last message, a lead that replied is followed up again
  availabilityMaxAge: 30 minutes    texts do not offer free times that were reported longer ago
  guardrail:                        pauses the workspace if more of the e-mails of seven days bounce or draw complaints
    bouncedPercent: 5               100: never
    bouncedAtLeast: 10              from this number of bounces
    complainedPercent: 0.3
    complainedAtLeast: 3
  digest:
    time: 08:00
    email: team@harbour.example     null: none
    webhookUrl: null                Slack-compatible
    muted: false

If the file is invalid, the command prints all errors with their positions and applies nothing. It shows the changes and asks
before it applies them. If the workspace changes in between, nothing is applied.

Exits with 1 if nothing was applied.

Examples:
  $ npm run backstop -- workspaces apply workspaces/harbour-homes.yaml --by Hana --reason "first set-up"
  $ npm run backstop -- workspaces apply renamed.yaml --workspace "Harbour Homes" --by Hana --reason "new company name"`;

type ApplyOptions = Place & Review & { readonly workspace?: string };

/** The command `workspaces apply`. Throws errors and refusals as Problem. */
export const applyWorkspaceCommand = (): Command =>
  withReview(withPlace(new Command("apply")))
    .description(applyWorkspace.summary)
    .argument("<file>", "YAML file with the settings of one workspace")
    .option("--workspace <id or name>", "the workspace to change, if the file gives it another name")
    .addHelpText("after", APPLY_HELP)
    .action(apply);

async function apply(path: string, { workspace, ...options }: ApplyOptions): Promise<void> {
  const signature = signatureOf(options);
  const file = await readWorkspaceFile(path);
  if ("faults" in file) throw invalidFile(file.faults);
  await withOperator(options, async (operator, signal) => {
    const plan = await operator.ask(planWorkspace, { workspace: workspace ?? null, settings: file.settings });
    const { workspaceId, before, after, faults } = plan;
    if (faults.length > 0) throw invalidFile(file.faultTexts(faults));
    showPlan(plan);
    if (!signature || isDeepStrictEqual(before, after)) return;
    const question = before ? `Apply these changes to ${before.name}?` : `Create the workspace ${after.name}?`;
    await requireYes(question, options, signal);
    const applied = await operator.order(applyWorkspace, { workspaceId, before, after }, signature);
    showProgress(`${applied.created ? "Created" : "Changed"} ${applied.name} (${applied.workspaceId})`);
  });
}

function showPlan({ before, after, advice }: z.output<typeof planWorkspace.answer>): void {
  print(`${describeSettings(before, after)}\n`);
  showAdvice(advice);
  const { country } = after.holidays;
  if (country !== null && country !== before?.holidays.country) warnOfPoorHolidays(country);
}

function invalidFile(faults: readonly string[]): Problem {
  for (const fault of faults) showProgress(fault);
  return new Problem(`nothing was applied: correct the ${faults.length} errors above and try again`);
}

/** The command `workspaces export`. Throws errors and refusals as Problem. */
export const exportWorkspaceCommand = (): Command =>
  withPlace(new Command("export"))
    .description("Prints the settings of a workspace as a file; applying it is a no-op.")
    .argument("<workspace>", "the id or the name")
    .addHelpText(
      "after",
      '\nExample:\n  $ npm run --silent backstop -- workspaces export "Harbour Homes" > harbour-homes.yaml',
    )
    .action((workspace: string, where: Place) =>
      withOperator(where, async (operator) => {
        process.stdout.write(writeWorkspaceFile(await operator.ask(showWorkspace, { workspace })));
      }),
    );
