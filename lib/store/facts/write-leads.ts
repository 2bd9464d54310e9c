import * as z from "zod";
import { addressKeys } from "../../domain/address.ts";
import type { EnrolmentVerdict } from "../../domain/enrolment.ts";
import { LEAD_KEYS, type LeadKey } from "../../domain/lead-columns.ts";
import { MOST_FIELDS } from "../../domain/lead-fields.ts";
import { phoneKeys, phoneToStore } from "../../domain/phone.ts";
import { faultsOf } from "../../inbound/json.ts";
import { type LeadToEnrol, parseLeadToEnrol } from "../../inbound/lead-to-enrol.ts";
import { leadColumn } from "../columns.ts";
import { execute, join, many, type Queryable, type Sql, sql } from "../sql.ts";
import { hasEmail, phoneCountry } from "./leads.ts";

type ReadLead = LeadToEnrol | { readonly invalid: Extract<EnrolmentVerdict, `invalid: ${string}`> };

/** Parses each lead. The second entry for the same lead is invalid. */
export function readLeads(leads: readonly unknown[]): readonly ReadLead[] {
  const places = new Map<string, number>();
  return leads.map((lead, index) => {
    const parsed = parseLeadToEnrol(lead);
    if (!parsed.success) return { invalid: `invalid: ${faultsOf(parsed.error).join("; ")}` as const };
    const { own, others } = keysOf(parsed.data);
    const before = others.map((key) => places.get(key)).find((place) => place !== undefined);
    if (before !== undefined) return { invalid: `invalid: repeats the lead at index ${before}` as const };
    for (const key of own) if (!places.has(key)) places.set(key, index);
    return parsed.data;
  });
}

/**
 * `own`: the keys under which later entries find this lead. `others`: the keys under which it finds earlier entries.
 * Two external ids are two leads, even with the same address.
 */
function keysOf({ externalId, email }: LeadToEnrol): Readonly<Record<"own" | "others", readonly string[]>> {
  const address = email === undefined ? [] : [email.toLowerCase()];
  const any = address.map((text) => `email ${text}`);
  const alone = address.map((text) => `email alone ${text}`);
  if (externalId === undefined) return { own: [...any, ...alone], others: any };
  const id = `externalId ${externalId}`;
  return { own: [id, ...any], others: [id, ...alone] };
}

/**
 * Returns the leads with their numbers in E.164, as far as they can be read. A suppression of another notation of a
 * number then also applies to it: an application may have stored that notation.
 */
export async function withPhones(
  db: Queryable,
  workspaceId: string,
  leads: readonly ReadLead[],
): Promise<readonly ReadLead[]> {
  if (leads.every((lead) => "invalid" in lead || lead.phone === undefined)) return leads;
  const country = await phoneCountry(db, workspaceId);
  const stored = leads.map((lead) =>
    "invalid" in lead || lead.phone === undefined ? lead : { ...lead, phone: phoneToStore(lead.phone, country) },
  );
  const numbers = stored.flatMap((lead) => ("invalid" in lead ? [] : (lead.phone ?? [])));
  await extendSuppressions(db, workspaceId, numbers, country);
  return stored;
}

async function extendSuppressions(
  db: Queryable,
  workspaceId: string,
  numbers: readonly string[],
  country: string | null,
): Promise<void> {
  const forms = numbers.flatMap((number) =>
    phoneKeys(number, country).flatMap((form) => (form === number ? [] : [{ number, form }])),
  );
  await execute(db)`
    insert into suppression (workspace_id, hash, reason, kind, since, source)
    select known.workspace_id, suppression_hash(known.workspace_id, given.number), known.reason, known.kind, known.since,
           known.source
      from unnest(${forms.map(({ number }) => number)}::text[], ${forms.map(({ form }) => form)}::text[])
             as given (number, form)
      join suppression as known on known.workspace_id = ${workspaceId}::uuid and known.kind = 'phone'
                               and known.hash = suppression_hash(known.workspace_id, given.form)
     order by 2
        on conflict do nothing`;
}

interface WrittenLeads {
  /** Lead ids by index in `sent`, without invalid entries, duplicates and overfull leads. */
  readonly ids: ReadonlyMap<number, string>;
  /** The entries that were not written, because the lead would get too many custom fields. */
  readonly overfull: ReadonlySet<number>;
}

/**
 * Upserts leads, matched by external id, else by e-mail address. Absent values leave the stored ones unchanged; values
 * older than the stored details only fill empty columns and fields. All returned leads are locked.
 */
