import * as z from "zod";
import { addressKeys } from "../../domain/address.ts";
import { LEAD_STATUSES } from "../../domain/labels.ts";
import type { LeadReference } from "../../run/intake/facts.ts";
import { hasEmail } from "../lead-addresses.ts";
import type { Queryable } from "../queryable.ts";
import { instant } from "../rows.ts";

const leadRow = z.object({
  id: z.guid(),
  status: z.enum(LEAD_STATUSES),
  timeZone: z.string().nullable(),
  optedOutAt: instant.nullable(),
  bookedUntil: instant.nullable(),
  /** As the database spells it, which is what it is written back as. */
  missedAt: z.string().nullable(),
  isBooked: z.boolean(),
  stopCause: z.string().nullable(),
});
export type LockedLead = z.infer<typeof leadRow>;

export interface Refused {
  readonly outcome: "refused";
  readonly reason: string;
}
export const refused = (reason: string): Refused => ({ outcome: "refused", reason });
export const isRefused = (found: object): found is Refused => "outcome" in found;

/** The leads that are meant, locked in the order of their ids. An e-mail address may be that of several. */
export async function findLeads(
  db: Queryable,
  workspaceId: string,
  { id, externalId, email }: LeadReference,
): Promise<readonly LockedLead[]> {
  const rows = await db.$queryRaw`
    select id, status::text, time_zone as "timeZone", opted_out_at as "optedOutAt", booked_until as "bookedUntil",
           missed_at::text as "missedAt", is_booked as "isBooked",
           stop_cause as "stopCause"
      from lead
     where workspace_id = ${workspaceId}::uuid
       and (id = ${id ?? null}::uuid or external_id = ${externalId ?? null}
            or ${hasEmail(...(email === undefined ? [] : [email]))})
     order by id
       for update`;
  return z.array(leadRow).parse(rows);
}

/** As `findLeads`; one that is not there is made, so that a fact may come before the enrolment of its lead. */
export async function findOrAddLeads(
  db: Queryable,
  workspaceId: string,
  reference: LeadReference,
): Promise<readonly LockedLead[] | Refused> {
  const found = await findLeads(db, workspaceId, reference);
  if (found.length > 0) return found;
  const { id, externalId, email } = reference;
  if (id !== undefined) return refused(`lead.id: there is no lead ${id} in workspace ${workspaceId}`);
  await db.$executeRaw`
    insert into lead (workspace_id, external_id, email)
    values (${workspaceId}::uuid, ${externalId ?? null}, ${addressKeys(email ?? "")[0] ?? null})`;
  return await findLeads(db, workspaceId, reference);
}
