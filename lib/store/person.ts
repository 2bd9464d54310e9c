import * as z from "zod";
import { addressKeys, normaliseEmail } from "../domain/address.ts";
import { phoneKeys } from "../domain/phone.ts";
import { phoneCountry } from "./facts/leads.ts";
import { many, type Queryable, type Sql, sql } from "./sql.ts";
import type { Notations } from "./suppressions.ts";

export interface LeadKeys {
  readonly id: string;
  readonly workspaceId: string;
}

const addressesRow = z.object({ email: z.string(), phone: z.string() });

/** Every form in which a row of the workspace may store the lead's address and number, normalised; none if it is gone. */
export async function notationsOf(db: Queryable, { id, workspaceId }: LeadKeys): Promise<Notations> {
  const [lead] = await many(db, addressesRow)`
    select coalesce(email, '') as email, coalesce(phone, '') as phone from lead where id = ${id}::uuid`;
  const { email, phone } = lead ?? { email: "", phone: "" };
  return {
    emails: [...addressKeys(email), normaliseEmail(email)].filter((key) => key !== null),
    phones: phone === "" ? [] : phoneKeys(phone, await phoneCountry(db, workspaceId)),
  };
}

/** Whether a row of `lead` has the address or the number. */
const shares = (workspaceId: string, { emails, phones }: Notations): Sql => sql`
  workspace_id = ${workspaceId}::uuid
  and (normalised_email = any(${[...emails]}::text[]) or normalised_phone = any(${[...phones]}::text[]))`;

const idRow = z.object({ id: z.guid() });

/** The other leads of the workspace with the lead's address or number. */
export async function othersWithAddress(db: Queryable, lead: LeadKeys): Promise<readonly string[]> {
  const rows = await many(db, idRow)`
    select id from lead
     where ${shares(lead.workspaceId, await notationsOf(db, lead))} and id <> ${lead.id}::uuid
     order by id`;
  return rows.map(({ id }) => id);
}

/** Locks the lead and all that share its address or number, in id order, and returns their ids. */
export async function lockSharing(
  db: Queryable,
  { id, workspaceId }: LeadKeys,
  notations: Notations,
): Promise<readonly string[]> {
  const rows = await many(db, idRow)`
    select id from lead where id = ${id}::uuid or (${shares(workspaceId, notations)}) order by id for update`;
  return rows.map((row) => row.id);
}
