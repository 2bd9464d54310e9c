import * as z from "zod";
import { CHANNELS, INSTANCE_STATUSES, TOUCH_STATUSES } from "../domain/labels.ts";
import type { DueCandidate } from "../run/store-ports.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { instant, parseDueRows } from "./rows.ts";
import { many, type Queryable } from "./sql.ts";

/** The state and history of one instance. */
export interface ExplainedInstance {
  readonly status: (typeof INSTANCE_STATUSES)[number];
  /** Why it is paused, held or complete. */
  readonly why: string | null;
  readonly sequenceName: string;
  readonly nextStepDue: Date | null;
  /** The instance as a claim would read it if it were due now. */
  readonly candidate: DueCandidate;
  readonly touches: readonly z.infer<typeof touchRow>[];
  readonly reopenings: readonly z.infer<typeof reopeningRow>[];
}

const instanceRow = z.object({
  instanceStatus: z.enum(INSTANCE_STATUSES),
  why: z.string().nullable(),
  sequenceName: z.string(),
  due: instant.nullable(),
});

/** Null if there is no such instance. */
export async function explainInstance(db: Queryable, id: string, now: Date): Promise<ExplainedInstance | null> {
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(now)}, instance.next_step_due as due, instance.status::text as "instanceStatus",
           coalesce(instance.paused_reason::text, instance.hold_reason, instance.completed_reason) as why,
           sequence.name as "sequenceName"
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
     where instance.id = ${id}::uuid`;
  const [dueRow] = parseDueRows(rows);
  if (!dueRow) return null;
  const { instanceStatus, why, sequenceName, due } = instanceRow.parse(dueRow.row);
  const [candidate] = await readCandidates(db, [dueRow], now);
  if (!candidate) return null;
  return {
    status: instanceStatus,
    why,
    sequenceName,
    nextStepDue: due,
    candidate,
    touches: await touchesOf(db, id),
    reopenings: await reopeningsOf(db, id),
  };
}

const touchRow = z.object({
  generation: z.int(),
  position: z.int(),
  channel: z.enum(CHANNELS),
  status: z.enum(TOUCH_STATUSES),
  reason: z.string().nullable(),
  claimedAt: instant,
  sentAt: instant.nullable(),
  nextAttemptAt: instant.nullable(),
});

async function touchesOf(db: Queryable, instanceId: string): Promise<ExplainedInstance["touches"]> {
  return await many(db, touchRow)`
    select touch.generation, step.position, touch.channel::text, touch.status::text, touch.reason,
           touch.claimed_at as "claimedAt", touch.sent_at as "sentAt", touch.next_attempt_at as "nextAttemptAt"
      from touch join follow_up_step as step on step.id = touch.step_id
     where touch.instance_id = ${instanceId}::uuid
     order by touch.claimed_at, step.position`;
}

/** A person reopened the instance after it had ended. */
const reopeningRow = z.object({
  generation: z.int(),
  position: z.int(),
  endedAs: z.string(),
  endedReason: z.string().nullable(),
  reason: z.string(),
  reopenedBy: z.string(),
  reopenedAt: instant,
});

async function reopeningsOf(db: Queryable, instanceId: string): Promise<ExplainedInstance["reopenings"]> {
  return await many(db, reopeningRow)`
    select generation, position, ended_as::text as "endedAs", ended_reason as "endedReason", reason,
           reopened_by as "reopenedBy", reopened_at as "reopenedAt"
      from reopening
     where instance_id = ${instanceId}::uuid
     order by generation`;
}
