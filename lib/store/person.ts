import * as z from "zod";
import { addressKeys, normaliseEmail } from "../domain/address.ts";
import { phoneKeys } from "../domain/phone.ts";
import { phoneCountry } from "./facts/leads.ts";
import { many, one, type Queryable, type Sql, sql } from "./sql.ts";

export interface LeadKeys {
  readonly id: string;
  readonly workspaceId: string;
}

const addressesRow = z.object({ email: z.string().nullable(), phone: z.string().nullable() });

export interface Notations {
  readonly emails: readonly string[];
  readonly phones: readonly string[];
}

/** Every form in which a row of the workspace may store the lead's address and number, normalised. */
export async function notationsOf(db: Queryable, { id, workspaceId }: LeadKeys): Promise<Notations> {
  const { email, phone } = await one(db, addressesRow)`select email, phone from lead where id = ${id}::uuid`;
  const country = phone === null ? null : await phoneCountry(db, workspaceId);
  return {
    emails: email === null ? [] : [...addressKeys(email), normaliseEmail(email)].filter((key) => key !== null),
    phones: phone === null ? [] : phoneKeys(phone, country),
  };
}

/** Whether a row of `lead` has the address or the number. */
const shares = (workspaceId: string, { emails, phones }: Notations): Sql => sql`
  workspace_id = ${workspaceId}::uuid
  and (normalised_email = any(${[...emails]}::text[]) or normalised_phone = any(${[...phones]}::text[]))`;

const idRow = z.object({ id: z.guid() });

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
