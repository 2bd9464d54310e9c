import * as z from "zod";
import { addressKeys } from "../../domain/address.ts";
import type { LeadToEnrol } from "../../run/intake/facts.ts";
import { Prisma } from "../generated/client.ts";
import { hasEmail } from "../lead-addresses.ts";
import type { Queryable } from "../sql.ts";
import type { ReadLead } from "./read-leads.ts";

/**
 * Upserts leads, matched by external id, else by e-mail address. Absent values leave the stored ones unchanged; values
 * older than the stored details only fill empty columns. Returns lead ids by index in `told`, without invalid entries
 * and duplicates. All returned leads are locked.
 */
export async function writeLeads(
  db: Queryable,
  { workspaceId, detailsUpdatedAt }: { readonly workspaceId: string; readonly detailsUpdatedAt: Date },
  told: readonly ReadLead[],
): Promise<ReadonlyMap<number, string>> {
  const leads = await recognise(
    db,
    workspaceId,
    told.flatMap((lead, place) => ("invalid" in lead ? [] : [{ ...lead, place }])),
  );
  const rows = await db.$queryRaw`
    with told as (
      select given.*, coalesce(given.known, uuid_v7()) as id
        from unnest(
               ${leads.map(({ place }) => place)}::int[], ${leads.map(({ known }) => known)}::uuid[],
               ${texts(leads, "externalId")}::text[], ${texts(leads, "email")}::text[],
               ${texts(leads, "firstName")}::text[], ${texts(leads, "lastName")}::text[],
               ${texts(leads, "company")}::text[], ${texts(leads, "phone")}::text[],
               ${texts(leads, "linkedinUrl")}::text[], ${texts(leads, "timeZone")}::text[])
             as given (place, known, external_id, email, first_name, last_name, company, phone, linkedin_url, time_zone)),
    changed as (
      update lead
         set external_id = coalesce(told.external_id, lead.external_id), ${latestDetailsAt(detailsUpdatedAt)},
             details_updated_at = greatest(lead.details_updated_at, ${detailsUpdatedAt})
        from told
       where lead.id = told.known),
    added as (
      insert into lead (id, workspace_id, external_id, email, first_name, last_name, company, phone, linkedin_url, time_zone, details_updated_at)
      select id, ${workspaceId}::uuid, external_id, email, first_name, last_name, company, phone, linkedin_url, time_zone,
             ${detailsUpdatedAt}
        from told
       where known is null)
    select place, id from told`;
  return new Map(
    z
      .array(z.object({ place: z.int(), id: z.guid() }))
      .parse(rows)
      .map(({ place, id }) => [place, id]),
  );
}

const TOLD_COLUMNS = ["email", "first_name", "last_name", "company", "phone", "linkedin_url", "time_zone"];

/** Assignments for these columns of `lead`: the newer of the given and the stored value, if both are present. */
const latestDetailsAt = (detailsUpdatedAt: Date): Prisma.Sql =>
  Prisma.join(
    TOLD_COLUMNS.map((name) => {
      const column = Prisma.raw(name);
      return Prisma.sql`
             ${column} = case when lead.details_updated_at > ${detailsUpdatedAt} then coalesce(lead.${column}, told.${column})
                              else coalesce(told.${column}, lead.${column}) end`;
    }),
  );

const texts = (leads: readonly LeadToEnrol[], key: keyof LeadToEnrol) => leads.map((lead) => lead[key] ?? null);

/** Adds the id of the stored lead, or null. Leaves out a second entry for the same stored lead. */
async function recognise<Lead extends LeadToEnrol>(
  db: Queryable,
  workspaceId: string,
  leads: readonly Lead[],
): Promise<readonly (Lead & { readonly known: string | null })[]> {
  const known = await lockKnown(db, workspaceId, leads);
  const taken = new Set<string>();
  return leads.flatMap((lead) => {
    const id = known(lead);
    if (id !== null && taken.has(id)) return [];
    if (id !== null) taken.add(id);
    return [{ ...lead, known: id }];
  });
}

const knownRow = z.object({ id: z.guid(), externalId: z.string().nullable(), email: z.string().nullable() });

/**
 * Locks, in id order, the stored leads that match or share an e-mail address with a match. Returns a lookup by lead.
 */
async function lockKnown(
  db: Queryable,
  workspaceId: string,
  leads: readonly LeadToEnrol[],
): Promise<(lead: LeadToEnrol) => string | null> {
  const externalIds = texts(leads, "externalId");
  const rows = await db.$queryRaw`
    select id, external_id as "externalId", normalised_email as email
      from lead
     where workspace_id = ${workspaceId}::uuid
       and (external_id = any(${externalIds}::text[])
            or ${hasEmail(...leads.flatMap(({ email }) => email ?? []))}
            or normalised_email = any(array(select normalised_email from lead
                                             where workspace_id = ${workspaceId}::uuid
                                               and external_id = any(${externalIds}::text[]))))
     order by id
       for update`;
  const byExternalId = new Map<string, string>();
  const byEmail = new Map<string, { readonly id: string; readonly externalId: string | null }>();
  for (const { id, externalId, email } of z.array(knownRow).parse(rows)) {
    if (externalId !== null) byExternalId.set(externalId, id);
    if (email !== null && !byEmail.has(email)) byEmail.set(email, { id, externalId });
  }
  return ({ externalId, email }) => {
    const named = externalId === undefined ? undefined : byExternalId.get(externalId);
    if (named !== undefined) return named;
    const address = addressKeys(email ?? "").find((key) => byEmail.has(key)) ?? "";
    const addressed = byEmail.get(address);
    if (!addressed || externalId === undefined) return addressed?.id ?? null;
    // The same address with another external id is another lead, even if the first lead got its own id in this call.
    if (addressed.externalId !== null) return null;
    byEmail.set(address, { ...addressed, externalId });
    return addressed.id;
  };
}
