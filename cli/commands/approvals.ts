import { Command, InvalidArgumentError } from "commander";
import type * as z from "zod";
import { approve, listApprovals, reject, showApproval } from "../../lib/operate/approvals.ts";
import { allPages } from "../all-pages.ts";
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
import { Problem } from "../problem.ts";
import { ageOf, confirm, formatMinute, uuid } from "../terminal.ts";

const HELP = `
A step that needs approval is stored as a waiting touch, and its sequence is paused. \`show\` prints the recipient, the text and
its fingerprint. \`approve\` does too, and asks; with the fingerprint of a text that you have read, it does not ask. Exactly that
text is approved: it is refused if the template or the lead's data has changed since.

The next run sends an approved touch when the send window, the gap and all other rules permit it. A booking or an opt-out before
that cancels it. A rejected touch is never sent. After either, the sequence continues with its next step. A touch without a
decision expires at the end of its time to live, and the sequence continues.

Exits with 1 if the decision was refused, with the reason on standard error.

Examples:
  $ npm run backstop -- approvals list --stage production
  $ npm run backstop -- approvals show 0190f0f0-0000-7000-8000-000000000001
  $ npm run backstop -- approvals approve 0190f0f0-0000-7000-8000-000000000001 --by Hana --reason "reads well"
  $ npm run backstop -- approvals reject 0190f0f0-0000-7000-8000-000000000001 --reason "too pushy" --by Hana`;

/** The command `approvals`. Throws errors and refusals as Problem. */
export function approvalsCommand(): Command {
  return new Command("approvals")
    .summary("list, show, approve or reject touches that need approval")
    .description("Lists, shows, approves and rejects touches that need approval.")
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(approveCommand())
    .addCommand(rejectCommand())
    .addHelpText("after", HELP);
}

const listCommand = () =>
  withPlace(new Command("list"))
    .description(`${listApprovals.summary} Shows no text.`)
    .option("--workspace <id or name>", "only this workspace")
    .option("--json", "print the answer as JSON")
    .action(({ workspace, json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await allPages(operator, listApprovals, { ...(workspace && { workspace }) }, "touches");
        printAnswer(listApprovals, answer, { json, text: tableOf(answer) });
      }),
    );

const showCommand = () =>
  withPlace(touchCommand("show"))
    .description(showApproval.summary)
    .option("--json", "print the answer as JSON")
    .action((touch: string, { json, ...place }: AskOptions) =>
      withOperator(place, async (operator) => {
        const answer = await operator.ask(showApproval, { touch });
        printAnswer(showApproval, answer, { json, text: shown(answer) });
      }),
    );

const approveCommand = () =>
  withSignature(withPlace(touchCommand("approve")))
    .description("Shows the recipient and the text, asks, and approves it. The next run sends it.")
    .option(
      "--fingerprint <sha256>",
      "the fingerprint that `show` printed: approves that text without a question",
      sha256,
    )
    .action(
      (touch: string, { fingerprint, by, reason, ...place }: Place & Signature & { readonly fingerprint?: string }) =>
        withOperator(place, async (operator, signal) => {
          let read = fingerprint;
          if (read === undefined) {
            const text = await operator.ask(showApproval, { touch });
            print(shown(text));
            const otherwise = "read the text, and use --fingerprint to approve it";
            if (!(await confirm({ question: "Approve this text?", otherwise, signal })))
              throw new Problem("nothing was approved");
            read = text.fingerprint;
          }
          await operator.order(approve, { touch, fingerprint: read }, { by, reason });
          print(`Approved ${touch}: the next run sends it when all rules permit it.\n`);
        }),
    );

const rejectCommand = () =>
  withSignature(withPlace(touchCommand("reject")))
    .description(reject.summary)
    .action((touch: string, { by, reason, ...place }: Place & Signature) =>
      withOperator(place, async (operator) => {
        await operator.order(reject, { touch }, { by, reason });
        print(`Rejected ${touch}: it is never sent, and its sequence continues.\n`);
      }),
    );

const touchCommand = (name: string) => new Command(name).argument("<touch>", "the id of the touch", uuid);

function shown(answer: z.output<typeof showApproval.answer>): string {
  const { id, position, sequenceName, workspaceName, channel, expiresAt, subject, body, fingerprint } = answer;
  const ends = expiresAt ? `, expires ${formatMinute(expiresAt)}` : "";
  return [
    `Touch ${id}, step ${position} of "${sequenceName}" in ${workspaceName} (${channel})${ends}`,
    `To: ${recipientOf(answer)}`,
    ...(subject === null ? [] : [`Subject: ${subject}`]),
    body,
    `Fingerprint: ${fingerprint}\n`,
  ].join("\n\n");
}

type List = z.output<typeof listApprovals.answer>;
type WaitingTouch = List["touches"][number];

const recipientOf = ({ leadName, recipient, leadId }: Omit<WaitingTouch, "status">): string =>
  [leadName, recipient ?? leadId].filter((part) => part !== "").join(", ");

function tableOf({ touches, askedAt }: List): string {
  if (touches.length === 0) return "No touch needs approval.\n";
  const rows = touches.map((touch) => [
    touch.id,
    `step ${touch.position} of "${touch.sequenceName}" in ${touch.workspaceName}, ${touch.channel}\nto ${recipientOf(touch)}`,
    `waits ${ageOf(touch.claimedAt, askedAt)}\nexpires ${touch.expiresAt ? formatMinute(touch.expiresAt) : "never"}`,
  ]);
  return `${fittedTable({ head: ["touch", "step", "times"], rows }, columnsOf(process.stdout))}\n`;
}

function sha256(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidArgumentError(
    "Expected the 64 hexadecimal digits that `npm run backstop -- approvals show` prints.",
  );
}
