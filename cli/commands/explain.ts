import Table from "cli-table3";
import { Command } from "commander";
import { decide, RULES } from "../../lib/domain/decide.ts";
import type { Decision } from "../../lib/domain/decision.ts";
import { databaseNow } from "../../lib/store/clock.ts";
import type { Database } from "../../lib/store/connect.ts";
import { type ExplainedInstance, explainInstance } from "../../lib/store/explain.ts";
import { onPool } from "../../lib/store/sql.ts";
import { uuid } from "../arguments.ts";
import { withExistingDatabase } from "../existing-database.ts";
import { LOCAL_FOLDER } from "../postgres/local-database.ts";
import { Problem } from "../problem.ts";
import { MEANINGS } from "../reason-texts.ts";
import { instantOf } from "../terminal.ts";

const LESSON = `
Tells what became of the steps of an instance so far, and what the engine would decide on the next one at this moment: the
rules that let it pass, the one that decides, what they went by, and when it could next go. It changes nothing, and shows
no name and no address.

Where the ids are: in the report and the account of a run, or
  select id from follow_up_instance where lead_id = '…';

Example:
  $ npm run backstop -- explain 0190f0f0-0000-7000-8000-000000000001`;

/** The command `explain <instance>`. Throws errors as Problem. */
export function explainCommand(): Command {
  return new Command("explain")
    .summary("why did this go out, or why does it not?")
    .description("Tells what became of an instance's steps, and what would be decided on the next one now.")
    .argument("<instance>", "the id of the instance", uuid)
    .option("--folder <path>", "where the local database lies", LOCAL_FOLDER)
    .addHelpText("after", LESSON)
    .action(async (instanceId: string, { folder }: { folder: string }) => {
      process.stdout.write(await withExistingDatabase(folder, (database) => explain(instanceId, database)));
    });
}

async function explain(instanceId: string, { pool }: Database): Promise<string> {
  const statements = onPool(pool);
  const now = await databaseNow(statements);
  const instance = await explainInstance(statements, instanceId, now);
  if (!instance) {
    throw new Problem(
      `there is no instance ${instanceId}; \`npm run backstop -- explain --help\` says where the ids are`,
    );
  }
  return `${[heading(instance), history(instance), ...reopened(instance), ...next(instance, now)].join("\n\n")}\n`;
}

function heading({ candidate, sequenceName, status, why, nextStepDue }: ExplainedInstance): string {
  const reason = why ? ` (${why})` : "";
  const due = nextStepDue ? `, next step due ${instantOf(nextStepDue)}` : "";
  return `Instance ${candidate.instanceId} of "${sequenceName}", at step ${candidate.position}: ${status}${reason}${due}`;
}

function history({ touches }: ExplainedInstance): string {
  if (touches.length === 0) return "No step has been claimed yet.";
  const table = new Table({
    head: ["generation", "step", "channel", "touch", "reason", "claimed", "sent", "next attempt"],
    ...PLAIN,
  });
  table.push(
    ...touches.map(({ generation, position, channel, status, reason, claimedAt, sentAt, nextAttemptAt }) => {
      const instants = [claimedAt, sentAt, nextAttemptAt].map((instant) => (instant ? instantOf(instant) : ""));
      return [generation, position, channel, status, reason ?? "", ...instants];
    }),
  );
  return table.toString();
}

/** One line per reopening: who, when, why, and at which step it continued. */
function reopened({ reopenings }: ExplainedInstance): readonly string[] {
  if (reopenings.length === 0) return [];
  const lines = reopenings.map(({ reopenedAt, reopenedBy, reason, endedAs, endedReason, position, generation }) => {
    const ended = endedReason ? `${endedAs} (${endedReason})` : endedAs;
    return `  ${instantOf(reopenedAt)} by ${reopenedBy}: "${reason}"; it was ${ended}, and went on at step ${position}, in generation ${generation}`;
  });
  return [`Reopened:\n${lines.join("\n")}`];
}

const PLAIN = { style: { head: [], border: [], compact: true } };

function next({ candidate, status }: ExplainedInstance, now: Date): readonly string[] {
  if (status === "completed" || status === "cancelled") return ["It has ended: nothing more goes out."];
  if ("fault" in candidate.read) return [`It cannot be decided on: ${candidate.read.fault}`];
  const decision = decide(candidate.read.item, now);
  const asked = status === "paused" ? "If it were resumed and due now" : "If its next step were due now";
  return [`${asked}:\n${verdict(decision)}`, `What the rules on time went by:\n${basis(decision)}`];
}

function verdict(decision: Decision): string {
  const passed = RULES.filter(({ name }) => decision.passed.includes(name)).map(({ says }) => `  passed   ${says}`);
  const until = "until" in decision ? `, looked at again ${instantOf(decision.until)}` : "";
  const detail = "detail" in decision && decision.detail ? ` (${decision.detail})` : "";
  const meaning = MEANINGS[decision.reason] ?? decision.reason;
  return [...passed, `  decides  ${decision.rule}: ${meaning}${detail}${until}`].join("\n");
}

function basis({ zone, inputs }: Decision): string {
  const { sendWindow, gapMinutes, lastOutboundAt, lastTouchOnChannelAt, dailyCap, dailyCapUsed } = inputs;
  const days = sendWindow.days.map((day) => WEEKDAYS[day - 1]).join(" ");
  return [
    `  time zone    ${zone.zone} (${zone.from})`,
    `  send window  ${days} ${sendWindow.start}-${sendWindow.end}`,
    `  last touch   ${lastOutboundAt ? instantOf(lastOutboundAt) : "none"}, on this channel ${lastTouchOnChannelAt ? instantOf(lastTouchOnChannelAt) : "none"}; gap ${gapMinutes} min`,
    `  daily cap    ${dailyCap === null ? "none" : `${dailyCapUsed} of ${dailyCap} used`}`,
  ].join("\n");
}

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
