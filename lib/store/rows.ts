import * as z from "zod";
import { isSender } from "../domain/address.ts";
import type { AheadForCap, DueItem, Sequence, WorkspaceFacts } from "../domain/due-item.ts";
import {
  CHANNELS,
  ENRICHMENT_STATUSES,
  LEAD_STATUSES,
  SEQUENCE_TRIGGERS,
  SUPPRESSION_REASONS,
} from "../domain/labels.ts";
import { capDayOf } from "../domain/send-times.ts";
import type { DueCandidate } from "../run/claim-ports.ts";
import {
  lastTouchColumns,
  lastTouchOf,
  sendTimeColumns,
  sendTimesOf,
  templateColumns,
  templateLeadOf,
} from "./columns.ts";
import { twinTouchColumns, twinTouchOf } from "./twins.ts";

/** A `timestamptz` from the driver: infinity is a number, and a year after 275760 is an invalid Date. */
const timestamp = z.union([z.instanceof(Date), z.literal([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])]);

const isReadable = (value: z.infer<typeof timestamp>): value is Date =>
  value instanceof Date && value.getUTCFullYear() >= 1;

/** Reads a timestamp that JavaScript cannot hold, or from before year 1, as 1970, so that it never stops a batch. */
export const storedInstant = timestamp.transform((value) => (isReadable(value) ? value : new Date(0)));

/** Like `storedInstant`, but reads such a timestamp as null. */
export const storedInstantOrNull = timestamp
  .nullable()
  .transform((value) => (value && isReadable(value) ? value : null));

/** The columns of a claimed instance that must parse; without them it cannot even be held. */
const dueRow = z.object({
  id: z.string(),
  workspace_id: z.string(),
  lead_id: z.string(),
  sequence_id: z.string(),
  version: z.int(),
  generation: z.int(),
  position: z.int(),
  next_step_due: storedInstant,
  held_since: storedInstantOrNull,
});

/** A claimed instance with its whole row; the lead's columns may still fail to parse. */
export interface DueRow extends z.infer<typeof dueRow> {
  readonly row: unknown;
}

const leadRow = z.object({
  ...templateColumns,
  linkedin_connected_at: z.date().nullable(),
  time_zone: z.string().nullable(),
  status: z.enum(LEAD_STATUSES),
  is_booked: z.boolean(),
  automation_enabled: z.boolean(),
  opted_out_at: z.date().nullable(),
  suppressed_reason: z.enum(SUPPRESSION_REASONS).exclude(["undeliverable"]).nullable(),
  email_undeliverable: z.boolean(),
  phone_undeliverable: z.boolean(),
  snoozed_until: z.date().nullable(),
  last_inbound_at: z.date().nullable(),
  last_outbound_at: z.date().nullable(),
  last_contacted_at: storedInstantOrNull,
  ...lastTouchColumns,
  ...twinTouchColumns,
  enrichment_status: z.enum(ENRICHMENT_STATUSES),
});

const stepRow = z.object({
  id: z.guid(),
  position: z.int(),
  delayMinutes: z.int(),
  channel: z.enum(CHANNELS),
  condition: z.string(),
  subject: z.string().nullable(),
  body: z.string(),
  allow: z.array(z.string()),
  needsApproval: z.boolean(),
  timeToLiveMinutes: z.int().nullable(),
});

const sequenceRow = z.object({
  trigger_on: z.enum(SEQUENCE_TRIGGERS),
  active: z.boolean(),
  steps: z.array(stepRow),
});

const workspaceRow = z.object({
  workspace_id: z.guid(),
  workspace_name: z.string(),
  workspace_time_zone: z.string(),
  paused_at: z.date().nullable(),
  paused_reason: z.string().nullable(),
  ghosted_after_days: z.int(),
  email_from: z.string(),
  ...sendTimeColumns,
  daily_cap: z.int().nullable(),
  cap_day: z.string().nullable(),
  cap_used: z.int(),
});

/** A sequence with its workspace, or the reason why one of them does not parse. */
export type ReadSequence =
  | { readonly sequence: Sequence; readonly workspace: WorkspaceFacts }
  | { readonly fault: string };

export const parseDueRows = (rows: unknown): DueRow[] =>
  z
    .array(z.unknown())
    .parse(rows)
    .map((row) => ({ ...dueRow.parse(row), row }));

/** The key of the sequence version that an instance follows. */
export const walkedBy = ({ sequence_id, version }: Pick<DueRow, "sequence_id" | "version">): string =>
  `${sequence_id} ${version}`;

