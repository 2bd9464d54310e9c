import * as z from "zod";
import { ADDRESS_KINDS, SUPPRESSION_REASONS } from "../domain/labels.ts";
import { CONTACT_BAR } from "./contact-rule.ts";
import { lockFacts } from "./facts/apply-once.ts";
import { type LeadKeys, lockSharing, notationsOf } from "./person.ts";
import { execute, many, one, type Queryable, raw, type Sql, sql } from "./sql.ts";
import { notationsAsHashes } from "./suppressions.ts";

const liftedRow = z.object({ kind: z.enum(ADDRESS_KINDS), reason: z.enum(SUPPRESSION_REASONS) });

interface OptIn {
  readonly at: Date;
  /**
   * A person takes back everything that is known. A fact takes back only what is earlier, and no complaint. Providers
   * count complaints against the sender, and anyone can type an address into a form. A text takes back only opt-outs by
   * text, and bounces of the number.
   */
  readonly by: "person" | "fact" | "text";
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
  const takenBack = takenBackBy({ at, by });
  const leads = await execute(db)`
    update lead set opted_out_at = null
     where id = any(${[...sharing]}::uuid[]) and opted_out_at is not null and ${takenBack.optOut}`;
  const optedInAt = raw(by === "text" ? "opted_in_by_text_at" : "opted_in_at");
  await execute(db)`update lead set ${optedInAt} = greatest(${optedInAt}, ${at}) where id = ${id}::uuid`;
  const lifted = await many(db, liftedRow)`
    delete from suppression
     where workspace_id = ${workspaceId}::uuid
       and hash in (select hash from (${notationsAsHashes(workspaceId, notations)}) as own)
       and ${takenBack.suppression}
    returning kind::text, reason::text`;
  const { barredBy } = await one(db, z.object({ barredBy: z.string().nullable() }))`
    select ${CONTACT_BAR} as "barredBy" from lead where id = ${id}::uuid`;
  return { lifted, leads, barredBy };
}

/** The conditions under which an opt-in takes back the opt-out of a `lead`, and a `suppression`. */
function takenBackBy({ at, by }: OptIn): { readonly optOut: Sql; readonly suppression: Sql } {
  if (by === "person") return { optOut: sql`true`, suppression: sql`true` };
  const earlier = { optOut: sql`opted_out_at < ${at}`, suppression: sql`since < ${at} and reason <> 'complained'` };
  if (by === "fact") return earlier;
  return {
    optOut: sql`${earlier.optOut} and ${OPTED_OUT_BY_TEXT}`,
    suppression: sql`
      ${earlier.suppression} and case reason when 'opted_out' then source = 'text' else kind = 'phone' end`,
  };
}

/** Whether each opt-out that suppresses the address or the number of `lead` came by text. */
const OPTED_OUT_BY_TEXT = sql`
  not exists (
    select from suppression
     where suppression.workspace_id = lead.workspace_id and suppression.reason = 'opted_out'
       and suppression.source <> 'text'
       and suppression.hash in (suppression_hash(lead.workspace_id, lead.normalised_email),
                                suppression_hash(lead.workspace_id, lead.normalised_phone)))`;
