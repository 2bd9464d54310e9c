import {
  GetScheduleCommand,
  type GetScheduleCommandOutput,
  SchedulerClient,
  UpdateScheduleCommand,
} from "@aws-sdk/client-scheduler";
import { Command } from "commander";
import { namesOf, STAGE_PATTERN } from "../../lib/platform/names.ts";
import { leaveOneTimeSchedule } from "../../lib/platform/one-time-schedule.ts";
import { Problem } from "../problem.ts";

interface Choice {
  readonly stage: string;
  readonly name?: string;
  readonly group?: string;
}

type State = "ENABLED" | "DISABLED";
type Say = (line: string) => void;
type Verb = (client: SchedulerClient, place: Place, say: Say) => Promise<void>;

const LESSON = `
The schedule begins every run. While it is paused nothing more is taken up to be sent, and the backstop stops no sequence of a lead who
books either: the first run after the pause does that, before it sends anything. A run that is already going ends by itself within a
minute. In a stage with a queue for delivery, what lies there already still goes; docs/runbook.md#stop-everything says how to stop it.

Region and credentials come from where every AWS tool takes them: AWS_REGION, AWS_PROFILE, or the shared configuration files.
They need scheduler:GetSchedule; to pause or resume also scheduler:UpdateSchedule, for run-now scheduler:CreateSchedule, and for these
iam:PassRole for the schedule's role.

Examples:
  backstop schedule status --stage dev
  backstop schedule pause --stage production
  backstop schedule resume --stage production
  backstop schedule run-now --stage production
  backstop schedule status --group backstop-dev --name backstop-dev-follow-ups
`;

/** The command `schedule status|pause|resume|run-now` for EventBridge Scheduler. Throws known errors as Problem. */
export function scheduleCommand(say: Say = toStandardOutput): Command {
  const schedule = new Command("schedule")
    .description("say whether the schedule in AWS runs, pause it, let it run again, or ask for one run")
    .addHelpText("after", LESSON);
  const verbs: readonly [name: string, description: string, verb: Verb][] = [
    ["status", "what the schedule does now", status],
    ["pause", "begin no more runs; harmless when paused already", pause],
    ["resume", "begin runs again; harmless when running already", resume],
    ["run-now", "begin one run at the next full minute, also while paused", runNow],
  ];
  for (const [name, description, verb] of verbs) {
    schedule.addCommand(
      new Command(name)
        .description(description)
        .option("--stage <stage>", "the stage whose schedule it is", "dev")
        .option("--name <name>", "the schedule's name, when it is not the one that the stack gives")
        .option("--group <group>", "the schedule's group, when it is not the one that the stack gives")
        .action((choice: Choice) => writeClaims(verb, choice, say)),
    );
  }
  return schedule;
}

async function writeClaims(verb: Verb, choice: Choice, say: Say): Promise<void> {
  const place = placeOf(choice);
  const client = new SchedulerClient({ maxAttempts: ENOUGH_ATTEMPTS });
  try {
    await verb(client, place, say);
  } catch (thrown) {
    throw explained(thrown, place);
  } finally {
    client.destroy();
  }
}

function placeOf({ stage, name, group }: Choice): Place {
  if (!STAGE_PATTERN.test(stage)) throw new Problem(`"${stage}" cannot be the name of a stage; say one such as dev`);
  const names = namesOf(stage);
  return { stage, name: name ?? names.schedule, group: group ?? names.scheduleGroup };
}

async function status(client: SchedulerClient, place: Place, say: Say): Promise<void> {
  const found = await find(client, place);
  say(`${place.group}/${place.name} is ${found.State === "DISABLED" ? "paused" : "running"}`);
  say(`  when     ${found.ScheduleExpression} (${found.ScheduleExpressionTimezone ?? "UTC"})`);
  say(`  target   ${found.Target?.Arn}`);
  say(`  changed  ${found.LastModificationDate?.toISOString()}`);
}

async function pause(client: SchedulerClient, place: Place, say: Say): Promise<void> {
  const changed = await change(client, place, "DISABLED");
  say(
    `${place.group}/${place.name} is ${changed ? "paused now; a run that is going ends by itself" : "already paused"}`,
  );
  say("touches that lie in a queue for delivery already still go out; to stop them: docs/runbook.md#stop-everything");
  say(
    `a deploy that changes the schedule starts it again, unless you deploy with: -c stage=${place.stage} -c paused=true`,
  );
}

