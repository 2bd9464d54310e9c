import { Command } from "commander";
import type * as z from "zod";
import { finish, listTasks } from "../../lib/operate/tasks.ts";
import { allPages } from "../all-pages.ts";
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
import { formatMinute, uuid } from "../terminal.ts";

const HELP = `
A step on the channel \`task\` creates a task for a person. It is cancelled when its sequence is stopped, for example by a booking.

Examples:
  $ npm run backstop -- tasks list --workspace "Harbour Homes" --stage production
  $ npm run backstop -- tasks done 0190f0f0-0000-7000-8000-000000000001 --by Hana --reason "called"`;

/** The command `tasks list|done`. Throws errors and refusals as Problem. */
export function tasksCommand(): Command {
  return new Command("tasks")
    .summary("list open tasks, or mark one as done")
    .description("Lists the open tasks with their lead, and marks one as done.")
    .addCommand(listCommand())
    .addCommand(doneCommand())
    .addHelpText("after", HELP);
}

const listCommand = () =>
  withPlace(new Command("list"))
    .description(listTasks.summary)
    .option("--workspace <id or name>", "only this workspace")
    .option("--json", "print the answer as JSON")
    .action(({ workspace, json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await allPages(operator, listTasks, { ...(workspace && { workspace }) }, "tasks");
        printAnswer(listTasks, answer, { json, text: listText(answer) });
      }),
    );

const doneCommand = () =>
  withSignature(withPlace(new Command("done")))
    .description(finish.summary)
    .argument("<task>", "the id of the task", uuid)
    .action((task: string, { by, reason, ...place }: Place & Signature) =>
      withOperator(place, async (operator) => {
        const { changed } = await operator.order(finish, { task }, { by, reason });
        print(`The task ${task} ${changed ? "is done" : "was done already"}.\n`);
      }),
    );

function listText({ tasks }: z.output<typeof listTasks.answer>): string {
  if (tasks.length === 0) return "No task is open.\n";
  const texts = tasks.map((task) => {
    const lead = [task.leadName, task.email, task.phone].filter(Boolean).join(", ") || task.leadId;
    const from = `step ${task.position} of "${task.sequence}" in ${task.workspace}, since ${formatMinute(task.createdAt)}`;
    const notes = task.notes === "" ? [] : task.notes.split("\n").map((line) => `  | ${line}`);
    return [`${task.id}  ${task.title}`, `  ${lead}`, `  ${from}`, ...notes].join("\n");
  });
  return `${texts.join("\n\n")}\n`;
}
