import * as z from "zod";
import { normaliseEmail, normalisePhone } from "../domain/address.ts";
import { LEAD_STATUSES } from "../domain/labels.ts";
import { instant } from "./rows.ts";
import { many, type Queryable, sql } from "./sql.ts";

const foundRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  workspace: z.string(),
  externalId: z.string().nullable(),
  firstName: z.string().nullable(),
  lastName: z.string().nullable(),
  company: z.string().nullable(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  status: z.enum(LEAD_STATUSES),
  createdAt: instant,
});
export type FoundLead = z.infer<typeof foundRow>;

interface LeadQuery {
  /** As people write it: an id, an external id, an address, a number or part of a name. */
  readonly text: string;
  /** Null: all workspaces. */
  readonly workspaceId: string | null;
  readonly limit: number;
}

const COLUMNS = sql`
  lead.id, lead.workspace_id as "workspaceId", workspace.name as workspace, lead.external_id as "externalId",
  lead.first_name as "firstName", lead.last_name as "lastName", lead.company, lead.email, lead.phone,
  lead.status::text, lead.created_at as "createdAt"`;

/** Uses one index lookup per workspace and kind of name. */
const IS_NAMED = (text: string) => sql`
  (lead.id::text = lower(${text}) or lead.external_id = ${text}
   or lead.normalised_email = ${normaliseEmail(text)} or lead.normalised_phone = ${normalisePhone(text)})`;

/** The leads with exactly this id, external id, address or number. */
export async function readLeadsNamed(db: Queryable, { text, workspaceId, limit }: LeadQuery): Promise<FoundLead[]> {
  return await many(db, foundRow)`
    select ${COLUMNS}
      from workspace join lead on lead.workspace_id = workspace.id
     where (${workspaceId}::uuid is null or workspace.id = ${workspaceId}::uuid) and ${IS_NAMED(text)}
     order by lead.created_at desc, lead.id
     limit ${limit}`;
}

/** Also those with this text in a name, a company or an address. Reads all leads of the workspaces. */
export async function searchLeads(db: Queryable, { text, workspaceId, limit }: LeadQuery): Promise<FoundLead[]> {
  const part = `%${text.replaceAll(/[\\%_]/g, "\\$&")}%`;
  return await many(db, foundRow)`
    select ${COLUMNS}
      from workspace join lead on lead.workspace_id = workspace.id
     where (${workspaceId}::uuid is null or workspace.id = ${workspaceId}::uuid)
       and (${IS_NAMED(text)}
            or concat_ws(' ', lead.first_name, lead.last_name) ilike ${part} or lead.company ilike ${part}
            or lead.email ilike ${part})
     order by ${IS_NAMED(text)} desc, lead.created_at desc, lead.id
     limit ${limit}`;
}
