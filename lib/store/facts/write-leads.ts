import * as z from "zod";
import { addressKeys } from "../../domain/address.ts";
import type { LeadToEnrol } from "../../run/intake/facts.ts";
import { Prisma } from "../generated/client.ts";
import { hasEmail } from "../lead-addresses.ts";
import type { Queryable } from "../queryable.ts";
import type { ReadLead } from "./read-leads.ts";

/**
 * Writes what is told of leads, and makes those that are not known: by the external id, else by the e-mail address. What is
 * not told stays; and what was told before something newer only adds what nobody knows. Answers the ids by the places of the
 * leads, without those that proved to be a lead told before; all are locked.
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

/** Assigns to each of these columns of `lead` what was told later, `told` or what is known, where both say something. */
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

/** Each lead with the id under which it is known; a second one of the same id is left out. */
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

/** Locks the leads that are known already with all of their addresses, in the order of their ids, and finds each again. */
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
    // The same address under another external id is another lead, also where the first has only just learnt its own.
    if (addressed.externalId !== null) return null;
    byEmail.set(address, { ...addressed, externalId });
    return addressed.id;
  };
}
