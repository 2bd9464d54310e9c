import { Command } from "commander";
import type * as z from "zod";
import {
  pauseAllWorkspaces,
  pauseWorkspace,
  resumeAllWorkspaces,
  resumeWorkspace,
} from "../../lib/operate/pause-workspace.ts";
import { listWorkspaces, showWorkspace } from "../../lib/operate/workspaces.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import {
  type AskOptions,
  type Place,
  printAnswer,
  type Signature,
  withOperator,
  withPlace,
  withSignature,
} from "../operator.ts";
import { print } from "../print.ts";
import { UsageProblem } from "../problem.ts";
import { workspaceState } from "../reason-texts.ts";
import { formatWindow } from "../terminal.ts";
import { applyWorkspaceCommand, exportWorkspaceCommand } from "./apply-workspace.ts";

const HELP = `
A workspace is named by its id or its name. A paused workspace claims and sends nothing; its sequences still stop when a lead
books. A run also pauses a workspace if too many of its e-mails bounce or are reported as spam (guardrail). After a resume, the
guardrail counts only e-mails sent since.

Examples:
  $ npm run backstop -- workspaces apply workspaces/harbour-homes.yaml --by Hana --reason "first set-up"
  $ npm run backstop -- workspaces list
  $ npm run backstop -- workspaces show "Harbour Homes" --stage production
  $ npm run backstop -- workspaces pause "Harbour Homes" --by Hana --reason "wrong price list"
  $ npm run backstop -- workspaces resume "Harbour Homes" --by Hana --reason "price list corrected"
  $ npm run backstop -- workspaces pause --all --stage production --by Hana --reason "wrong sender"`;

const PAUSE: Switch = {
  one: pauseWorkspace,
  all: pauseAllWorkspaces,
  changed: "paused",
  unchanged: "was paused already",
  others: "paused already",
};

const RESUME: Switch = {
  one: resumeWorkspace,
  all: resumeAllWorkspaces,
  changed: "resumed",
  unchanged: "was not paused",
  others: "still paused, because they were not paused with --all",
};

/** The command `workspaces list|show|pause|resume`. Throws errors and refusals as Problem. */
export function workspacesCommand(): Command {
  return new Command("workspaces")
    .summary("create, change, list, show, pause or resume workspaces")
    .description("Creates workspaces and changes their settings from files; lists, shows, pauses and resumes them.")
    .addCommand(applyWorkspaceCommand())
    .addCommand(exportWorkspaceCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(switchCommand("pause", PAUSE))
    .addCommand(switchCommand("resume", RESUME))
    .addHelpText("after", HELP);
}

const listCommand = () =>
  withPlace(new Command("list"))
    .description(listWorkspaces.summary)
    .option("--json", "print the answer as JSON")
    .action(({ json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(listWorkspaces, {});
        printAnswer(listWorkspaces, answer, { json, text: tableOf(answer) });
      }),
    );

const showCommand = () =>
  withPlace(new Command("show"))
    .description(showWorkspace.summary)
    .argument("[workspace]", "the id or the name; may be left out if there is only one")
    .option("--json", "print the answer as JSON")
    .action((workspace: string | undefined, { json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(showWorkspace, { ...(workspace && { workspace }) });
        printAnswer(showWorkspace, answer, { json, text: settingsText(answer) });
      }),
    );

interface Switch {
  readonly one: typeof pauseWorkspace;
  readonly all: typeof pauseAllWorkspaces;
  /** How one workspace is afterwards, by whether that is new. */
  readonly changed: string;
  readonly unchanged: string;
  /** The heading of those that `all` does not change. */
  readonly others: string;
}

const switchCommand = (name: string, { one, all, changed, unchanged, others }: Switch) =>
  withSignature(withPlace(new Command(name)))
    .description(one.summary)
    .argument("[workspace]", "the id or the name")
    .option("--all", all.summary)
    .action(
      (workspace: string | undefined, { by, reason, all: every, ...place }: Place & Signature & { all?: true }) => {
        if ((workspace === undefined) === (every === undefined))
          throw new UsageProblem("which workspace? Give its id or its name, or else --all");
        return withOperator(place, async (operator) => {
          if (workspace === undefined) {
            const answer = await operator.order(all, {}, { by, reason });
            print(`${namesText(changed, answer.changed)}${namesText(others, answer.unchanged)}`);
          } else {
            const answer = await operator.order(one, { workspace }, { by, reason });
            print(`${answer.name} ${answer.changed ? changed : unchanged}.\n`);
          }
        });
      },
    );

const namesText = (heading: string, names: readonly string[]): string =>
  [`${names.length} ${heading}${names.length > 0 ? ":" : "."}`, ...names.map((name) => `  ${name}`), ""].join("\n");

function tableOf({ workspaces }: z.output<typeof listWorkspaces.answer>): string {
  if (workspaces.length === 0)
    return "There is no workspace yet. Create one: npm run backstop -- workspaces apply FILE.yaml\n";
  const head = ["workspace", "time zone", "leads", "live", "state"];
  const rows = workspaces.map((workspace) => {
    const { name, timeZone, leads, liveInstances } = workspace;
    return [name, timeZone, leads, liveInstances, workspaceState(workspace)];
  });
  return `${fittedTable({ head, rows }, columnsOf(process.stdout))}\n`;
}

const guardrailText = (limits: z.output<typeof showWorkspace.answer>["guardrail"]): string =>
  `over ${limits.bouncedPercent} % bounced (from ${limits.bouncedAtLeast}), or ` +
  `over ${limits.complainedPercent} % were reported as spam (from ${limits.complainedAtLeast})`;

function settingsText(workspace: z.output<typeof showWorkspace.answer>): string {
  const { sendWindow, holidays, digest, dailyCap, guardrail } = workspace;
  const country = [holidays.country, holidays.region].filter((part) => part !== null).join("-");
  const rows = [
    ["id", workspace.id],
    ["state", workspaceState(workspace)],
    ["time zone", workspace.timeZone],
    ["send window", formatWindow(sendWindow)],
    ["holidays", [country || "none", ...holidays.own, ...holidays.working.map((date) => `not ${date}`)].join(", ")],
    ["daily cap", dailyCap === null ? "none" : String(dailyCap)],
    ["gap", `${workspace.gapMinutes} min between two touches of a lead`],
    ["ghosted after", `${workspace.ghostedAfterDays} days without a reply`],
    ["free times", `offered until ${workspace.availabilityMaxAgeMinutes} min after their report`],
    ["sender", workspace.emailFrom],
    ["guardrail", `pauses if of the e-mails of 7 days ${guardrailText(guardrail)}`],
    ["digest", digest.muted ? "muted" : `${digest.time} to ${digest.email ?? digest.webhookUrl ?? "no receiver"}`],
    ...workspace.sweeps.map(({ text }) => ["booking tool", text] as const),
    ["leads", `${workspace.leads}, with ${workspace.liveInstances} live sequences`],
  ] as const;
  return `${workspace.name}\n${rows.map(([key, value]) => `  ${key.padEnd(13)}  ${value}`).join("\n")}\n`;
}
