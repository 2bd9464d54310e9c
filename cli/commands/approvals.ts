import { Command, InvalidArgumentError } from "commander";
import {
  type ApprovalAnswer,
  approveTouch,
  currentText,
  findTouch,
  listWaiting,
  rejectTouch,
  type WaitingTouch,
} from "../../lib/store/approvals.ts";
import { databaseNow, onPool, type Queryable, type Transactional } from "../../lib/store/sql.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { refusalText } from "../reason-texts.ts";
import { folderOption, formatMinute, nonBlank, uuid } from "../terminal.ts";

const HELP = `
A step that needs approval is stored as a waiting touch, and its sequence is paused. \`show\` prints the text and its fingerprint.
\`approve\` approves exactly that text: it is refused if the template or the lead's data has changed since.

The next run sends an approved touch when the send window, the gap and all other rules permit it. A booking or an opt-out before
that cancels it. A rejected touch is never sent. After either, the sequence continues with its next step. A touch without a
decision expires at the end of its time to live, and the sequence continues.

Exits with 1 if the decision was refused, with the reason on standard error.

Examples:
  $ npm run backstop -- approvals list
  $ npm run backstop -- approvals show 0190f0f0-0000-7000-8000-000000000001
  $ npm run backstop -- approvals approve 0190f0f0-0000-7000-8000-000000000001 --fingerprint 5f0c… --by Hana
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

const MAX_LISTED = 100;

const listCommand = () =>
  withFolder(new Command("list"))
    .description("Lists the touches that need approval, by expiry. Shows no text, name or address.")
    .option("--workspace <id>", "only this workspace", uuid)
    .action(({ workspace, folder }: { workspace?: string; folder: string }) =>
      printOn(folder, async (statements) => {
        const touches = await listWaiting(statements, { workspaceId: workspace ?? null, limit: MAX_LISTED + 1 });
        return touches.length === 0 ? "No touch needs approval.\n" : tableOf(touches);
      }),
    );

const showCommand = () =>
  withFolder(touchCommand("show"))
    .description("Shows the text as it would be sent now, with its fingerprint.")
    .action((touchId: string, { folder }: { folder: string }) =>
      printOn(folder, async (statements) => show(statements, await existing(statements, touchId))),
    );

interface ApproveOptions {
  readonly fingerprint: string;
  readonly by: string;
  readonly folder: string;
}

const approveCommand = () =>
  withFolder(touchCommand("approve"))
    .description("Approves the text that `show` printed. The next run sends it.")
    .requiredOption("--fingerprint <sha256>", "the fingerprint that `show` printed", sha256)
    .requiredOption("--by <name>", "who approves it; stored", nonBlank)
    .action((touchId: string, { fingerprint, by, folder }: ApproveOptions) =>
      printOn(folder, async (statements) => {
        const { workspaceId } = await existing(statements, touchId);
        const at = await databaseNow(statements);
        const approval = { workspaceId, touchId, fingerprint, by, at };
        const answer = await statements.transaction((transaction) => approveTouch(transaction, approval));
        return resultText(answer, `Approved ${touchId}: the next run sends it when all rules permit it.`);
      }),
    );

interface RejectOptions {
  readonly reason: string;
  readonly by: string;
  readonly folder: string;
}

const rejectCommand = () =>
  withFolder(touchCommand("reject"))
    .description("Rejects a touch. It is never sent, and its sequence continues.")
    .requiredOption("--reason <text>", "why; stored, so leave out names and addresses", nonBlank)
    .requiredOption("--by <name>", "who rejects it; stored", nonBlank)
    .action((touchId: string, { reason, by, folder }: RejectOptions) =>
      printOn(folder, async (statements) => {
        const { workspaceId } = await existing(statements, touchId);
        const at = await databaseNow(statements);
        const rejection = { workspaceId, touchId, reason, by, at };
        const answer = await statements.transaction((transaction) => rejectTouch(transaction, rejection));
        return resultText(answer, `Rejected ${touchId}: it is never sent, and its sequence continues.`);
      }),
    );

const touchCommand = (name: string) => new Command(name).argument("<touch>", "the id of the touch", uuid);
const withFolder = (command: Command) => command.addOption(folderOption("folder of the local database"));

async function printOn(folder: string, work: (statements: Transactional) => Promise<string>): Promise<void> {
  print(await withExistingDatabase(folder, ({ pool }) => work(onPool(pool))));
}

async function existing(db: Queryable, touchId: string): Promise<WaitingTouch> {
  const touch = await findTouch(db, touchId);
  if (!touch)
    throw new Problem(
      `there is no touch ${touchId}; \`npm run backstop -- approvals list\` lists the touches that need approval`,
    );
  return touch;
}

function resultText({ outcome, reason }: ApprovalAnswer, sentence: string): string {
  if (outcome === "refused") throw new Problem(`refused: ${refusalText(reason ?? "")}`);
  return `${sentence}\n`;
}

async function show(statements: Transactional, touch: WaitingTouch): Promise<string> {
  const { id: touchId, workspaceId } = touch;
  const at = await databaseNow(statements);
  const text = await statements.transaction((transaction) => currentText(transaction, { workspaceId, touchId, at }));
  if ("refused" in text) throw new Problem(`touch ${touchId} is ${touch.status}: ${refusalText(text.refused)}`);
  const { subject, body } = text.message;
  const ends = touch.expiresAt ? `, expires ${formatMinute(touch.expiresAt)}` : "";
  return [
    `Touch ${touchId}, step ${touch.position} of "${touch.sequenceName}" in ${touch.workspaceName} (${touch.channel})${ends}`,
    ...(subject === null ? [] : [`Subject: ${subject}`]),
    body,
    `Fingerprint: ${text.fingerprint}\n`,
  ].join("\n\n");
}

function tableOf(touches: readonly WaitingTouch[]): string {
  const head = ["touch", "step", "times"];
  const rows = touches
    .slice(0, MAX_LISTED)
    .map(({ id, workspaceName, sequenceName, position, channel, claimedAt, expiresAt }) => [
      id,
      `step ${position} of "${sequenceName}" in ${workspaceName}, ${channel}`,
      `created ${formatMinute(claimedAt)}\nexpires ${expiresAt ? formatMinute(expiresAt) : "never"}`,
    ]);
  const more = touches.length > MAX_LISTED ? `\nOnly the first ${MAX_LISTED} are shown.` : "";
  return `${fittedTable({ head, rows }, columnsOf(process.stdout))}${more}\n`;
}

function sha256(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidArgumentError(
    "Expected the 64 hexadecimal digits that `npm run backstop -- approvals show` prints.",
  );
}
