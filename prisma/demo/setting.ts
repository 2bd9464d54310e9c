import { DAY_MS } from "../../lib/domain/time-zone.ts";
import { demoId } from "./demo-id.ts";
import { type DemoSequence, type DemoStep, SEQUENCES } from "./sequences.ts";
import { type DemoWorkspace, WORKSPACES } from "./workspaces.ts";

/** The ids of the workspaces, in the order of `WORKSPACES`. */
export const DEMO_WORKSPACE_IDS: readonly string[] = WORKSPACES.map(({ id }) => id);

export interface PlacedStep extends DemoStep {
  readonly id: string;
  /** Counts from 1. */
  readonly position: number;
  /** Minutes from the start of the sequence to this step. */
  readonly elapsed: number;
}

/** A sequence of one workspace. */
export interface PlacedSequence extends Omit<DemoSequence, "steps"> {
  readonly id: string;
  readonly workspaceId: string;
  readonly steps: readonly PlacedStep[];
}

const PLACED: readonly PlacedSequence[] = WORKSPACES.flatMap((workspace) =>
  SEQUENCES.flatMap((sequence, index) =>
    sequence.workspaces?.includes(workspace.number) === false
      ? []
      : [placed(sequence, workspace.id, workspace.number * 100 + index)],
  ),
);

function placed(sequence: DemoSequence, workspaceId: string, number: number): PlacedSequence {
  let elapsed = 0;
  const steps = sequence.steps.map((step, index) => {
    elapsed += step.minutes;
    return { ...step, id: demoId("step", number * 100 + index + 1), position: index + 1, elapsed };
  });
  return { ...sequence, id: demoId("sequence", number), workspaceId, steps };
}

/** The sequence of this key in the workspace; undefined if the workspace does not have it. */
export const sequenceOf = (workspaceId: string, key: string | undefined): PlacedSequence | undefined =>
  PLACED.find((sequence) => sequence.workspaceId === workspaceId && sequence.key === key);

/** The rows of the workspaces, their sequences and steps. */
export function settingRows(now: Date) {
  const createdAt = new Date(now.getTime() - 200 * DAY_MS);
  return {
    workspaces: WORKSPACES.map((workspace) => workspaceRow(workspace, createdAt)),
    sequences: PLACED.map((sequence) => sequenceRow(sequence, createdAt)),
    steps: PLACED.flatMap(stepRows),
  };
}

const workspaceRow = (workspace: DemoWorkspace, createdAt: Date) => ({
  id: workspace.id,
  name: workspace.name,
  time_zone: workspace.zone,
  window_days: workspace.days,
  window_start: workspace.opens,
  window_end: workspace.closes,
  holiday_country: workspace.country,
  holiday_region: workspace.region,
  daily_cap: workspace.cap,
  gap_minutes: workspace.gap,
  email_from: workspace.from,
  digest_email: workspace.digest,
  // In the past, so that the first run sends a digest.
  next_digest_at: createdAt,
  created_at: createdAt,
});

const sequenceRow = ({ id, workspaceId, name, trigger, active = true }: PlacedSequence, createdAt: Date) => ({
  id,
  workspace_id: workspaceId,
  name,
  trigger_on: trigger,
  active,
  created_at: createdAt,
});

const stepRows = ({ id, workspaceId, steps }: PlacedSequence) =>
  steps.map((step) => ({
    id: step.id,
    workspace_id: workspaceId,
    sequence_id: id,
    key: `step-${step.position}`,
    position: step.position,
    delay_minutes: step.minutes,
    channel: step.channel,
    condition: step.condition ?? "always",
    subject: step.subject,
    body: step.body,
    needs_approval: step.approval ?? false,
    time_to_live_minutes: step.lives,
  }));
