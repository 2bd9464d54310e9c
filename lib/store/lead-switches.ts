import * as z from "zod";
import { type Ended, endInstances } from "./facts/instances.ts";
import { execute, one, type Queryable } from "./sql.ts";

interface Stop {
  readonly workspaceId: string;
  readonly leadId: string;
  /** Null: all sequences, post-booking ones included, and automation is switched off. */
  readonly sequenceId: string | null;
  readonly now: Date;
}

interface Stopped extends Ended {
  /** Messages whose sending had started. They may still arrive. */
  readonly sending: number;
}

/** Ends sequences of a lead as `cancelled`. Locks the lead first, as every transaction that waits for several rows. */
export async function stopSequencesOf(db: Queryable, { workspaceId, leadId, sequenceId, now }: Stop): Promise<Stopped> {
  await execute(db)`
    update lead set automation_enabled = automation_enabled and ${sequenceId !== null} where id = ${leadId}::uuid`;
  const which = sequenceId === null ? "all" : { sequenceId };
  const stopped = { workspaceId, leadIds: [leadId], status: "cancelled", reason: "stopped", now } as const;
  const ended = await endInstances(db, { ...stopped, which });
  const { sending } = await one(db, z.object({ sending: z.int() }))`
    select count(*)::int as sending
      from follow_up_instance as instance join touch on touch.instance_id = instance.id
     where instance.lead_id = ${leadId}::uuid and touch.status = 'sending'
       and (${sequenceId}::uuid is null or instance.sequence_id = ${sequenceId}::uuid)`;
  return { ...ended, sending };
}

interface Resumed {
  /** Whether automation was off. */
  readonly switchedOn: boolean;
  /** Paused instances that the next run resumes, unless another rule stands against it. */
  readonly resuming: number;
}

/**
 * Switches automation on, and lets the next run end the lead's manual pauses, also those that a person typed. Ended
 * instances stay ended.
 */
export async function resumeSequencesOf(
  db: Queryable,
  { leadId, now }: { readonly leadId: string; readonly now: Date },
): Promise<Resumed> {
  const switched = await execute(db)`
    update lead set automation_enabled = true where id = ${leadId}::uuid and not automation_enabled`;
  const resuming = await execute(db)`
    update follow_up_instance set recheck_at = ${now}
     where lead_id = ${leadId}::uuid and status = 'paused' and paused_reason = 'manual'`;
  return { switchedOn: switched > 0, resuming };
}

/** Makes held steps of a lead due now. Returns their number. */
export const recheckHeld = (
  db: Queryable,
  { leadId, now }: { readonly leadId: string; readonly now: Date },
): Promise<number> => execute(db)`
  update follow_up_instance set next_step_due = ${now}
   where lead_id = ${leadId}::uuid and status = 'active' and hold_reason is not null and next_step_due > ${now}`;
