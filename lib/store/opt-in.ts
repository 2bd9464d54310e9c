import * as z from "zod";
import { ADDRESS_KINDS, SUPPRESSION_REASONS } from "../domain/labels.ts";
import { CONTACT_BAR } from "./contact-rule.ts";
import { lockFacts } from "./facts/apply-once.ts";
import { type LeadKeys, lockSharing, notationsOf } from "./person.ts";
import { execute, many, one, type Queryable, sql } from "./sql.ts";
import { notationsAsHashes } from "./suppressions.ts";

const liftedRow = z.object({ kind: z.enum(ADDRESS_KINDS), reason: z.enum(SUPPRESSION_REASONS) });

interface OptIn {
  readonly at: Date;
  /**
   * A person takes back everything that is known. A fact takes back only what is earlier, and no complaint. Providers
   * count complaints against the sender, and anyone can type an address into a form.
   */
  readonly by: "person" | "fact";
}

interface Lifted {
  /** The suppressions that were removed. */
  readonly lifted: readonly z.infer<typeof liftedRow>[];
  /** Leads whose opt-out was taken back: this one, and others with its address or number. */
  readonly leads: number;
  /** Why the lead may still not be contacted; null if it may. */
  readonly barredBy: string | null;
}

/**
 * Removes the suppressions of a lead's address and number, in each notation in which a row may store them. An
 * enrolment would copy one of another notation. Also takes back the opt-out of leads that share them, because their
 * next change would suppress the address again. Such a lead stays suppressed by its own other address. Earlier
 * opt-outs that arrive later do not count.
 */
export async function optIn(db: Queryable, lead: LeadKeys, { at, by }: OptIn): Promise<Lifted> {
  const { id, workspaceId } = lead;
  await lockFacts(db, workspaceId);
  const notations = await notationsOf(db, lead);
  const sharing = await lockSharing(db, lead, notations);
  const isTakenBack = by === "person" ? sql`true` : sql`opted_out_at < ${at}`;
  const leads = await execute(db)`
    update lead set opted_out_at = null
     where id = any(${[...sharing]}::uuid[]) and opted_out_at is not null and ${isTakenBack}`;
  await execute(db)`update lead set opted_in_at = greatest(opted_in_at, ${at}) where id = ${id}::uuid`;
  const lifted = await many(db, liftedRow)`
    delete from suppression
     where workspace_id = ${workspaceId}::uuid
       and hash in (select hash from (${notationsAsHashes(workspaceId, notations)}) as own)
       and ${by === "person" ? sql`true` : sql`(since < ${at} and reason <> 'complained')`}
    returning kind::text, reason::text`;
  const { barredBy } = await one(db, z.object({ barredBy: z.string().nullable() }))`
    select ${CONTACT_BAR} as "barredBy" from lead where id = ${id}::uuid`;
  return { lifted, leads, barredBy };
}
