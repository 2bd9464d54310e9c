import * as z from "zod";
import { ADDRESS_KINDS, SUPPRESSION_REASONS } from "../domain/labels.ts";
import { CONTACT_BAR } from "./contact-rule.ts";
import { lockFacts } from "./facts/apply-once.ts";
import { type LeadKeys, lockSharing, notationsOf } from "./person.ts";
import { execute, many, one, type Queryable } from "./sql.ts";

const liftedRow = z.object({ kind: z.enum(ADDRESS_KINDS), reason: z.enum(SUPPRESSION_REASONS) });

interface Lifted {
  /** The suppressions that were removed. */
  readonly lifted: readonly z.infer<typeof liftedRow>[];
  /** Leads whose opt-out was taken back: this one, and others with its address or number. */
  readonly leads: number;
  /** Why the lead may still not be contacted; null if it may. */
  readonly barredBy: string | null;
}

/**
 * Removes all suppressions of a lead's address and number, in each notation in which a row may store them: an enrolment
 * would copy one of another notation. Also takes back the opt-out of leads that share them, because their next change
 * would suppress the address again. Such a lead stays suppressed by its own other address.
 */
export async function liftSuppressions(db: Queryable, { id, workspaceId }: LeadKeys): Promise<Lifted> {
  await lockFacts(db, workspaceId);
  const notations = await notationsOf(db, { id, workspaceId });
  const sharing = await lockSharing(db, { id, workspaceId }, notations);
  const leads = await execute(db)`
    update lead set opted_out_at = null where id = any(${[...sharing]}::uuid[]) and opted_out_at is not null`;
  const lifted = await many(db, liftedRow)`
    delete from suppression
     where workspace_id = ${workspaceId}::uuid
       and hash in (select suppression_hash(${workspaceId}::uuid, notation)
                      from unnest(${[...notations.emails, ...notations.phones]}::text[]) as notation)
    returning kind::text, reason::text`;
  const { barredBy } = await one(db, z.object({ barredBy: z.string().nullable() }))`
    select ${CONTACT_BAR} as "barredBy" from lead where id = ${id}::uuid`;
  return { lifted, leads, barredBy };
}
