import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import Table from "cli-table3";
import { Command } from "commander";
import { decide, RULES } from "../lib/domain/decide.ts";
import type { Decision } from "../lib/domain/decision.ts";
import { databaseNow } from "../lib/store/clock.ts";
import { openDatabase } from "../lib/store/connect.ts";
import { type ExplainedInstance, explainInstance } from "../lib/store/explain.ts";
import { onPool } from "../lib/store/queryable.ts";
import { LOCAL_FOLDER, withDatabase } from "./local-database.ts";
import { MEANINGS } from "./meanings.ts";
import { Problem } from "./problem.ts";
import { Spinner } from "./spinner.ts";
import { uuid } from "./uuid.ts";

const LESSON = `
Tells what became of the steps of an instance so far, and what the engine would decide on the next one at this moment: the
rules that let it pass, the one that decides, what they went by, and when it could next go. It changes nothing, and shows
no name and no address.

Where the ids are: in the report and the account of a run, or
  select id from follow_up_instance where lead_id = '…';

Example:
  $ npm run backstop -- explain 0190f0f0-0000-7000-8000-000000000001`;

/** The command `explain <instance>`. Its faults are thrown as Problem. */
export function explainCommand(): Command {
  return new Command("explain")
    .summary("why did this go out, or why does it not?")
    .description("Tells what became of an instance's steps, and what would be decided on the next one now.")
    .argument("<instance>", "the id of the instance", uuid)
    .option("--folder <path>", "where the local database lies", LOCAL_FOLDER)
    .addHelpText("after", LESSON)
    .action(async (instanceId: string, { folder }: { folder: string }) => {
      process.stdout.write(await explain(instanceId, resolve(folder)));
    });
}

async function explain(instanceId: string, folder: string): Promise<string> {
  if (!process.env["DATABASE_URL"] && !existsSync(join(folder, "postgres"))) {
    throw new Problem("there is no database yet: `npm start` makes one with demo data, or set DATABASE_URL");
  }
  const spinner = new Spinner();
  try {
    return await withDatabase((url) => explainOn(url, instanceId), {
      folder,
      onProgress: (line) => spinner.tell(line),
    });
  } finally {
    spinner.stop();
  }
}

async function explainOn(url: string, instanceId: string): Promise<string> {
  const database = openDatabase({ connectionString: url });
  const statements = onPool(database.pool);
  try {
    const now = await databaseNow(statements);
    const instance = await explainInstance(statements, instanceId, now);
    if (!instance) {
      throw new Problem(
        `there is no instance ${instanceId}; \`npm run backstop -- explain --help\` says where the ids are`,
      );
    }
    return `${[heading(instance), history(instance), ...next(instance, now)].join("\n\n")}\n`;
  } finally {
    await database.close();
  }
}

function heading({ candidate, sequenceName, status, why, nextStepDue }: ExplainedInstance): string {
  const reason = why ? ` (${why})` : "";
  const due = nextStepDue ? `, next step due ${told(nextStepDue)}` : "";
  return `Instance ${candidate.instanceId} of "${sequenceName}", at step ${candidate.position}: ${status}${reason}${due}`;
}

function history({ touches }: ExplainedInstance): string {
  if (touches.length === 0) return "No step has been claimed yet.";
  const table = new Table({
    head: ["step", "channel", "touch", "reason", "claimed", "sent", "next attempt"],
    ...PLAIN,
  });
  table.push(
    ...touches.map(({ position, channel, status, reason, claimedAt, sentAt, nextAttemptAt }) => {
      const instants = [claimedAt, sentAt, nextAttemptAt].map((instant) => (instant ? told(instant) : ""));
      return [position, channel, status, reason ?? "", ...instants];
    }),
  );
  return table.toString();
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
  const until = "until" in decision ? `, looked at again ${told(decision.until)}` : "";
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
    `  last touch   ${lastOutboundAt ? told(lastOutboundAt) : "none"}, on this channel ${lastTouchOnChannelAt ? told(lastTouchOnChannelAt) : "none"}; gap ${gapMinutes} min`,
    `  daily cap    ${dailyCap === null ? "none" : `${dailyCapUsed} of ${dailyCap} used`}`,
  ].join("\n");
}

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

const told = (instant: Date): string => instant.toISOString().replace(/:\d\d\.\d{3}Z$/, "Z");