export async function writeLeads(
  db: Queryable,
  { workspaceId, detailsUpdatedAt }: { readonly workspaceId: string; readonly detailsUpdatedAt: Date },
  sent: readonly ReadLead[],
): Promise<WrittenLeads> {
  const recognised = await recognise(
    db,
    workspaceId,
    sent.flatMap((lead, place) => ("invalid" in lead ? [] : [{ ...lead, place }])),
  );
  const leads = recognised.filter(({ fieldNames }) => fieldNames.length <= MOST_FIELDS);
  const overfull = recognised.filter(({ fieldNames }) => fieldNames.length > MOST_FIELDS).map(({ place }) => place);
  const written = await many(db, z.object({ place: z.int(), id: z.guid() }))`
    with sent as (
      select given.*, coalesce(given.known, uuid_v7()) as id
        from unnest(
               ${leads.map(({ place }) => place)}::int[], ${leads.map(({ known }) => known)}::uuid[],
               ${join(LEAD_KEYS.map((key) => sql`${texts(leads, key)}::text[]`))},
               ${leads.map(({ fields = {} }) => JSON.stringify(fields))}::jsonb[])
             as given (place, known, ${COLUMNS}, fields)),
    changed as (
      update lead
         set external_id = coalesce(sent.external_id, lead.external_id), ${latestDetailsAt(detailsUpdatedAt)},
             fields = case when lead.details_updated_at > ${detailsUpdatedAt} then sent.fields || lead.fields
                           else lead.fields || sent.fields end,
             details_updated_at = greatest(lead.details_updated_at, ${detailsUpdatedAt})
        from sent
       where lead.id = sent.known),
    added as (
      insert into lead (id, workspace_id, ${COLUMNS}, fields, details_updated_at)
      select id, ${workspaceId}::uuid, ${COLUMNS}, fields, ${detailsUpdatedAt}
        from sent
       where known is null)
    select place, id from sent`;
  return { ids: new Map(written.map(({ place, id }) => [place, id])), overfull: new Set(overfull) };
}

const COLUMNS = join(LEAD_KEYS.map(leadColumn));
const DETAILS = LEAD_KEYS.filter((key) => key !== "externalId").map(leadColumn);

/** Assignments for all details of `lead`: the newer of the given and the stored value, if both are present. */
const latestDetailsAt = (detailsUpdatedAt: Date): Sql =>
  join(
    DETAILS.map(
      (column) => sql`
             ${column} = case when lead.details_updated_at > ${detailsUpdatedAt} then coalesce(lead.${column}, sent.${column})
                              else coalesce(sent.${column}, lead.${column}) end`,
    ),
  );

const texts = (leads: readonly LeadToEnrol[], key: LeadKey) => leads.map((lead) => lead[key] ?? null);

/**
 * Adds the id of the stored lead, or null, and the names of the custom fields that it will have. Leaves out a second entry
 * for the same stored lead.
 */
async function recognise<Lead extends LeadToEnrol>(
  db: Queryable,
  workspaceId: string,
  leads: readonly Lead[],
): Promise<readonly (Lead & { readonly known: string | null; readonly fieldNames: readonly string[] })[]> {
  const known = await lockKnown(db, workspaceId, leads);
  const taken = new Set<string>();
  return leads.flatMap((lead) => {
    const stored = known(lead);
    if (stored && taken.has(stored.id)) return [];
    if (stored) taken.add(stored.id);
    const fieldNames = [...new Set([...(stored?.fieldNames ?? []), ...Object.keys(lead.fields ?? {})])];
    return [{ ...lead, known: stored?.id ?? null, fieldNames }];
  });
}

const knownRow = z.object({
  id: z.guid(),
  externalId: z.string().nullable(),
  email: z.string().nullable(),
  fieldNames: z.array(z.string()),
});
type KnownLead = z.infer<typeof knownRow>;

/**
 * Locks, in id order, the stored leads that match or share an e-mail address with a match. Returns a lookup by lead.
 */
async function lockKnown(
  db: Queryable,
  workspaceId: string,
  leads: readonly LeadToEnrol[],
): Promise<(lead: LeadToEnrol) => KnownLead | null> {
  const externalIds = texts(leads, "externalId");
  const rows = await many(db, knownRow)`
    select id, external_id as "externalId", normalised_email as email,
           array(select jsonb_object_keys(fields)) as "fieldNames"
      from lead
     where workspace_id = ${workspaceId}::uuid
       and (external_id = any(${externalIds}::text[])
            or ${hasEmail(...leads.flatMap(({ email }) => email ?? []))}
            or normalised_email = any(array(select normalised_email from lead
                                             where workspace_id = ${workspaceId}::uuid
                                               and external_id = any(${externalIds}::text[]))))
     order by id
       for update`;
  const byExternalId = new Map<string, KnownLead>();
  const byEmail = new Map<string, KnownLead>();
  for (const row of rows) {
    if (row.externalId !== null) byExternalId.set(row.externalId, row);
    if (row.email !== null && !byEmail.has(row.email)) byEmail.set(row.email, row);
  }
  return ({ externalId, email }) => {
    const named = externalId === undefined ? undefined : byExternalId.get(externalId);
    if (named !== undefined) return named;
    const address = addressKeys(email ?? "").find((key) => byEmail.has(key)) ?? "";
    const addressed = byEmail.get(address);
    if (!addressed || externalId === undefined) return addressed ?? null;
    // The same address with another external id is another lead, even if the first lead got its own id in this call.
    if (addressed.externalId !== null) return null;
    byEmail.set(address, { ...addressed, externalId });
    return addressed;
  };
}
