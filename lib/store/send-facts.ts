import * as z from "zod";
import { CHANNELS } from "../domain/labels.ts";
import { lastReachedAt } from "../domain/send-times.ts";
import type { TouchDetails } from "../run/channel-ports.ts";
import type { TouchSendFacts, UnreadableTouch } from "../run/delivery-ports.ts";
import {
  LAST_TOUCHES,
  LEAD_TEXTS,
  lastTouchColumns,
  lastTouchOf,
  leadTexts,
  loadHolidaysFor,
  SEND_TIMES,
  sendTimeColumns,
  sendTimesOf,
} from "./columns.ts";
import { columnFaults } from "./rows.ts";
import { many, type Queryable } from "./sql.ts";
import { TWIN_TOUCHES, twinTouchColumns, twinTouchOf } from "./twins.ts";

const touchRow = z.looseObject({ id: z.guid(), workspace_id: z.guid() });

/** Has the names of the columns, because a fault names the column. */
const factsRow = z.object({
  id: z.guid(),
  workspace_id: z.guid(),
  channel: z.enum(CHANNELS),
  tried_last: z.boolean(),
  switched_off: z.boolean(),
  snoozed_until: z.date().nullable(),
  lead_time_zone: z.string().nullable(),
  last_outbound_at: z.date().nullable(),
  ...lastTouchColumns,
  ...twinTouchColumns,
  workspace_time_zone: z.string(),
  ...sendTimeColumns,
});

/** The facts that decide when claimed touches may go. Parses each alone, so that an invalid one blocks no other. */
export async function readSendFacts(
  db: Queryable,
  touchIds: readonly string[],
): Promise<ReadonlyMap<string, TouchSendFacts | UnreadableTouch>> {
  const rows = await many(db, touchRow)`
    select touch.id, touch.workspace_id, touch.channel::text,
           coalesce(lead.last_outbound_at = touch.last_attempt_at, false) as tried_last,
           workspace.paused_at is not null or not sequence.active
             or coalesce(instance.paused_reason = 'manual', false) as switched_off,
           lead.snoozed_until, lead.time_zone as lead_time_zone, lead.last_outbound_at, ${LAST_TOUCHES}, ${TWIN_TOUCHES},
           workspace.time_zone as workspace_time_zone, ${SEND_TIMES}
      from touch
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
      join follow_up_instance as instance on instance.id = touch.instance_id
      join follow_up_sequence as sequence on sequence.id = instance.sequence_id
      join workspace on workspace.id = touch.workspace_id
     where touch.id = any(${[...touchIds]}::uuid[]) and touch.status = 'claimed'`;
  await loadHolidaysFor(rows);
  return new Map(rows.map((row) => [row.id, sendFactsOf(row)]));
}

function sendFactsOf(row: { readonly workspace_id: string }): TouchSendFacts | UnreadableTouch {
  const facts = factsRow.safeParse(row);
  if (facts.success) return touchSendFacts(facts.data);
  return { workspaceId: row.workspace_id, fault: columnFaults(facts.error) };
}

function touchSendFacts(row: z.infer<typeof factsRow>): TouchSendFacts {
  const lead = {
    timeZone: row.lead_time_zone,
    lastOutboundAt: row.last_outbound_at,
    lastTouchAt: lastTouchOf(row),
    twinTouchAt: twinTouchOf(row),
  };
  return {
    workspaceId: row.workspace_id,
    switchedOff: row.switched_off,
    snoozedUntil: row.snoozed_until,
    triedLast: row.tried_last && lastReachedAt(lead, row.channel)?.getTime() === row.last_outbound_at?.getTime(),
    facts: { lead, workspace: { timeZone: row.workspace_time_zone, ...sendTimesOf(row) }, channel: row.channel },
  };
}

const detailsRow = z.object({
  touchId: z.guid(),
  attempt: z.int(),
  workspaceName: z.string(),
  sequenceId: z.guid(),
  sequenceName: z.string(),
  stepKey: z.string(),
  stepPosition: z.int(),
  lead: z.object(leadTexts),
});

/** The details of touches that are `sending`, by touch id. Lead, names and position are those of now. */
export async function readDetails(
  db: Queryable,
  touchIds: readonly string[],
): Promise<ReadonlyMap<string, TouchDetails>> {
  const rows = await many(db, detailsRow)`
    select touch.id as "touchId", touch.attempts as attempt, workspace.name as "workspaceName",
           sequence.id as "sequenceId", sequence.name as "sequenceName",
           step.key as "stepKey", step.position as "stepPosition",
           json_build_object(${LEAD_TEXTS}) as lead
      from touch
      join workspace on workspace.id = touch.workspace_id
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = step.sequence_id
     where touch.id = any(${[...touchIds]}::uuid[])`;
  return new Map(rows.map((row) => [row.touchId, detailsOf(row)]));
}

const detailsOf = (row: z.infer<typeof detailsRow>): TouchDetails => ({
  attempt: row.attempt,
  workspaceName: row.workspaceName,
  lead: row.lead,
  sequence: { id: row.sequenceId, name: row.sequenceName },
  step: { key: row.stepKey, position: row.stepPosition },
});
