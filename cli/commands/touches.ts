import { Argument, Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { TOUCH_STATUSES, type TouchStatus } from "../../lib/domain/labels.ts";
import { refusalText } from "../../lib/operate/refusal-texts.ts";
import { countAllTouches, listTouches, planRetry, retryTouches, settleTouch } from "../../lib/operate/touches.ts";
import { allPages } from "../all-pages.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import {
  type AskOptions,
  type Operator,
  type Place,
  printAnswer,
  type Review,
  requireYes,
  type Signature,
  signatureOf,
  withOperator,
  withPlace,
  withReview,
  withSignature,
} from "../operator.ts";
import { print } from "../print.ts";
import { ageOf, uuid } from "../terminal.ts";

const HELP = `
A touch is \`unknown\` if its send ended without an answer: it may have arrived. It is never sent again. Find out, then settle it as
sent or failed.

A touch is \`failed\` if its provider refused it. When the cause is repaired, retry the failed touches. The next run decides when
each may go. A touch stays failed if its lead has booked, replied or may not be contacted. It also stays failed if its sequence has
ended, a later step went out, or its time to live is over.

Examples:
  $ npm run backstop -- touches list --status unknown failed --stage production
  $ npm run backstop -- touches count --claimed-since 2026-11-30T08:00Z
  $ npm run backstop -- touches settle 0190f0f0-0000-7000-8000-000000000001 sent --by Hana --reason "seen in the log"
  $ npm run backstop -- touches retry --workspace "Harbour Homes" --since 2026-11-30T08:00Z --dry-run
  $ npm run backstop -- touches retry --failure ses_message_rejected --by Hana --reason "the sender is verified now"`;

/** The command `touches list|count|settle|retry`. Throws errors and refusals as Problem. */
export function touchesCommand(): Command {
  return new Command("touches")
    .summary("list or count touches by status, settle unknown ones, or retry failed ones")
    .description("Lists and counts touches by status, settles those of unknown outcome, and sends failed ones again.")
    .addCommand(listCommand())
    .addCommand(countCommand())
    .addCommand(settleCommand())
    .addCommand(retryCommand())
    .addHelpText("after", HELP);
}

interface Listing extends AskOptions {
  readonly status: TouchStatus[];
  readonly since?: Date;
}

const listCommand = () =>
  withPlace(new Command("list"))
    .description(`${listTouches.summary} Shows no text.`)
    .addOption(new Option("--status <statuses...>", "which").choices(TOUCH_STATUSES).default(["unknown", "failed"]))
    .option("--workspace <id or name>", "only this workspace")
    .option("--since <time>", "only those sent, last tried or claimed since then", instant)
    .option("--json", "print the answer as JSON")
    .action(({ status, workspace, since, json, ...place }: Listing) =>
      withOperator(place, async (operator) => {
        const which = { ...(workspace && { workspace }), ...(since && { since: since.toISOString() }) };
        const answer = await allPages(operator, listTouches, { statuses: status, ...which }, "touches");
        printAnswer(listTouches, answer, { json, text: tableOf(answer) });
      }),
    );

type List = z.output<typeof listTouches.answer>;

function tableOf({ touches, askedAt }: List): string {
  if (touches.length === 0) return "No touch has such a status.\n";
  const rows = touches.map((touch) => [
    touch.id,
    [touch.status, touch.reason ?? "", ageOf(touch.at, askedAt)].filter((part) => part !== "").join("\n"),
    [touch.leadName, touch.address ?? touch.leadId, `in ${touch.workspace}`].filter((part) => part !== "").join("\n"),
    `${touch.sequence}\nstep ${touch.position}, ${touch.channel}`,
  ]);
  return `${fittedTable({ head: ["touch", "status", "lead", "step"], rows }, columnsOf(process.stdout))}\n`;
}

interface Counting extends AskOptions {
  readonly status?: TouchStatus[];
  readonly claimedSince?: Date;
}

const countCommand = () =>
  withPlace(new Command("count"))
    .description(countAllTouches.summary)
    .addOption(new Option("--status <statuses...>", "which; by default all").choices(TOUCH_STATUSES))
    .option("--workspace <id or name>", "only this workspace")
    .option("--claimed-since <time>", "only those that were claimed since then", instant)
    .option("--json", "print the answer as JSON")
    .action(({ status, workspace, claimedSince, json, ...place }: Counting) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(countAllTouches, {
          ...(status && { statuses: status }),
          ...(workspace && { workspace }),
          ...(claimedSince && { claimedSince: claimedSince.toISOString() }),
        });
        printAnswer(countAllTouches, answer, { json, text: countsText(answer) });
      }),
    );

