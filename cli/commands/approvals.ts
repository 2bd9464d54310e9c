import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import { type ApprovalAnswer, approveTouch, currentText, rejectTouch } from "../../lib/store/approvals.ts";
import { databaseNow } from "../../lib/store/clock.ts";
import { onPool, type Queryable, type Transactional } from "../../lib/store/sql.ts";
import { findTouch, listWaiting, type WaitingTouch } from "../../lib/store/waiting-touches.ts";
import { someText, uuid } from "../arguments.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { LOCAL_FOLDER } from "../postgres/local-database.ts";
import { Problem } from "../problem.ts";
import { inWords } from "../reason-texts.ts";
import { instantOf } from "../terminal.ts";

const LESSON = `
A step that needs approval is laid aside as a touch that waits; its sequence is paused meanwhile. A person looks at the text with
\`show\`, and approves that very text by its fingerprint: where the template or the lead's data has changed it since, approving
is refused and the text has to be looked at again.

Approved, it goes out by the next run, once the lead's send window, the gap and all else that is asked before a sending let it; a
booking or an opt-out until then cancels it. Rejected, it is never sent. Either way the sequence goes on with its next step,
that step's delay later. A touch on which nobody decides before its time to live is over expires, and the sequence goes on.

Exit code: 0 when it was done, 1 when it was refused, with the reason on standard error.

Examples:
  $ npm run backstop -- approvals list
  $ npm run backstop -- approvals show 0190f0f0-0000-7000-8000-000000000001
  $ npm run backstop -- approvals approve 0190f0f0-0000-7000-8000-000000000001 --fingerprint 5f0c… --by Hana
  $ npm run backstop -- approvals reject 0190f0f0-0000-7000-8000-000000000001 --reason "too pushy" --by Hana`;

/** The command `approvals`. Throws errors and refusals as Problem. */
export function approvalsCommand(): Command {
  return new Command("approvals")
    .summary("look at what waits for approval; approve or reject it")
    .description("Lists and shows the touches that wait for a person's approval, and approves or rejects them.")
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(approveCommand())
    .addCommand(rejectCommand())
    .addHelpText("after", LESSON);
}

const LISTED_AT_MOST = 100;

const listCommand = () =>
  withFolder(new Command("list"))
    .description(
      "Lists what waits for approval, that first which expires first. It shows no text, no name and no address.",
    )
    .option("--workspace <id>", "only that workspace", uuid)
    .action(({ workspace, folder }: { workspace?: string; folder: string }) =>
      tell(folder, async (statements) => {
        const touches = await listWaiting(statements, { workspaceId: workspace ?? null, limit: LISTED_AT_MOST + 1 });
        return touches.length === 0 ? "Nothing waits for approval.\n" : tableOf(touches);
      }),
    );

const showCommand = () =>
  withFolder(touchCommand("show"))
    .description("Shows the text that waits, as it would be sent now, with its fingerprint.")
    .action((touchId: string, { folder }: { folder: string }) =>
      tell(folder, async (statements) => show(statements, await existing(statements, touchId))),
    );

interface Approving {
  readonly fingerprint: string;
  readonly by: string;
  readonly folder: string;
}

const approveCommand = () =>
  withFolder(touchCommand("approve"))
    .description("Approves the text that was shown; it goes out by the next run.")
    .requiredOption("--fingerprint <sha256>", "of the text that was shown", sha256)
    .requiredOption("--by <name>", "who approves it; goes on record", someText)
    .action((touchId: string, { fingerprint, by, folder }: Approving) =>
      tell(folder, async (statements) => {
        const { workspaceId } = await existing(statements, touchId);
        const at = await databaseNow(statements);
        const approval = { workspaceId, touchId, fingerprint, by, at };
        const answer = await statements.transaction((transaction) => approveTouch(transaction, approval));
        return done(answer, `Approved ${touchId}: it goes out by the next run, when it may.`);
      }),
    );

interface Rejecting {
  readonly reason: string;
  readonly by: string;
  readonly folder: string;
}

const rejectCommand = () =>
  withFolder(touchCommand("reject"))
    .description("Rejects a touch: it is never sent, and its sequence goes on.")
    .requiredOption("--reason <text>", "why; goes on record, so no name and no address", someText)
    .requiredOption("--by <name>", "who rejects it; goes on record", someText)
    .action((touchId: string, { reason, by, folder }: Rejecting) =>
      tell(folder, async (statements) => {
        const { workspaceId } = await existing(statements, touchId);
        const at = await databaseNow(statements);
        const rejection = { workspaceId, touchId, reason, by, at };
        const answer = await statements.transaction((transaction) => rejectTouch(transaction, rejection));
        return done(answer, `Rejected ${touchId}: it is never sent, and its sequence goes on.`);
      }),
    );

const touchCommand = (name: string) => new Command(name).argument("<touch>", "the id of the touch", uuid);
const withFolder = (command: Command) =>
  command.option("--folder <path>", "where the local database lies", LOCAL_FOLDER);

async function tell(folder: string, work: (statements: Transactional) => Promise<string>): Promise<void> {
  process.stdout.write(await withExistingDatabase(folder, ({ pool }) => work(onPool(pool))));
}

async function existing(db: Queryable, touchId: string): Promise<WaitingTouch> {
  const touch = await findTouch(db, touchId);
  if (!touch)
    throw new Problem(`there is no touch ${touchId}; \`npm run backstop -- approvals list\` tells those that wait`);
  return touch;
}

function done({ outcome, reason }: ApprovalAnswer, sentence: string): string {
  if (outcome === "refused") throw new Problem(`refused: ${inWords(reason ?? "")}`);
  return `${sentence}\n`;
}

async function show(statements: Transactional, touch: WaitingTouch): Promise<string> {
  const { id: touchId, workspaceId } = touch;
  const at = await databaseNow(statements);
  const text = await statements.transaction((transaction) => currentText(transaction, { workspaceId, touchId, at }));
  if ("refused" in text) throw new Problem(`touch ${touchId} is ${touch.status}: ${inWords(text.refused)}`);
  const { subject, body } = text.message;
  const ends = touch.expiresAt ? `, expires ${instantOf(touch.expiresAt)}` : "";
  return [
    `Touch ${touchId}, step ${touch.position} of "${touch.sequenceName}" in ${touch.workspaceName} (${touch.channel})${ends}`,
    ...(subject === null ? [] : [`Subject: ${subject}`]),
    body,
    `Fingerprint: ${text.fingerprint}\n`,
  ].join("\n\n");
}

function tableOf(touches: readonly WaitingTouch[]): string {
  const head = ["touch", "workspace", "sequence", "step", "channel", "waits since", "expires"];
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  table.push(
    ...touches
      .slice(0, LISTED_AT_MOST)
      .map(({ id, workspaceName, sequenceName, position, channel, claimedAt, expiresAt }) => {
        const ends = expiresAt ? instantOf(expiresAt) : "never";
        return [id, workspaceName, sequenceName, position, channel, instantOf(claimedAt), ends];
      }),
  );
  const more = touches.length > LISTED_AT_MOST ? `\nThere are more than these ${LISTED_AT_MOST}.` : "";
  return `${table.toString()}${more}\n`;
}

function sha256(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidArgumentError("It is the 64 hexadecimal digits that `npm run backstop -- approvals show` tells.");
}