/** Parses sequences one by one, so that an invalid sequence or workspace holds only its own instances. */
export function parseSequences(rows: unknown, now: Date): ReadonlyMap<string, ReadSequence> {
  const workspaces = new Map<string, WorkspaceFacts>();
  return new Map(
    z
      .array(z.looseObject({ id: z.guid(), version: z.int(), workspace_id: z.guid() }))
      .parse(rows)
      .map((row) => [walkedBy({ sequence_id: row.id, version: row.version }), readSequence(row, workspaces, now)]),
  );
}

/** Reuses one object per workspace, because holiday calendars and caps are keyed by object. */
function readSequence(
  row: { readonly id: string; readonly workspace_id: string },
  workspaces: Map<string, WorkspaceFacts>,
  now: Date,
): ReadSequence {
  const { id, workspace_id: workspaceId } = row;
  const sequence = sequenceRow.safeParse(row);
  if (!sequence.success) return { fault: `sequence ${id}: ${columnFaults(sequence.error)}` };
  const { trigger_on: triggerOn, active, steps } = sequence.data;
  const workspace = workspaces.get(workspaceId) ?? readWorkspace(row, now);
  if ("fault" in workspace) return { fault: `workspace ${workspaceId}: ${workspace.fault}` };
  workspaces.set(workspaceId, workspace);
  return { sequence: { id, triggerOn, active, steps }, workspace };
}

function readWorkspace(row: unknown, now: Date): WorkspaceFacts | { readonly fault: string } {
  const workspace = workspaceRow.safeParse(row);
  return workspace.success ? workspaceOf(workspace.data, now) : { fault: columnFaults(workspace.error) };
}

const workspaceOf = (row: z.infer<typeof workspaceRow>, now: Date): WorkspaceFacts => ({
  id: row.workspace_id,
  name: row.workspace_name,
  timeZone: row.workspace_time_zone,
  pausedAt: row.paused_at,
  pausedReason: row.paused_reason,
  ghostedAfterDays: row.ghosted_after_days,
  hasSender: isSender(row.email_from),
  ...sendTimesOf(row),
  dailyCap: row.daily_cap,
  dailyCapUsed: row.cap_day === capDayOf(row.workspace_time_zone, now) ? row.cap_used : 0,
});

export function candidateOf(row: DueRow, read: ReadSequence | undefined, ahead?: AheadForCap): DueCandidate {
  return {
    instanceId: row.id,
    workspaceId: row.workspace_id,
    position: row.position,
    nextStepDue: row.next_step_due,
    heldSince: row.held_since,
    read: readItem(row, read ?? { fault: `sequence ${row.sequence_id} is gone` }, ahead),
  };
}

function readItem(row: DueRow, read: ReadSequence, ahead: AheadForCap | undefined): DueCandidate["read"] {
  if ("fault" in read) return read;
  const lead = leadRow.safeParse(row.row);
  if (!lead.success) return { fault: `lead ${row.lead_id}: ${columnFaults(lead.error)}` };
  const item: DueItem = {
    instance: {
      id: row.id,
      generation: row.generation,
      position: row.position,
      nextStepDue: row.next_step_due,
      heldSince: row.held_since,
      ...(ahead && { ahead }),
    },
    lead: leadOf(row.lead_id, lead.data),
    sequence: read.sequence,
    workspace: read.workspace,
  };
  return { item };
}

const leadOf = (id: string, row: z.infer<typeof leadRow>): DueItem["lead"] => ({
  id,
  ...templateLeadOf(row),
  linkedinConnectedAt: row.linkedin_connected_at,
  timeZone: row.time_zone,
  status: row.status,
  isBooked: row.is_booked,
  automationEnabled: row.automation_enabled,
  optedOutAt: row.opted_out_at,
  suppressed: row.suppressed_reason,
  undeliverable: { email: row.email_undeliverable, phone: row.phone_undeliverable },
  snoozedUntil: row.snoozed_until,
  lastInboundAt: row.last_inbound_at,
  lastOutboundAt: row.last_outbound_at,
  lastContactedAt: row.last_contacted_at,
  lastTouchAt: lastTouchOf(row),
  twinTouchAt: twinTouchOf(row),
  enrichmentStatus: row.enrichment_status,
});

/** Names each column and its problem, never the value, which may be personal data. */
export const columnFaults = (error: z.ZodError): string =>
  error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
