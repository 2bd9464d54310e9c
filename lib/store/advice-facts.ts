import * as z from "zod";
import type { LeadsByValues, UsedValues } from "../domain/advice.ts";
import { SLOTS_OUTPUT, UNSUBSCRIBE_OUTPUT } from "../domain/late-values.ts";
import { leadColumn } from "./columns.ts";
import { CONTACT_BAR } from "./contact-rule.ts";
import { exists, join, many, type Queryable, sql } from "./sql.ts";

const groupRow = z.object({ given: z.array(z.boolean()), leads: z.int() });

/** The leads of a workspace that may be contacted, by which of these values they have. Reads each lead once. */
export async function readLeadsByValues(
  db: Queryable,
  workspaceId: string,
  { keys, fields }: UsedValues,
): Promise<readonly LeadsByValues[]> {
  const values = [
    ...keys.map((key) => sql`lead.${leadColumn(key)}`),
    ...fields.map((name) => sql`lead.fields ->> ${name}`),
  ];
  const given = join(values.map((value) => sql`coalesce(${value} ~ '[^[:space:]]', false)`));
  const groups = await many(db, groupRow)`
    select array[${given}] as given, count(*)::int as leads
      from lead
     where workspace_id = ${workspaceId}::uuid and ${CONTACT_BAR} is null
     group by 1`;
  return groups.map((group) => ({
    leads: group.leads,
    keys: keys.filter((_, place) => group.given[place]),
    fields: fields.filter((_, place) => group.given[keys.length + place]),
  }));
}

const nameRow = z.object({ name: z.string() });

/** Which of these sequences a lead is or was in. */
export async function namesWithLeads(
  db: Queryable,
  workspaceId: string,
  names: readonly string[],
): Promise<ReadonlySet<string>> {
  const found = await many(db, nameRow)`
    select name from follow_up_sequence as sequence
     where workspace_id = ${workspaceId}::uuid and name = any(${names})
       and exists (select from follow_up_instance as instance
                    where instance.workspace_id = sequence.workspace_id and instance.sequence_id = sequence.id)`;
  return new Set(found.map(({ name }) => name));
}

/** Whether a meeting was ever reported for the workspace. */
export const hasMeetings = (db: Queryable, workspaceId: string): Promise<boolean> =>
  exists(db)`select from appointment where workspace_id = ${workspaceId}::uuid limit 1`;

/** Whether a booking tool ever reported free times for the workspace. */
export const hasAvailability = (db: Queryable, workspaceId: string): Promise<boolean> =>
  exists(db)`select from availability where workspace_id = ${workspaceId}::uuid`;

/** The names of active sequences of which a current text writes the unsubscribe link. */
export async function activeSequencesWithLink(db: Queryable): Promise<readonly string[]> {
  const found = await many(db, nameRow)`
    select distinct sequence.name
      from follow_up_sequence as sequence
      join follow_up_step as step on step.sequence_id = sequence.id and step.version = sequence.version
     where sequence.active and concat_ws(' ', step.subject, step.body) ~ ${UNSUBSCRIBE_OUTPUT}
     order by sequence.name`;
  return found.map(({ name }) => name);
}

const offeringRow = z.object({ name: z.string(), canOffer: z.boolean() });

/** The workspaces whose active sequences offer times, and whether a report of free times is new enough. */
export const workspacesThatOffer = (db: Queryable, now: Date): Promise<readonly z.infer<typeof offeringRow>[]> =>
  many(db, offeringRow)`
    select workspace.name, exists (
             select from availability as report
              where report.workspace_id = workspace.id
                and report.taken_at > ${now}::timestamptz - workspace.availability_max_age_minutes * interval '1 minute') as "canOffer"
      from workspace
     where exists (
             select from follow_up_sequence as sequence
               join follow_up_step as step on step.sequence_id = sequence.id and step.version = sequence.version
              where sequence.workspace_id = workspace.id and sequence.active and step.body ~ ${SLOTS_OUTPUT})
     order by workspace.name`;
