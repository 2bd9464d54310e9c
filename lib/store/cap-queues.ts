import * as z from "zod";
import type { AheadForCap, WorkspaceFacts } from "../domain/due-item.ts";
import { capDayEnd } from "../domain/send-times.ts";
import { type DueRow, instant, type ReadSequence } from "./rows.ts";
import type { Queryable } from "./sql.ts";

/** A held step that is due again within its workspace's current cap day. */
interface Waiting {
  /** When it was due before its first hold. */
  readonly since: Date;
  readonly comesBack: Date;
}

/** Held steps by workspace, oldest first. */
export type CapQueues = ReadonlyMap<string, readonly Waiting[]>;

interface CapQuery {
  readonly sequences: ReadonlyMap<string, ReadSequence>;
  /** Instances to leave out, because this batch decides them. */
  readonly beside: readonly string[];
  readonly now: Date;
}

/** Holds that end by time. A step that waits for a person would reserve a place in the cap every day and use none. */
const ENDS_BY_TIME = [
  "daily_cap_reached",
  "outside_send_window",
  "closed_day",
  "holiday",
  "too_soon",
  "channel_used_today",
];

/**
 * The held steps, besides those decided now, that may still use the rest of a cap today. At most as many per workspace
 * as its cap has left. Reads only workspaces with a cap.
 */
export async function readCapQueues(db: Queryable, { sequences, beside, now }: CapQuery): Promise<CapQueues> {
  const capped = cappedOf(sequences);
  if (capped.length === 0) return new Map();
  const waiting = await db.$queryRaw`
    select capped.id, waits.held_since as since, waits.next_step_due as comes_back
      from unnest(
        ${capped.map(({ id }) => id)}::uuid[],
        ${capped.map(({ timeZone }) => capDayEnd(timeZone, now))}::timestamptz[],
        ${capped.map(({ left }) => left)}::int[]) as capped (id, day_end, places)
     cross join lateral (
       select instance.held_since, instance.next_step_due
         from follow_up_instance as instance
        where instance.workspace_id = capped.id and instance.status = 'active'
          and (not instance.lead_booked or instance.post_booking) and instance.next_step_due < capped.day_end
          and instance.hold_reason = any(${ENDS_BY_TIME}::text[])
          and instance.id <> all(${[...beside]}::uuid[])
        order by instance.held_since
        limit capped.places) as waits
     order by waits.held_since`;
  return Map.groupBy(z.array(waitingRow).parse(waiting), ({ id }) => id);
}

const waitingRow = z
  .object({ id: z.guid(), since: instant, comes_back: instant })
  .transform(({ id, since, comes_back: comesBack }) => ({ id, since, comesBack }));

/** The workspaces whose cap has something left, and how much. */
function cappedOf(sequences: ReadonlyMap<string, ReadSequence>) {
  const workspaces = new Set<WorkspaceFacts>();
  for (const read of sequences.values()) if ("workspace" in read) workspaces.add(read.workspace);
  return [...workspaces].flatMap(({ id, timeZone, dailyCap, dailyCapUsed }) =>
    dailyCap !== null && dailyCapUsed < dailyCap ? [{ id, timeZone, left: dailyCap - dailyCapUsed }] : [],
  );
}

/** When a step was due before any hold. */
export const dueSince = ({ held_since, next_step_due }: DueRow): Date => held_since ?? next_step_due;

/** The number of older steps in the queue, and when the last of them is due again; undefined if there are none. */
export function aheadOf(row: DueRow, queues: CapQueues): AheadForCap | undefined {
  const older = (queues.get(row.workspace_id) ?? []).filter(({ since }) => since < dueSince(row));
  if (older.length === 0) return undefined;
  return { steps: older.length, until: new Date(Math.max(...older.map(({ comesBack }) => comesBack.getTime()))) };
}
