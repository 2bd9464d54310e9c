import * as z from "zod";
import { addressKeys } from "../../domain/address.ts";
import { SUPPRESSION_REASONS } from "../../domain/labels.ts";
import type { LeadReference } from "../../run/intake/facts.ts";
import { hasEmail, hasPhone } from "../lead-addresses.ts";
import { instant } from "../rows.ts";
import { execute, many, type Queryable, sql } from "../sql.ts";

const leadRow = z.object({
  id: z.guid(),
  /** A label of `LEAD_STATUSES`, unless the database is newer than this code. */
  status: z.string(),
  timeZone: z.string().nullable(),
  optedOutAt: instant.nullable(),
  // A reason from a newer version of the code also bars the lead.
  suppressed: z.enum(SUPPRESSION_REASONS).exclude(["undeliverable"]).nullable().catch("opted_out"),
  bookedUntil: instant.nullable(),
  /** The database's text form, so that it is written back unchanged. */
  missedAt: z.string().nullable(),
  isBooked: z.boolean(),
  stopCause: z.string().nullable(),
});
export type LockedLead = z.infer<typeof leadRow>;

const foundRow = leadRow.extend({ named: z.boolean() });
/** `named`: the fact itself names the lead, not only its meeting. */
export type FoundLead = z.infer<typeof foundRow>;

export interface Refused {
  readonly outcome: "refused";
  readonly reason: string;
}
export const refused = (reason: string): Refused => ({ outcome: "refused", reason });
export const isRefused = (found: object): found is Refused => "outcome" in found;

/** The leads that a fact is about. */
export interface Meant {
  readonly workspaceId: string;
  readonly lead: LeadReference;
  /** Further leads that the fact names. */
  readonly leadIds?: readonly string[];
  /** Meetings whose leads are also locked. */
  readonly meetingIds?: readonly string[];
}

/**
 * Locks and returns, in id order, the leads that a fact names and those of its meetings. Several leads may share an
 * address; the fact applies to all of them.
 */
export async function findLeads(
  db: Queryable,
  { workspaceId, lead, leadIds = [], meetingIds = [] }: Meant,
): Promise<readonly FoundLead[]> {
  const { id, externalId, email, phone } = lead;
  const named = sql`
    (id = any(${[...leadIds, ...(id === undefined ? [] : [id])]}::uuid[]) or external_id = ${externalId ?? null}
     or ${hasEmail(...(email === undefined ? [] : [email]))} or ${hasPhone(phone)})`;
  return await many(db, foundRow)`
    select id, status::text, time_zone as "timeZone", opted_out_at as "optedOutAt",
           suppressed_reason::text as suppressed, booked_until as "bookedUntil",
           missed_at::text as "missedAt", is_booked as "isBooked", stop_cause as "stopCause",
           coalesce(${named}, false) as named
      from lead
     where workspace_id = ${workspaceId}::uuid
       and (${named} or id = any(array(
              select lead_id from appointment
               where workspace_id = ${workspaceId}::uuid and external_id = any(${[...meetingIds]}::text[]))))
     order by id
       for update`;
}

export interface FoundLeads {
  readonly leads: readonly FoundLead[];
  /** Number of leads that the fact created. */
  readonly created: number;
}

/**
 * Like `findLeads`, but creates a lead if the fact names none that exists: a fact may arrive before the enrolment.
 * Refuses a fact that names only an unknown id.
 */
export async function findOrAddLeads(db: Queryable, meant: Meant): Promise<FoundLeads | Refused> {
  const leads = await findLeads(db, meant);
  if (leads.some(({ named }) => named)) return { leads, created: 0 };
  const { workspaceId } = meant;
  const { id, externalId = null, email, phone = null } = meant.lead;
  const address = addressKeys(email ?? "")[0] ?? null;
  if (id !== undefined && externalId === null && address === null && phone === null)
    return refused(`lead.id: there is no lead ${id} in workspace ${workspaceId}`);
  await execute(db)`
    insert into lead (workspace_id, external_id, email, phone)
    values (${workspaceId}::uuid, ${externalId}, ${address}, ${phone})`;
  return { leads: await findLeads(db, meant), created: 1 };
}

/** Adds `created` to the outcome if the fact created leads. */
export const createdBy = ({ created }: Pick<FoundLeads, "created">): { readonly created?: number } =>
  created > 0 ? { created } : {};
