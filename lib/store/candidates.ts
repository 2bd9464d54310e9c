import * as z from "zod";
import { holdsEndedBy } from "../domain/decision.ts";
import type { AheadForCap, WorkspaceFacts } from "../domain/due-item.ts";
import { writesSlots } from "../domain/late-values.ts";
import { capDayEnd } from "../domain/send-times.ts";
import type { DueCandidate } from "../run/claim-ports.ts";
import { withSlots } from "./availability.ts";
import { LAST_TOUCHES, loadHolidaysFor, SEND_TIMES, TEMPLATE_COLUMNS } from "./columns.ts";
import { candidateOf, type DueRow, parseSequences, type ReadSequence, storedInstant, walkedBy } from "./rows.ts";
import { many, type Queryable, type Sql, sql } from "./sql.ts";
import { TWIN_TOUCHES } from "./twins.ts";

/** The columns of a lead that `decide` reads. */
const DECIDE_COLUMNS = sql`
  ${TEMPLATE_COLUMNS}, lead.linkedin_connected_at, lead.time_zone,
  lead.status::text, lead.is_booked, lead.automation_enabled, lead.opted_out_at, lead.snoozed_until,
  lead.suppressed_reason::text, lead.email_undeliverable, lead.phone_undeliverable,
  lead.last_inbound_at, lead.last_outbound_at, lead.last_contacted_at, ${LAST_TOUCHES}, ${TWIN_TOUCHES}, lead.enrichment_status::text`;

/** The columns that `candidateOf` reads; an instance without a due time counts as due now. */
export const candidateColumns = (now: Date): Sql => sql`
  instance.id, instance.workspace_id, instance.lead_id, instance.sequence_id, instance.version, instance.generation,
  instance.position, coalesce(instance.next_step_due, ${now}) as next_step_due, instance.held_since, ${DECIDE_COLUMNS}`;

/** The instances of `rows` with everything that `decide` needs. `decided` names all instances that are decided together. */
export async function readCandidates(
  db: Queryable,
  rows: readonly DueRow[],
  now: Date,
  decided: readonly string[] = rows.map(({ id }) => id),
): Promise<readonly DueCandidate[]> {
  if (rows.length === 0) return [];
  const sequences = await readSequences(db, rows, now);
  const queues = await readCapQueues(db, sequences, decided, now);
  const candidates = rows.map((row) => candidateOf(row, sequences.get(walkedBy(row)), aheadOf(row, queues)));
  return [...sequences.values()].some(offersTimes) ? await withSlots(db, candidates, now) : candidates;
}

/** The sequence versions that these instances follow, with steps and workspace, keyed by `walkedBy`. */
async function readSequences(
  db: Queryable,
  rows: readonly DueRow[],
  now: Date,
): Promise<ReadonlyMap<string, ReadSequence>> {
  const walked = [...new Map(rows.map((row) => [walkedBy(row), row])).values()];
  const sequences = await many(db, z.unknown())`
    select sequence.id, walked.version, sequence.trigger_on::text, sequence.active, workspace.id as workspace_id,
           workspace.name as workspace_name, workspace.time_zone as workspace_time_zone, workspace.paused_at,
           workspace.paused_reason::text, workspace.ghosted_after_days, workspace.email_from, ${SEND_TIMES},
           workspace.daily_cap, workspace.cap_day::text, workspace.cap_used,
           coalesce((
             select json_agg(json_build_object(
                      'id', step.id, 'position', step.position, 'delayMinutes', step.delay_minutes,
                      'channel', step.channel, 'condition', step.condition, 'subject', step.subject,
                      'body', step.body, 'allow', step.allowed_placeholders, 'needsApproval', step.needs_approval,
                      'timeToLiveMinutes', step.time_to_live_minutes) order by step.position)
               from follow_up_step as step
              where step.sequence_id = walked.id and step.version = walked.version), '[]'::json) as steps
      from unnest(
        ${walked.map((row) => row.sequence_id)}::uuid[],
        ${walked.map((row) => row.version)}::int[]) as walked (id, version)
      join follow_up_sequence as sequence on sequence.id = walked.id
      join workspace on workspace.id = sequence.workspace_id`;
  await loadHolidaysFor(sequences);
  return parseSequences(sequences, now);
}

const offersTimes = (read: ReadSequence): boolean => "sequence" in read && read.sequence.steps.some(writesSlots);

/** A held step that is due again within its workspace's current cap day. */
interface StepHeldByCap {
  /** When it was due before its first hold. */
  readonly since: Date;
  readonly comesBack: Date;
}

/** Held steps by workspace, oldest first. */
type CapQueues = ReadonlyMap<string, readonly StepHeldByCap[]>;

/** Holds that end by time. A step that waits for a person would reserve a place in the cap every day and use none. */
export const ENDS_BY_TIME: readonly string[] = holdsEndedBy("time");

/**
 * The held steps, besides those in `decided`, that may still use the rest of a cap today. At most as many per workspace
 * as its cap has left. Reads only workspaces with a cap.
 */
async function readCapQueues(
  db: Queryable,
  sequences: ReadonlyMap<string, ReadSequence>,
  decided: readonly string[],
  now: Date,
): Promise<CapQueues> {
  const capped = cappedOf(sequences);
  if (capped.length === 0) return new Map();
  const waiting = await many(db, waitingRow)`
    select capped.id, waits.held_since as since, waits.next_step_due as "comesBack"
      from unnest(
        ${capped.map(({ id }) => id)}::uuid[],
        ${capped.map(({ timeZone }) => capDayEnd(timeZone, now))}::timestamptz[],
        ${capped.map(({ left }) => left)}::int[]) as capped (id, day_end, places)
     cross join lateral (
       select instance.held_since, instance.next_step_due
         from follow_up_instance as instance
        where instance.workspace_id = capped.id and instance.status = 'active'
          and (not instance.lead_booked or instance.post_booking) and instance.next_step_due < capped.day_end
          and instance.hold_reason = any(${[...ENDS_BY_TIME]}::text[])
          and instance.id <> all(${[...decided]}::uuid[])
        order by instance.held_since
        limit capped.places) as waits
     order by waits.held_since`;
  return Map.groupBy(waiting, ({ id }) => id);
}

const waitingRow = z.object({ id: z.guid(), since: storedInstant, comesBack: storedInstant });

/** The workspaces whose cap has something left, and how much. */
function cappedOf(sequences: ReadonlyMap<string, ReadSequence>) {
  const workspaces = new Set<WorkspaceFacts>();
  for (const read of sequences.values()) if ("workspace" in read) workspaces.add(read.workspace);
  return [...workspaces].flatMap(({ id, timeZone, dailyCap, dailyCapUsed }) =>
    dailyCap !== null && dailyCapUsed < dailyCap ? [{ id, timeZone, left: dailyCap - dailyCapUsed }] : [],
  );
}

/** The number of older steps in the queue, and when the last of them is due again; undefined if there are none. */
function aheadOf({ workspace_id, held_since, next_step_due }: DueRow, queues: CapQueues): AheadForCap | undefined {
  const queue = queues.get(workspace_id);
  if (!queue) return undefined;
  const older = queue.filter(({ since }) => since < (held_since ?? next_step_due));
  if (older.length === 0) return undefined;
  return { steps: older.length, until: new Date(Math.max(...older.map(({ comesBack }) => comesBack.getTime()))) };
}
