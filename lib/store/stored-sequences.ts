import { changeOf, type SequenceChange, type WrittenSequence, type WrittenStep } from "../domain/written-sequence.ts";
import type { Db } from "./connect.ts";

/** The latest version of a stored sequence. */
export interface StoredSequence {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  /** Undefined if it has no steps. */
  readonly written: WrittenSequence | undefined;
}

/** The sequences of a workspace with these names, or all, sorted by name. */
export async function findSequences(
  db: Db,
  workspaceId: string,
  names?: readonly string[],
): Promise<readonly StoredSequence[]> {
  const sequences = await db.followUpSequence.findMany({
    where: { workspaceId, ...(names && { name: { in: [...names] } }) },
    orderBy: { name: "asc" },
  });
  const steps = await db.followUpStep.findMany({
    where: { workspaceId, OR: sequences.map(({ id, version }) => ({ sequenceId: id, version })) },
    orderBy: { position: "asc" },
  });
  const bySequence = Map.groupBy(steps, ({ sequenceId }) => sequenceId);
  return sequences.map(({ id, version, name, triggerOn, active }) => {
    const own = bySequence.get(id)?.map(writtenStep);
    return { id, name, version, written: own && { name, triggerOn, active, steps: own } };
  });
}

const writtenStep = (step: WrittenStep): WrittenStep => ({
  key: step.key,
  delayMinutes: step.delayMinutes,
  channel: step.channel,
  subject: step.subject,
  body: step.body,
  condition: step.condition,
  needsApproval: step.needsApproval,
  timeToLiveMinutes: step.timeToLiveMinutes,
});

/** The effect of saving `after`. */
export interface SequencePlan {
  readonly after: WrittenSequence;
  readonly stored: StoredSequence | undefined;
  readonly change: SequenceChange;
  /** Number of live instances; counted only if the change depends on it, else 0. */
  readonly inside: number;
}

export async function planSequences(
  db: Db,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
): Promise<readonly SequencePlan[]> {
  const names = sequences.map(({ name }) => name);
  const found = new Map((await findSequences(db, workspaceId, names)).map((stored) => [stored.name, stored]));
  const plans = sequences.map((after) => {
    const stored = found.get(after.name);
    return { after, stored, change: changeOf(stored?.written, after) };
  });
  const inside = await countInside(
    db,
    plans.filter(matters).flatMap(({ stored }) => stored?.id ?? []),
  );
  return plans.map((plan) => ({ ...plan, inside: inside.get(plan.stored?.id ?? "") ?? 0 }));
}

type Compared = Omit<SequencePlan, "inside">;
const matters = ({ change, stored, after }: Compared): boolean =>
  change.needsNewVersion || changesTrigger({ stored, after });

export const changesTrigger = ({ stored, after }: Pick<Compared, "stored" | "after">): boolean =>
  stored?.written !== undefined && stored.written.triggerOn !== after.triggerOn;

async function countInside(db: Db, ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (ids.length === 0) return new Map();
  const counts = await db.followUpInstance.groupBy({
    by: ["sequenceId"],
    where: { sequenceId: { in: [...ids] }, status: { in: ["active", "paused"] } },
    _count: true,
  });
  return new Map(counts.map(({ sequenceId, _count }) => [sequenceId, _count]));
}
