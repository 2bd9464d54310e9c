import * as z from "zod";
import type { LeadReference } from "../../run/intake/facts.ts";
import { SUPPRESSION } from "../contact-rule.ts";
import { hasEmail } from "../lead-addresses.ts";
import { execute, many, type Queryable } from "../sql.ts";
import { type Ended, endInstances } from "./end-instances.ts";

/** Locks all leads that an opt-out of this lead affects, in id order, so that two opt-outs never deadlock. */
export async function lockAddressOf(
  db: Queryable,
  workspaceId: string,
  { id, externalId, email }: LeadReference,
): Promise<void> {
  await execute(db)`
    with named as materialized (
      select lead.id, normalised_email, normalised_phone from lead
       where workspace_id = ${workspaceId}::uuid
         and (id = ${id ?? null}::uuid or external_id = ${externalId ?? null}
              or ${hasEmail(...(email === undefined ? [] : [email]))}))
    select from lead
     where workspace_id = ${workspaceId}::uuid
       and (normalised_email = any(array(select normalised_email from named))
            or normalised_phone = any(array(select normalised_phone from named))
            or id = any(array(select id from named)))
     order by id
       for update`;
}

const suppressedRow = z.object({ id: z.guid(), reason: z.enum(["opted_out", "complained"]) });

/**
 * Ends all sequences, post-booking ones included, of the suppressed leads among these and those that share their
 * address or number. The caller must have locked them all.
 */
export async function endSuppressed(db: Queryable, { workspaceId, leadIds, now }: Suppressed): Promise<Ended> {
  const suppressed = await many(db, suppressedRow)`
    with named as materialized (
      select normalised_email, normalised_phone from lead where id = any(${[...leadIds]}::uuid[]))
    select id, ${SUPPRESSION} as reason
      from lead
     where workspace_id = ${workspaceId}::uuid and ${SUPPRESSION} is not null
       and (normalised_email = any(array(select normalised_email from named))
            or normalised_phone = any(array(select normalised_phone from named))
            or id = any(${[...leadIds]}::uuid[]))`;
  const total = { ended: 0, cancelledTouches: 0 };
  for (const [reason, leads] of Map.groupBy(suppressed, (row) => row.reason)) {
    const ending = { workspaceId, leadIds: leads.map(({ id }) => id), now, reason } as const;
    const { ended, cancelledTouches } = await endInstances(db, { ...ending, which: "all", status: "completed" });
    total.ended += ended;
    total.cancelledTouches += cancelledTouches;
  }
  return total;
}

interface Suppressed {
  readonly workspaceId: string;
  readonly leadIds: readonly string[];
  readonly now: Date;
}