async function resume(client: SchedulerClient, place: Place, say: Say): Promise<void> {
  const changed = await change(client, place, "ENABLED");
  say(`${place.group}/${place.name} is ${changed ? "running again; the next tick begins a run" : "already running"}`);
  say(
    `a deploy that changes the schedule keeps it running, unless it is deployed as paused, in cdk.json or with: -c paused=true`,
  );
}

/** Creates a one-time schedule with the stage's own target, so that the caller needs no permission to invoke. */
async function runNow(client: SchedulerClient, place: Place, say: Say): Promise<void> {
  const { Target } = await find(client, place);
  if (!Target) throw new Problem(`${place.group}/${place.name} has no target: deploy the stage again`);
  const { at, made } = await leaveOneTimeSchedule(client, { group: place.group, target: Target, now: new Date() });
  say(
    `a run ${made ? "begins" : "was asked for already and begins"} at ${at.toISOString()}; it throws when it is no success`,
  );
}

/** Sends all fields, because UpdateSchedule resets omitted ones. Returns false if the state is already the same. */
async function change(client: SchedulerClient, place: Place, state: State): Promise<boolean> {
  const { $metadata, Arn, CreationDate, LastModificationDate, ...found } = await find(client, place);
  if (found.State === state) return false;
  const { ScheduleExpression, Target, FlexibleTimeWindow } = found;
  const required = { Name: place.name, GroupName: place.group, ScheduleExpression, Target, FlexibleTimeWindow };
  await client.send(new UpdateScheduleCommand({ ...found, ...required, State: state }));
  return true;
}

function find(client: SchedulerClient, { name, group }: Place): Promise<GetScheduleCommandOutput> {
  return client.send(new GetScheduleCommand({ Name: name, GroupName: group }));
}

function toStandardOutput(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Identifies a schedule. */
export interface Place {
  readonly stage: string;
  readonly name: string;
  readonly group: string;
}

export const ENOUGH_ATTEMPTS = 4;

/** Advice for each error, by the name or code that the SDK gives it. */
const ADVICE: Readonly<Record<string, (place: Place) => string>> = {
  ResourceNotFoundException: ({ group, name }) =>
    `there is no schedule ${group}/${name} in this account and region: deploy the stage, or check --stage, --name, --group and AWS_REGION`,
  CredentialsProviderError: () => "no AWS credentials were found: set AWS_PROFILE, or sign in with: aws sso login",
  "Region is missing": () => "no AWS region is set: set AWS_REGION to the region that the stage was deployed to",
  ThrottlingException: () => `AWS refused ${ENOUGH_ATTEMPTS} times because of too many requests: try again in a minute`,
  AccessDeniedException: ({ group, name }) =>
    `these credentials may not do this to ${group}/${name}: they need scheduler:GetSchedule, scheduler:UpdateSchedule, scheduler:CreateSchedule and iam:PassRole`,
  ConflictException: ({ group, name }) =>
    `${group}/${name} is being changed by somebody else: look with status, and try again`,
  ...each(["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"], () => {
    return "AWS does not accept these credentials: they have expired or belong to nobody; sign in again";
  }),
  ...each(["ECONNREFUSED", "ECONNRESET", "ENOTFOUND", "ETIMEDOUT", "TimeoutError"], () => {
    return "EventBridge Scheduler cannot be reached: check the network and AWS_REGION";
  }),
};

/** Translates an error into a Problem with advice. Returns an unknown error unchanged. */
export function explained(thrown: unknown, place: Place): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const code = "code" in thrown ? String(thrown.code) : "";
  // The SDK wraps some network errors so that only the message contains the code.
  const codeInMessage = /\bE[A-Z]{4,}\b/.exec(thrown.message)?.[0] ?? "";
  const keys = [thrown.name, code, thrown.message, codeInMessage];
  const advice = keys.map((key) => ADVICE[key]).find((found) => found !== undefined);
  return advice === undefined ? thrown : new Problem(advice(place), { cause: thrown });
}

function each<Value>(names: readonly string[], value: Value): Record<string, Value> {
  return Object.fromEntries(names.map((name) => [name, value]));
}
