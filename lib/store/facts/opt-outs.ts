import * as z from "zod";
import type { LeadReference } from "../../run/intake/facts.ts";
import type { Queryable } from "../queryable.ts";
import { type Ended, endInstances } from "./end-instances.ts";

interface OptOuts {
  readonly workspaceId: string;
  /** Locked. */
  readonly leadIds: readonly string[];
  readonly now: Date;
}

/** All leads of the address of this one are locked at once, in the order of their ids: nobody who does so is met half-way. */
export async function lockAddressOf(
  db: Queryable,
  workspaceId: string,
  { id, externalId }: LeadReference,
): Promise<void> {
  await db.$executeRaw`
    select from lead
     where workspace_id = ${workspaceId}::uuid
       and normalised_email = any(array(
             select normalised_email from lead
              where workspace_id = ${workspaceId}::uuid
                and (id = ${id ?? null}::uuid or external_id = ${externalId ?? null})))
     order by id
       for update`;
}

/** An opt-out of one of the leads of an address is that of all: those who learn of it here hear no more. */
export async function shareOptOuts(db: Queryable, { workspaceId, leadIds, now }: OptOuts): Promise<Ended> {
  const rows = await db.$queryRaw`
    with gone as materialized (
      select normalised_email as email, min(opted_out_at) as since
        from lead
       where workspace_id = ${workspaceId}::uuid
         and normalised_email = any(array(select normalised_email from lead where id = any(${[...leadIds]}::uuid[])))
         and opted_out_at is not null
       group by normalised_email)
    update lead set opted_out_at = gone.since
      from gone
     where lead.workspace_id = ${workspaceId}::uuid and lead.normalised_email = gone.email
       and (lead.opted_out_at is null or lead.opted_out_at > gone.since)
    returning lead.id`;
  const learnt = z.array(z.object({ id: z.guid() })).parse(rows);
  return await endOptedOut(db, { workspaceId, leadIds: learnt.map(({ id }) => id), now });
}

/** Ends everything of leads that have opted out, post-booking sequences too. */
export const endOptedOut = (db: Queryable, optOuts: OptOuts): Promise<Ended> =>
  endInstances(db, { ...optOuts, which: "all", status: "completed", reason: "opted_out" });
