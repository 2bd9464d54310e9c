import {
  ConflictException,
  CreateScheduleCommand,
  GetScheduleCommand,
  type GetScheduleCommandOutput,
  SchedulerClient,
  UpdateScheduleCommand,
} from "@aws-sdk/client-scheduler";
import { Command } from "commander";
import { namesOf, STAGE_PATTERN } from "../../lib/platform/names.ts";
import { Problem } from "../problem.ts";

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
  run-now          also scheduler:CreateSchedule, and iam:PassRole for the schedule's role

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
    ["run-now", "start one run at the next full minute, also while paused", runNow],
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
    throw withAdvice(thrown, id);
  } finally {
    client.destroy();
  }
}

function scheduleId({ stage, name, group }: Options): ScheduleId {
  if (!STAGE_PATTERN.test(stage)) throw new Problem(`"${stage}" is not a valid stage name; a valid name is dev`);
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

/**
 * Creates a schedule with the same target that runs once, at the next full minute, and then deletes itself. The caller
 * needs no permission to invoke the function. The name contains the minute, so a second call is a no-op.
 */
async function runNow(client: SchedulerClient, id: ScheduleId, print: Print): Promise<void> {
  const { Target } = await find(client, id);
  if (!Target) throw new Problem(`${id.group}/${id.name} has no target: deploy the stage again`);
  const at = nextMinute(new Date()).toISOString();
  const name = `run-now-${at.slice(0, 16).replace(":", "-")}`;
  const command = new CreateScheduleCommand({
    Name: name,
    ClientToken: name,
    GroupName: id.group,
    Description: "Backstop: one run between two ticks. Deletes itself.",
    ScheduleExpression: `at(${at.slice(0, 19)})`,
    ScheduleExpressionTimezone: "UTC",
    FlexibleTimeWindow: { Mode: "OFF" },
    ActionAfterCompletion: "DELETE",
    Target,
  });
  const isNew = await client.send(command).then(
    () => true,
    (thrown) => {
      if (thrown instanceof ConflictException) return false;
      throw thrown;
    },
  );
  print(`a run ${isNew ? "starts" : "is already requested and starts"} at ${at}`);
}

/** Time for the request to reach Scheduler before the minute starts. */
const ARRIVAL_MS = 5_000;

/** The next full minute that is still possible. Scheduler has a resolution of one minute. */
export const nextMinute = (now: Date): Date => new Date(Math.ceil((now.getTime() + ARRIVAL_MS) / 60_000) * 60_000);

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
const ADVICE: Readonly<Record<string, (id: ScheduleId) => string>> = {
  ResourceNotFoundException: ({ group, name }) =>
    `there is no schedule ${group}/${name} in this account and region: deploy the stage, or check --stage, --name, --group and AWS_REGION`,
  CredentialsProviderError: () => "no AWS credentials were found: set AWS_PROFILE, or sign in with: aws sso login",
  "Region is missing": () => "no AWS region is set: set AWS_REGION to the region of the stage",
  ThrottlingException: () => `AWS throttled the request ${MAX_ATTEMPTS} times: try again in a minute`,
  AccessDeniedException: ({ group, name }) =>
    `the credentials lack a permission for ${group}/${name}: scheduler:GetSchedule, scheduler:UpdateSchedule, scheduler:CreateSchedule or iam:PassRole`,
  ConflictException: ({ group, name }) =>
    `another request is changing ${group}/${name}: run \`schedule status\`, then try again`,
  ...each(["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"], () => {
    return "AWS rejected the credentials, which are expired or invalid: sign in again";
  }),
  ...each(["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "ETIMEDOUT", "TimeoutError"], () => {
    return "EventBridge Scheduler cannot be reached: check the network and AWS_REGION";
  }),
};

/** Translates an error into a Problem with advice. Returns an unknown error unchanged. */
function withAdvice(thrown: unknown, id: ScheduleId): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const code = "code" in thrown ? String(thrown.code) : "";
  // The SDK wraps some network errors so that only the message contains the code.
  const codeInMessage = /\bE[A-Z]{4,}\b/.exec(thrown.message)?.[0] ?? "";
  const keys = [thrown.name, code, thrown.message, codeInMessage];
  const advice = keys.map((key) => ADVICE[key]).find((found) => found !== undefined);
  return advice === undefined ? thrown : new Problem(advice(id), { cause: thrown });
}

function each<Value>(names: readonly string[], value: Value): Record<string, Value> {
  return Object.fromEntries(names.map((name) => [name, value]));
}
