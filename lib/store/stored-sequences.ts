import { createHash } from "node:crypto";
import * as z from "zod";
import { type LenientSequence, STEP_FIELDS } from "../domain/written-sequence.ts";
import { many, type Queryable } from "./sql.ts";

/** The latest version of a stored sequence. */
export interface StoredSequence {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  /** Undefined if it has no steps. */
  readonly written: LenientSequence | undefined;
}

/** A step as it is stored. A label that only newer code knows is its name. */
export const storedStep = z.object({
  key: z.string(),
  delayMinutes: z.int(),
  channel: z.string(),
  subject: z.string().nullable(),
  body: z.string(),
  allow: z.array(z.string()).readonly(),
  condition: z.string(),
  needsApproval: z.boolean(),
  timeToLiveMinutes: z.int().nullable(),
});
const storedRow = z.object({
  id: z.guid(),
  name: z.string(),
  version: z.int(),
  triggerOn: z.string(),
  active: z.boolean(),
  steps: z.array(storedStep).nullable(),
});

interface Selection {
  readonly names?: readonly string[];
  /** The id or the name of one. */
  readonly idOrName?: string;
  /** The name of the last one that was read before. */
  readonly after?: string | null;
  readonly limit?: number;
}

/** The selected sequences of a workspace, or all, sorted by the bytes of their names. */
export async function findStoredSequences(
  db: Queryable,
  workspaceId: string,
  { names, idOrName, after, limit }: Selection = {},
): Promise<readonly StoredSequence[]> {
  const rows = await many(db, storedRow)`
    select sequence.id, name, version, trigger_on as "triggerOn", active,
           (select json_agg(json_build_object(
                     'key', key, 'delayMinutes', delay_minutes, 'channel', channel, 'subject', subject, 'body', body,
                     'allow', allowed_placeholders,
                     'condition', condition, 'needsApproval', needs_approval, 'timeToLiveMinutes', time_to_live_minutes)
                   order by position)
              from follow_up_step where sequence_id = sequence.id and version = sequence.version) as steps
      from follow_up_sequence as sequence
     where workspace_id = ${workspaceId}::uuid
       and (${names ?? null}::text[] is null or name = any(${names ?? null}::text[]))
       and (${idOrName ?? null}::text is null or name = ${idOrName ?? null} or sequence.id::text = lower(${idOrName ?? null}))
       and (${after ?? null}::text is null or name collate "C" > ${after ?? null})
     order by name collate "C"
     limit ${limit ?? null}`;
  return rows.map(({ id, name, version, triggerOn, active, steps }) => ({
    id,
    name,
    version,
    written: steps ? { name, triggerOn, active, steps } : undefined,
  }));
}

const stepNameRow = z.object({ id: z.guid(), sequence: z.string(), key: z.string() });

/** Steps by id: the name of their sequence, and their key. */
export type StoredSteps = ReadonlyMap<string, Omit<z.infer<typeof stepNameRow>, "id">>;

/** The names of all steps of a workspace, in all versions. */
export async function readStoredSteps(db: Queryable, workspaceId: string): Promise<StoredSteps> {
  const rows = await many(db, stepNameRow)`
    select step.id, sequence.name as sequence, step.key
      from follow_up_sequence as sequence join follow_up_step as step on step.sequence_id = sequence.id
     where sequence.workspace_id = ${workspaceId}::uuid`;
  return new Map(rows.map(({ id, ...step }) => [id, step]));
}

/** Identifies what a person reviewed: equal for equal sequences. Null if there is none. */
export function fingerprintOf(written: LenientSequence | undefined): string | null {
  if (!written) return null;
  const { name, triggerOn, active, steps } = written;
  const values = [
    name,
    triggerOn,
    active,
    ...steps.map((step) => [step.key, ...STEP_FIELDS.map((field) => step[field])]),
  ];
  return createHash("sha256").update(JSON.stringify(values)).digest("hex");
}

export const sequenceSummary = z.object({
  id: z.guid(),
  name: z.string(),
  triggerOn: z.string(),
  active: z.boolean(),
  version: z.int(),
  steps: z.int(),
  /** Leads that are in it now, in any version. */
  live: z.int(),
});
type SequenceSummary = z.infer<typeof sequenceSummary>;

/** The sequences of a workspace with their steps and live instances; at most `limit`, by name. */
export async function readSequences(db: Queryable, workspaceId: string, limit: number): Promise<SequenceSummary[]> {
  return await many(db, sequenceSummary)`
    select id, name, trigger_on as "triggerOn", active, version,
           (select count(*)::int from follow_up_step
             where sequence_id = sequence.id and version = sequence.version) as steps,
           coalesce(live.instances, 0) as live
      from follow_up_sequence as sequence
      left join (select sequence_id, count(*)::int as instances from follow_up_instance
                  where workspace_id = ${workspaceId}::uuid and live group by sequence_id) as live
        on live.sequence_id = sequence.id
     where workspace_id = ${workspaceId}::uuid
     order by name collate "C"
     limit ${limit}`;
}
