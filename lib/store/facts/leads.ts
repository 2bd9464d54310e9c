import * as z from "zod";
import { addressKeys } from "../../domain/address.ts";
import { SUPPRESSION_REASONS } from "../../domain/labels.ts";
import { phoneKeys, phoneToStore } from "../../domain/phone.ts";
import type { LeadReference } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { storedInstant } from "../rows.ts";
import { execute, many, type Queryable, type Sql, sql } from "../sql.ts";
import { leadsWithHash, type Notations } from "../suppressions.ts";
import { STALE } from "./apply-once.ts";

const leadRow = z.object({
  id: z.guid(),
  /** A label of `LEAD_STATUSES`, unless the database is newer than this code. */
  status: z.string(),
  timeZone: z.string().nullable(),
  optedOutAt: storedInstant.nullable(),
  // A reason from a newer version of the code also bars the lead.
  suppressed: z.enum(SUPPRESSION_REASONS).exclude(["undeliverable"]).nullable().catch("opted_out"),
  bookedUntil: storedInstant.nullable(),
  /** The database's text form, so that it is written back unchanged. */
  missedAt: z.string().nullable(),
  isBooked: z.boolean(),
  stopCause: z.string().nullable(),
});
export type LockedLead = z.infer<typeof leadRow>;

const foundRow = leadRow.extend({ named: z.boolean() });
/** `named`: the fact itself names the lead, not only its meeting. */
export type FoundLead = z.infer<typeof foundRow>;

export interface RefusedFact {
  readonly outcome: "refused";
  readonly reason: string;
}
export const refuseFact = (reason: string): RefusedFact => ({ outcome: "refused", reason });
/** Whether the fact ends here. */
export const isRefused = <Found extends object>(found: Found): found is Extract<Found, { readonly outcome: string }> =>
  "outcome" in found;

type Gone = Extract<FactOutcome, { readonly outcome: "stale" }>;

/**
 * The outcome of an opt-out, a bounce or a complaint that names only a touch, and the touch is gone. Its lead was most
 * likely erased, which has suppressed the address, so that a warning is enough. Undefined for any other fact.
 */
export const ofGoneTouch = ({ touch, ...keys }: LeadReference): Gone | undefined =>
  touch === undefined || Object.values(keys).some((key) => key !== undefined)
    ? undefined
    : { ...STALE, warnings: [`lead.touch: there is no touch ${touch}`] };

/** Whether `lead` has one of these addresses, in any notation. Uses the index `lead_normalised_email`. */
export const hasEmail = (...addresses: readonly string[]): Sql =>
  sql`lead.normalised_email = any(${addresses.flatMap(addressKeys)}::text[])`;

/** Whether `lead` has this number. Uses the index `lead_normalised_phone`. */
const hasPhone = (number: string, country: string | null): Sql =>
  sql`lead.normalised_phone = any(${[...phoneKeys(number, country)]}::text[])`;

const countryRow = z.object({ country: z.string().nullable() });

/** The country of the workspace's national phone numbers; null if it has none. */
export async function phoneCountry(db: Queryable, workspaceId: string): Promise<string | null> {
  const [workspace] = await many(db, countryRow)`
    select holiday_country as country from workspace where id = ${workspaceId}::uuid`;
  return workspace?.country ?? null;
}

/** Every form in which a row may store the address and the number that a reference itself gives. */
export async function namedIn(db: Queryable, { workspaceId, lead }: LeadsToFind): Promise<Notations> {
  const { email = "", phone } = lead;
  return {
    emails: addressKeys(email),
    phones: phone === undefined ? [] : phoneKeys(phone, await phoneCountry(db, workspaceId)),
  };
}

