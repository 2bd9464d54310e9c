import { afterWaiting } from "../domain/next-state.ts";
import { repairBy } from "../domain/time-zone.ts";
import type { DueCandidate } from "../run/claim-ports.ts";
import { execute, type Queryable } from "./sql.ts";

/** Where an instance continues; a null due time means that no step is left. */
interface Onward {
  readonly instanceId: string;
  readonly position: number;
  readonly nextStepDue: Date | null;
}

/**
 * Moves instances that waited for a person to their next step, with its delay counted from now. Completes those with no
 * step left. The caller must have locked them.
 */
export async function advanceInstances(db: Queryable, candidates: readonly DueCandidate[], now: Date): Promise<void> {
  const onward = candidates.map((candidate) => onwardFrom(candidate, now));
  await execute(db)`
    update follow_up_instance as instance
       set status = case when onward.next_step_due is null then 'completed' else 'active' end::instance_status,
           position = onward.position, next_step_due = onward.next_step_due, paused_reason = null,
           completed_at = case when onward.next_step_due is null then ${now}::timestamptz end,
           completed_reason = case when onward.next_step_due is null then 'out_of_steps' end
      from unnest(
        ${onward.map(({ instanceId }) => instanceId)}::uuid[],
        ${onward.map(({ position }) => position)}::int[],
        ${onward.map(({ nextStepDue }) => nextStepDue)}::timestamptz[]
      ) as onward (id, position, next_step_due)
     where instance.id = onward.id`;
}

/** The largest value of the `integer` column. */
const LAST_POSITION = 2 ** 31 - 1;

/** An unreadable row moves past the step that waited, and is rechecked after there was time to repair it. */
function onwardFrom({ instanceId, position, read }: DueCandidate, now: Date): Onward {
  if ("fault" in read)
    return { instanceId, position: Math.min(position, LAST_POSITION - 1) + 1, nextStepDue: repairBy(now) };
  const state = afterWaiting(read.item, now);
  return { instanceId, position: state.position, nextStepDue: state.status === "active" ? state.nextStepDue : null };
}