function countsText({ groups, askedAt }: z.output<typeof countAllTouches.answer>): string {
  if (groups.length === 0) return "There is no such touch.\n";
  const head = ["touches", "status", "channel", "reason", "may go now", "oldest"];
  const rows = groups.map(({ touches, status, channel, reason, due, oldest }) => [
    touches,
    status,
    channel,
    reason ?? "",
    status === "claimed" ? due : "",
    ageOf(oldest, askedAt),
  ]);
  return `${fittedTable({ head, rows, rightAligned: ["touches", "may go now"] }, columnsOf(process.stdout))}\n`;
}

const settleCommand = () =>
  withSignature(withPlace(new Command("settle")))
    .description(settleTouch.summary)
    .argument("<touch>", "the id of the touch", uuid)
    .addArgument(new Argument("<outcome>", "what happened to it").choices(["sent", "failed"]))
    .action((touch: string, outcome: "sent" | "failed", { by, reason, ...place }: Place & Signature) =>
      withOperator(place, async (operator) => {
        const { touchId, status } = await operator.order(settleTouch, { touch, outcome }, { by, reason });
        print(`The touch ${touchId} is ${status}.\n`);
      }),
    );

interface Retrying extends Place, Review {
  readonly workspace?: string;
  readonly failure?: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly json?: boolean;
}

const retryCommand = () =>
  withReview(withPlace(new Command("retry")))
    .description(`${retryTouches.summary} Shows how many first.`)
    .option("--workspace <id or name>", "of this workspace; may be left out if there is only one")
    .option("--failure <reason>", "only those that failed for this reason, as `touches list` shows it")
    .option("--since <time>", "only those last tried since then", instant)
    .option("--until <time>", "only those last tried before", instant)
    .option("--json", "print what would be sent as JSON")
    .action(({ json, workspace, failure, since, until, ...options }: Retrying) => {
      const signature = signatureOf(options);
      return withOperator(options, async (operator, signal) => {
        const input = {
          ...(workspace && { workspace }),
          ...(failure && { failure }),
          ...(since && { since: since.toISOString() }),
          ...(until && { until: until.toISOString() }),
        };
        const plan = await operator.ask(planRetry, input);
        printAnswer(planRetry, plan, { json, text: planText(plan) });
        const retryable = countOf(plan);
        if (!signature || retryable === 0) return;
        await requireYes(`Send ${retryable} touches again?`, options, signal);
        const retried = await retryAll(operator, { ...input, workspace: plan.workspaceId }, signature);
        print(`${retried} touches are claimed again: the next run decides when each may go.\n`);
      });
    });

type Plan = z.output<typeof planRetry.answer>;

const countOf = ({ groups }: Plan): number =>
  groups.reduce((sum, { bar, touches }) => sum + (bar === null ? touches : 0), 0);

function planText(plan: Plan): string {
  if (plan.groups.length === 0) return `No such touch of ${plan.workspace} failed.\n`;
  const lines = plan.groups.map(({ failure, bar, touches }) => {
    const fate = bar === null ? "would be sent again" : `not sent again: ${refusalText(bar)}`;
    return `  ${String(touches).padStart(6)}  ${failure ?? "(no reason)"}  ${fate}`;
  });
  return `Failed touches of ${plan.workspace}:\n${lines.join("\n")}\n`;
}

async function retryAll(
  operator: Operator,
  input: z.input<typeof retryTouches.input>,
  signature: Signature,
): Promise<number> {
  const { retried, more } = await operator.order(retryTouches, input, signature);
  return retried + (more ? await retryAll(operator, input, signature) : 0);
}

const INSTANT = z.union([z.iso.datetime({ offset: true }), z.iso.datetime({ offset: true, precision: -1 })]);

/** Parses an instant with its offset; seconds may be left out. */
function instant(text: string): Date {
  const parsed = INSTANT.safeParse(text);
  if (parsed.success) return new Date(parsed.data);
  throw new InvalidArgumentError("Expected an instant, such as 2026-11-30T08:00Z.");
}
