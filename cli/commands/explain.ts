import { Command } from "commander";
import { decide, RULES } from "../../lib/domain/decide.ts";
import type { Decision } from "../../lib/domain/decision.ts";
import type { Database } from "../../lib/store/connect.ts";
import { type ExplainedInstance, explainInstance } from "../../lib/store/explain.ts";
import { databaseNow, onPool } from "../../lib/store/sql.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { columnsOf, fittedTable } from "../fitted.ts";
import { print } from "../print.ts";
import { Problem } from "../problem.ts";
import { REASON_TEXTS } from "../reason-texts.ts";
import { folderOption, formatMinute, formatWindow, uuid } from "../terminal.ts";

const HELP = `
Prints the touches of an instance so far, and what the engine would decide about the next step now: the rules that pass, the
rule that decides, the data that the rules use, and the next possible time. It changes nothing and shows no name or address.

The ids are in the report and the summary of a run. To find the instances of a lead:
  select id from follow_up_instance where lead_id = '…';

Example:
  $ npm run backstop -- explain 0190f0f0-0000-7000-8000-000000000001`;

/** The command `explain <instance>`. Throws errors as Problem. */
export function explainCommand(): Command {
  return new Command("explain")
    .summary("show why a step was sent or is not sent")
    .description("Shows the touches of an instance, and what would be decided about its next step now.")
    .argument("<instance>", "the id of the instance", uuid)
    .addOption(folderOption("folder of the local database"))
    .addHelpText("after", HELP)
    .action(async (instanceId: string, { folder }: { folder: string }) => {
      print(await withExistingDatabase(folder, (database) => explain(instanceId, database)));
    });
}

async function explain(instanceId: string, { pool }: Database): Promise<string> {
  const statements = onPool(pool);
  const now = await databaseNow(statements);
  const instance = await explainInstance(statements, instanceId, now);
  if (!instance) {
    throw new Problem(
      `there is no instance ${instanceId}; \`npm run backstop -- explain --help\` shows how to find the ids`,
    );
  }
  return `${[heading(instance), history(instance), ...reopenings(instance), ...next(instance, now)].join("\n\n")}\n`;
}

function heading({ candidate, sequenceName, status, why, nextStepDue }: ExplainedInstance): string {
  const reason = why ? ` (${why})` : "";
  const due = nextStepDue ? `, next step due ${formatMinute(nextStepDue)}` : "";
  return `Instance ${candidate.instanceId} of "${sequenceName}", at step ${candidate.position}: ${status}${reason}${due}`;
}

function history({ touches }: ExplainedInstance): string {
  if (touches.length === 0) return "No step has been claimed yet.";
  const head = ["generation", "step", "channel", "touch", "times"];
  const rows = touches.map(({ generation, position, channel, status, reason, ...instants }) => {
    return [generation, position, channel, reason ? `${status} (${reason})` : status, times(instants)];
  });
  return fittedTable({ head, rows }, columnsOf(process.stdout));
}

type Instants = Pick<ExplainedInstance["touches"][number], "claimedAt" | "sentAt" | "nextAttemptAt">;

function times({ claimedAt, sentAt, nextAttemptAt }: Instants): string {
  const named = [
    ["claimed", claimedAt],
    ["sent", sentAt],
    ["next attempt", nextAttemptAt],
  ] as const;
  return named.flatMap(([name, instant]) => (instant ? [`${name} ${formatMinute(instant)}`] : [])).join("\n");
}

/** One line per reopening: who, when, why, and at which step it continued. */
function reopenings({ reopenings: all }: ExplainedInstance): readonly string[] {
  if (all.length === 0) return [];
  const lines = all.map(({ reopenedAt, reopenedBy, reason, endedAs, endedReason, position, generation }) => {
    const ended = endedReason ? `${endedAs} (${endedReason})` : endedAs;
    return `  ${formatMinute(reopenedAt)} by ${reopenedBy}: "${reason}"; it was ${ended}, and continues at step ${position}, in generation ${generation}`;
  });
  return [`Reopened:\n${lines.join("\n")}`];
}

function next({ candidate, status }: ExplainedInstance, now: Date): readonly string[] {
  if (status === "completed" || status === "cancelled") return ["The instance has ended: nothing more is sent."];
  if ("fault" in candidate.read) return [`The step cannot be decided: ${candidate.read.fault}`];
  const decision = decide(candidate.read.item, now);
  const condition = status === "paused" ? "If it were resumed and due now" : "If its next step were due now";
  return [`${condition}:\n${verdict(decision)}`, `Data of the time rules:\n${basis(decision)}`];
}

function verdict(decision: Decision): string {
  const passed = RULES.filter(({ name }) => decision.passed.includes(name)).map(({ says }) => `  passed   ${says}`);
  const until = "until" in decision ? `, checked again ${formatMinute(decision.until)}` : "";
  const detail = "detail" in decision && decision.detail ? ` (${decision.detail})` : "";
  const meaning = REASON_TEXTS[decision.reason] ?? decision.reason;
  return [...passed, `  decides  ${decision.rule}: ${meaning}${detail}${until}`].join("\n");
}

function basis({ zone, inputs }: Decision): string {
  const { sendWindow, gapMinutes, lastOutboundAt, lastTouchOnChannelAt, dailyCap, dailyCapUsed } = inputs;
  return [
    `  time zone    ${zone.zone} (${zone.from})`,
    `  send window  ${formatWindow(sendWindow)}`,
    `  last touch   ${lastOutboundAt ? formatMinute(lastOutboundAt) : "none"}, on this channel ${lastTouchOnChannelAt ? formatMinute(lastTouchOnChannelAt) : "none"}; gap ${gapMinutes} min`,
    `  daily cap    ${dailyCap === null ? "none" : `${dailyCapUsed} of ${dailyCap} used`}`,
  ].join("\n");
}