/** The leads that a fact is about. */
export interface LeadsToFind {
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
export async function leadsNamedBy(
  db: Queryable,
  { workspaceId, lead, leadIds = [], meetingIds = [] }: LeadsToFind,
): Promise<readonly FoundLead[]> {
  const { id, externalId, email, phone = "", touch } = lead;
  const country = phone === "" ? null : await phoneCountry(db, workspaceId);
  const touched = await findTouch(db, workspaceId, touch);
  const ids = [...leadIds, ...(id === undefined ? [] : [id]), ...(touched ? [touched.leadId] : [])];
  const named = sql`
    (id = any(${ids}::uuid[]) or external_id = ${externalId ?? null}
     or ${hasEmail(...(email === undefined ? [] : [email]))} or ${hasPhone(phone, country)})`;
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
 * Like `leadsNamedBy`, but creates a lead if the fact names none that exists: a fact may arrive before the enrolment.
 * Refuses a fact that names only an unknown id or touch.
 */
export async function findOrAddLeads(db: Queryable, wanted: LeadsToFind): Promise<FoundLeads | RefusedFact> {
  const leads = await leadsNamedBy(db, wanted);
  if (leads.some(({ named }) => named)) return { leads, created: 0 };
  const { workspaceId } = wanted;
  const { externalId = null, email, phone = null } = wanted.lead;
  const address = addressKeys(email ?? "")[0] ?? null;
  const refusal = refuseUnknownIds(wanted);
  if (refusal && externalId === null && address === null && phone === null) return refusal;
  const number = phone === null ? null : phoneToStore(phone, await phoneCountry(db, workspaceId));
  await execute(db)`
    insert into lead (workspace_id, external_id, email, phone)
    values (${workspaceId}::uuid, ${externalId}, ${address}, ${number})`;
  return { leads: await leadsNamedBy(db, wanted), created: 1 };
}

/** Undefined if the reference has neither an id nor a touch. */
export function refuseUnknownIds({ workspaceId, lead: { id, touch } }: LeadsToFind): RefusedFact | undefined {
  const faults = [
    ...(id === undefined ? [] : [`lead.id: there is no lead ${id} in workspace ${workspaceId}`]),
    ...(touch === undefined ? [] : [`lead.touch: there is no touch ${touch} in workspace ${workspaceId}`]),
  ];
  return faults.length > 0 ? refuseFact(faults.join("; ")) : undefined;
}

/** The touch that a reference names, if any. */
export const touchIn = ({ touch }: LeadReference): readonly string[] => (touch === undefined ? [] : [touch]);

const touchedRow = z.object({ leadId: z.guid() });

/** Undefined if no touch is named, or if the workspace has no such touch. */
export async function findTouch(db: Queryable, workspaceId: string, touchId: string | undefined) {
  if (touchId === undefined) return undefined;
  const [touch] = await many(db, touchedRow)`
    select lead_id as "leadId" from touch where id = ${touchId}::uuid and workspace_id = ${workspaceId}::uuid`;
  return touch;
}

/** Adds `created` to the outcome if the fact created leads. */
export const createdBy = ({ created }: Pick<FoundLeads, "created">): { readonly created?: number } =>
  created > 0 ? { created } : {};

/**
 * Locks all leads that an opt-out of this lead affects, in id order, so that two opt-outs never deadlock. Returns
 * their ids, and those of the leads that the reference itself names. A touch also names the leads with the address
 * that it went to.
 */
export async function lockAddressOf(
  db: Queryable,
  workspaceId: string,
  { id, externalId, email, phone = "", touch }: LeadReference,
): Promise<{ readonly locked: readonly string[]; readonly recipients: readonly string[] }> {
  const country = phone === "" ? null : await phoneCountry(db, workspaceId);
  const recipients = touch === undefined ? [] : await leadsReachedBy(db, workspaceId, touch);
  const locked = await many(db, idRow)`
    with named as materialized (
      select lead.id, normalised_email, normalised_phone from lead
       where workspace_id = ${workspaceId}::uuid
         and (id = any(${[...recipients, ...(id === undefined ? [] : [id])]}::uuid[])
              or external_id = ${externalId ?? null}
              or ${hasEmail(...(email === undefined ? [] : [email]))} or ${hasPhone(phone, country)}))
    select id from lead
     where workspace_id = ${workspaceId}::uuid
       and (normalised_email = any(array(select normalised_email from named))
            or normalised_phone = any(array(select normalised_phone from named))
            or id = any(array(select id from named)))
     order by id
       for update`;
  return { locked: locked.map((row) => row.id), recipients };
}

const idRow = z.object({ id: z.guid() });

/** The lead of a touch, and the leads that now have the address or number which it went to. */
async function leadsReachedBy(db: Queryable, workspaceId: string, touchId: string): Promise<readonly string[]> {
  const rows = await many(db, idRow)`
    with reached as materialized (
      select lead_id, recipient_hash from touch where id = ${touchId}::uuid and workspace_id = ${workspaceId}::uuid)
    select lead_id as id from reached
    union
    select id from (${leadsWithHash(sql`array(select recipient_hash from reached)`)}) as lead`;
  return rows.map((row) => row.id);
}
