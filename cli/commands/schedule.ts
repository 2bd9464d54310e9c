import {
  GetScheduleCommand,
  type GetScheduleCommandOutput,
  SchedulerClient,
  UpdateScheduleCommand,
} from "@aws-sdk/client-scheduler";
import { Command } from "commander";
import { namesOf, STAGE_PATTERN } from "../../lib/platform/names.ts";
import { type ErrorAdvice, whenUnreachable, withAdvice } from "../aws.ts";
import { Problem, UsageProblem } from "../problem.ts";
import { readableReport } from "../run-summary.ts";
import { invokeRun } from "../stage-run.ts";

interface Options {
  readonly stage: string;
  readonly name?: string;
  readonly group?: string;
}

type State = "ENABLED" | "DISABLED";
type Print = (line: string) => void;
type Action = (client: SchedulerClient, id: ScheduleId, print: Print) => Promise<void>;

const HELP = `
The schedule starts every run. While it is paused, no touches are claimed, and the backstop completes no sequences. The first
run after the pause does that before it sends. A run that is in progress ends within a minute. With a delivery queue, queued
touches are still sent: docs/runbook.md#stop-everything says how to stop them.

Region and credentials come from AWS_REGION, AWS_PROFILE or the shared AWS configuration files. Required permissions:
  status           scheduler:GetSchedule
  pause, resume    also scheduler:UpdateSchedule, and iam:PassRole for the schedule's role
  run-now          also lambda:InvokeFunction for the schedule's function

run-now waits for the run, which takes up to a minute, and prints its report. It exits
with 1 if the run failed.

Examples:
  $ npm run backstop -- schedule status --stage dev
  $ npm run backstop -- schedule pause --stage production
  $ npm run backstop -- schedule resume --stage production
  $ npm run backstop -- schedule run-now --stage production
  $ npm run backstop -- schedule status --group backstop-dev --name backstop-dev-follow-ups`;

/** The command `schedule status|pause|resume|run-now` for EventBridge Scheduler. Throws known errors as Problem. */
export function scheduleCommand(print: Print = toStandardOutput): Command {
  const schedule = new Command("schedule")
    .description("show, pause or resume the schedule of a stage in AWS, or start one run")
    .addHelpText("after", HELP);
  const actions: readonly [name: string, description: string, action: Action][] = [
    ["status", "show whether the schedule is running or paused", status],
    ["pause", "start no more runs; a no-op if the schedule is paused", pause],
    ["resume", "start runs again; a no-op if the schedule is running", resume],
    ["run-now", "start one run now, also while paused, and print its report", runNow],
  ];
  for (const [name, description, action] of actions) {
    schedule.addCommand(
      new Command(name)
        .description(description)
        .option("--stage <stage>", "the stage that owns the schedule", "dev")
        .option("--name <name>", "the schedule's name, if it differs from the stack's default")
        .option("--group <group>", "the schedule's group, if it differs from the stack's default")
        .action((options: Options) => withScheduler(action, options, print)),
    );
  }
  return schedule;
}

async function withScheduler(action: Action, options: Options, print: Print): Promise<void> {
  const id = scheduleId(options);
  const client = new SchedulerClient({ maxAttempts: MAX_ATTEMPTS });
  try {
    await action(client, id, print);
  } catch (thrown) {
    throw withAdvice(thrown, ADVICE, id);
  } finally {
    client.destroy();
  }
}

function scheduleId({ stage, name, group }: Options): ScheduleId {
  if (!STAGE_PATTERN.test(stage)) throw new UsageProblem(`"${stage}" is not a valid stage name; a valid name is dev`);
  const names = namesOf(stage);
  return { stage, name: name ?? names.schedule, group: group ?? names.scheduleGroup };
}

async function status(client: SchedulerClient, id: ScheduleId, print: Print): Promise<void> {
  const found = await find(client, id);
  print(`${id.group}/${id.name} is ${found.State === "DISABLED" ? "paused" : "running"}`);
  print(`  when     ${found.ScheduleExpression} (${found.ScheduleExpressionTimezone ?? "UTC"})`);
  print(`  target   ${found.Target?.Arn}`);
  print(`  changed  ${found.LastModificationDate?.toISOString()}`);
}

async function pause(client: SchedulerClient, id: ScheduleId, print: Print): Promise<void> {
  const changed = await change(client, id, "DISABLED");
  print(`${id.group}/${id.name} is ${changed ? "now paused; a run in progress ends by itself" : "already paused"}`);
  print("queued touches are still sent; to stop them, see docs/runbook.md#stop-everything");
  print(`a deploy that changes the schedule resumes it, unless you deploy with: -c stage=${id.stage} -c paused=true`);
}

async function resume(client: SchedulerClient, id: ScheduleId, print: Print): Promise<void> {
  const changed = await change(client, id, "ENABLED");
  print(`${id.group}/${id.name} is ${changed ? "running again, from its next tick" : "already running"}`);
  print("a deploy that changes the schedule keeps it running, unless cdk.json or -c paused=true pauses it");
}

/** Invokes the function that the schedule targets, waits for the run and prints its report. */
async function runNow(client: SchedulerClient, id: ScheduleId, print: Print): Promise<void> {
  const { Target } = await find(client, id);
  const arn = Target?.Arn ?? "";
  if (!FUNCTION_ARN.test(arn)) throw new Problem(`${id.group}/${id.name} targets no function: deploy the stage again`);
  const report = await invokeRun(arn, { trigger: "manual" });
  print(readableReport(report));
  if (!report.success) throw new Problem(`the run failed with status ${report.statusCode}`);
}

/** May end with a version or an alias, which the API accepts too. */
const FUNCTION_ARN = /^arn:[\w-]+:lambda:.+:function:/;

/** Sends all fields, because UpdateSchedule resets omitted ones. Returns false if the state is already the same. */
async function change(client: SchedulerClient, id: ScheduleId, state: State): Promise<boolean> {
  const { $metadata, Arn, CreationDate, LastModificationDate, ...found } = await find(client, id);
  if (found.State === state) return false;
  const { ScheduleExpression, Target, FlexibleTimeWindow } = found;
  const required = { Name: id.name, GroupName: id.group, ScheduleExpression, Target, FlexibleTimeWindow };
  await client.send(new UpdateScheduleCommand({ ...found, ...required, State: state }));
  return true;
}

function find(client: SchedulerClient, { name, group }: ScheduleId): Promise<GetScheduleCommandOutput> {
  return client.send(new GetScheduleCommand({ Name: name, GroupName: group }));
}

function toStandardOutput(line: string): void {
  process.stdout.write(`${line}\n`);
}

interface ScheduleId {
  readonly stage: string;
  readonly name: string;
  readonly group: string;
}

const MAX_ATTEMPTS = 4;

/** Advice for each error, by the name or code that the SDK gives it. */
const ADVICE: ErrorAdvice<ScheduleId> = {
  ResourceNotFoundException: ({ group, name }) =>
    `there is no schedule ${group}/${name} in this account and region: deploy the stage, or check --stage, --name, --group and AWS_REGION`,
  ThrottlingException: () => `AWS throttled the request ${MAX_ATTEMPTS} times: try again in a minute`,
  AccessDeniedException: ({ group, name }) =>
    `the credentials lack a permission for ${group}/${name}: scheduler:GetSchedule, scheduler:UpdateSchedule or iam:PassRole`,
  ConflictException: ({ group, name }) =>
    `another request is changing ${group}/${name}: run \`schedule status\`, then try again`,
  ...whenUnreachable("EventBridge Scheduler"),
};
