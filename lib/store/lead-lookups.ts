import * as z from "zod";
import { normaliseEmail } from "../domain/address.ts";
import type { TemplateLead } from "../domain/lead-columns.ts";
import { phoneKeys } from "../domain/phone.ts";
import { LEAD_NAME, TEMPLATE_COLUMNS, templateColumns, templateLeadOf } from "./columns.ts";
import { storedInstant } from "./rows.ts";
import { many, one, type Queryable, type Sql, sql } from "./sql.ts";

export const leadMatchRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  workspace: z.string(),
  externalId: z.string().nullable(),
  firstName: z.string().nullable(),
  lastName: z.string().nullable(),
  company: z.string().nullable(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  /** A label of `LEAD_STATUSES`, or an unknown one if the database is newer than this code. */
  status: z.string(),
  createdAt: storedInstant,
});
export type LeadMatch = z.infer<typeof leadMatchRow>;

interface LeadQuery {
  /**
   * The id of a lead, of one of its instances or of a touch; an external id, an address, a number or part of a name.
   */
  readonly text: string;
  /** Null: all workspaces. */
  readonly workspaceId: string | null;
  readonly limit: number;
}

const COLUMNS = sql`
  lead.id, lead.workspace_id as "workspaceId", workspace.name as workspace, lead.external_id as "externalId",
  lead.first_name as "firstName", lead.last_name as "lastName", lead.company, lead.email, lead.phone,
  lead.status::text, lead.created_at as "createdAt"`;

/** Whether `lead` is named so. One look-up in an index for each kind of name and workspace. */
const isNamed = (text: string, numbers: readonly string[]): Sql => {
  const each = (condition: Sql): Sql => sql`
    select named.id from workspace join lead as named on named.workspace_id = workspace.id and ${condition}`;
  const uuid = z.guid().safeParse(text).data ?? null;
  return sql`lead.id in (
    select id from lead where id = ${uuid}::uuid
    union all select lead_id from follow_up_instance where id = ${uuid}::uuid
    union all select lead_id from touch where id = ${uuid}::uuid
    union all ${each(sql`named.external_id = ${text}`)}
    union all ${each(sql`named.normalised_email = ${normaliseEmail(text)}`)}
    union all ${each(sql`named.normalised_phone = any(${[...numbers]}::text[])`)})`;
};

/** The text as a number, in every form in which a row of these workspaces may store it. */
async function numbersIn(db: Queryable, { text, workspaceId }: LeadQuery): Promise<readonly string[]> {
  const countries = await many(db, z.object({ country: z.string().nullable() }))`
    select distinct holiday_country as country from workspace
     where ${workspaceId}::uuid is null or id = ${workspaceId}::uuid`;
  return countries.flatMap(({ country }) => phoneKeys(text, country));
}

/** The leads with exactly this id, or that of an instance or a touch, external id, address or number. */
export async function readLeadsNamed(db: Queryable, query: LeadQuery): Promise<LeadMatch[]> {
  const { text, workspaceId, limit } = query;
  const named = isNamed(text, await numbersIn(db, query));
  return await many(db, leadMatchRow)`
    select ${COLUMNS}
      from workspace join lead on lead.workspace_id = workspace.id
     where (${workspaceId}::uuid is null or workspace.id = ${workspaceId}::uuid) and ${named}
     order by lead.created_at desc, lead.id
     limit ${limit}`;
}

/** Also those with this text in a name, a company or an address. Reads all leads of the workspaces. */
export async function searchLeads(db: Queryable, query: LeadQuery): Promise<LeadMatch[]> {
  const { text, workspaceId, limit } = query;
  const named = isNamed(text, await numbersIn(db, query));
  const part = `%${text.replaceAll(/[\\%_]/g, "\\$&")}%`;
  return await many(db, leadMatchRow)`
    select ${COLUMNS}
      from workspace join lead on lead.workspace_id = workspace.id
     where (${workspaceId}::uuid is null or workspace.id = ${workspaceId}::uuid)
       and (${named}
            or ${LEAD_NAME} ilike ${part} or lead.company ilike ${part}
            or lead.email ilike ${part})
     order by ${named} desc, lead.created_at desc, lead.id
     limit ${limit}`;
}

/** The values of a lead that a template may read. */
export async function readTemplateLead(db: Queryable, leadId: string): Promise<TemplateLead> {
  return templateLeadOf(
    await one(db, z.object(templateColumns))`select ${TEMPLATE_COLUMNS} from lead where id = ${leadId}::uuid`,
  );
}
