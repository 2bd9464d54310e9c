import { Prisma } from "./generated/client.ts";
import { TEMPLATE_COLUMNS } from "./lead-texts.ts";
import { type DueRow, parseSequences, type ReadSequence, walkedBy } from "./rows.ts";
import { LAST_TOUCHES, loadHolidaysFor, SEND_TIMES } from "./send-time-rows.ts";
import type { Queryable } from "./sql.ts";
import { TWIN_TOUCHES } from "./twins.ts";

/** The columns of a lead that `decide` reads. */
const DECIDE_COLUMNS = Prisma.sql`
  ${TEMPLATE_COLUMNS}, lead.linkedin_connected_at, lead.time_zone,
  lead.status::text, lead.is_booked, lead.automation_enabled, lead.opted_out_at, lead.snoozed_until,
  lead.suppressed_reason::text, lead.email_undeliverable, lead.phone_undeliverable,
  lead.last_inbound_at, lead.last_outbound_at, ${LAST_TOUCHES}, ${TWIN_TOUCHES}, lead.enrichment_status::text`;

/** The columns that `candidateOf` reads; an instance without a due time counts as due now. */
export const candidateColumns = (now: Date): Prisma.Sql => Prisma.sql`
  instance.id, instance.workspace_id, instance.lead_id, instance.sequence_id, instance.version, instance.generation,
  instance.position, coalesce(instance.next_step_due, ${now}) as next_step_due, instance.held_since, ${DECIDE_COLUMNS}`;

/** The sequence versions that these instances follow, with steps and workspace, keyed by `walkedBy`. */
export async function readSequences(
  db: Queryable,
  rows: readonly DueRow[],
  now: Date,
): Promise<ReadonlyMap<string, ReadSequence>> {
  const walked = [...new Map(rows.map((row) => [walkedBy(row), row])).values()];
  const sequences = await db.$queryRaw`
    select sequence.id, walked.version, sequence.trigger_on::text, sequence.active, workspace.id as workspace_id,
           workspace.name as workspace_name, workspace.time_zone as workspace_time_zone, workspace.paused_at,
           workspace.ghosted_after_days, workspace.email_from, ${SEND_TIMES},
           workspace.daily_cap, workspace.cap_day::text, workspace.cap_used,
           coalesce((
             select json_agg(json_build_object(
                      'id', step.id, 'position', step.position, 'delayMinutes', step.delay_minutes,
                      'channel', step.channel, 'condition', step.condition, 'subject', step.subject,
                      'body', step.body, 'needsApproval', step.needs_approval,
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
