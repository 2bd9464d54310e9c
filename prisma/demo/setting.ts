import type { Db } from "../../lib/store/connect.ts";
import type { Prisma } from "../../lib/store/generated/client.ts";
import { demoId } from "./fragments.ts";
import { type DemoSequence, SEQUENCES } from "./sequences.ts";
import { type DemoWorkspace, WORKSPACES } from "./workspaces.ts";

const DAY_MS = 24 * 60 * 60_000;

/** The ids of the workspaces, in the order of `WORKSPACES`. */
export const DEMO_WORKSPACE_IDS: readonly string[] = WORKSPACES.map(({ number }) => demoId("workspace", number));

/**
 * Inserts the workspaces with their sequences and steps. Also creates the temporary tables `demo_sequence` and
 * `demo_step`, with the time from the start of a sequence to each step.
 */
export async function insertSetting(db: Db, now: Date): Promise<void> {
  const createdAt = new Date(now.getTime() - 200 * DAY_MS);
  const placed = placedSequences();
  await db.workspace.createMany({ data: WORKSPACES.map((workspace) => workspaceRow(workspace, createdAt)) });
  await db.followUpSequence.createMany({ data: placed.map((sequence) => sequenceRow(sequence, createdAt)) });
  await db.followUpStep.createMany({ data: placed.flatMap(stepRows) });
  await createIndexOfSequences(db, placed);
}

interface PlacedSequence extends DemoSequence {
  readonly number: number;
  /** The number of its workspace. */
  readonly place: number;
}

const placedSequences = (): readonly PlacedSequence[] =>
  WORKSPACES.flatMap(({ number: place }) =>
    SEQUENCES.flatMap((sequence, index) =>
      sequence.workspaces?.includes(place) === false ? [] : [{ ...sequence, place, number: place * 100 + index }],
    ),
  );

const timeOfDay = (time: string): Date => new Date(`1970-01-01T${time}:00Z`);

const workspaceRow = (workspace: DemoWorkspace, createdAt: Date) => ({
  id: demoId("workspace", workspace.number),
  name: workspace.name,
  timeZone: workspace.zone,
  windowDays: [...workspace.days],
  windowStart: timeOfDay(workspace.opens),
  windowEnd: timeOfDay(workspace.closes),
  holidayCountry: workspace.country,
  holidayRegion: workspace.region,
  dailyCap: workspace.cap,
  gapMinutes: workspace.gap,
  emailFrom: workspace.from,
  digestEmail: workspace.digest,
  // In the past, so that the first run sends a digest.
  nextDigestAt: createdAt,
  createdAt,
});

const sequenceRow = ({ number, place, name, trigger, active = true }: PlacedSequence, createdAt: Date) => ({
  id: demoId("sequence", number),
  workspaceId: demoId("workspace", place),
  name,
  triggerOn: trigger,
  active,
  createdAt,
});

const stepRows = ({ number, place, steps }: PlacedSequence): Prisma.FollowUpStepCreateManyInput[] =>
  steps.map(({ minutes, channel, condition = "always", subject, body, approval = false, lives }, index) => ({
    id: demoId("step", number * 100 + index + 1),
    workspaceId: demoId("workspace", place),
    sequenceId: demoId("sequence", number),
    key: `step-${index + 1}`,
    position: index + 1,
    delayMinutes: minutes,
    channel,
    condition,
    subject: subject ?? null,
    body,
    needsApproval: approval,
    timeToLiveMinutes: lives ?? null,
  }));

async function createIndexOfSequences(db: Db, placed: readonly PlacedSequence[]): Promise<void> {
  const rows = placed.map(({ number, place, key, steps }) => ({
    id: demoId("sequence", number),
    place,
    key,
    steps: steps.length,
  }));
  await db.$executeRaw`
    create temporary table demo_sequence (id uuid, place int, key text, steps int) on commit drop`;
  await db.$executeRaw`
    insert into demo_sequence
    select * from jsonb_populate_recordset(null::demo_sequence, ${JSON.stringify(rows)}::jsonb)`;
  await db.$executeRaw`
    create temporary table demo_step on commit drop as
    select sequence_id, position, id, delay_minutes as minutes, channel::text, condition::text, subject, body,
           sum(delay_minutes) over (partition by sequence_id order by position)::int as elapsed
      from follow_up_step`;
  await db.$executeRaw`create unique index on demo_step (sequence_id, position)`;
}
