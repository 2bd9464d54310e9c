import * as z from "zod";
import {
  LEAD_COLUMNS,
  type LeadKey,
  TEMPLATE_KEYS,
  type TemplateKey,
  type TemplateLead,
} from "../domain/lead-columns.ts";
import { join, raw, type Sql, sql } from "./sql.ts";

/** The name of a lead's column, for SQL. */
export const columnOf = (key: LeadKey): Sql => raw(LEAD_COLUMNS[key].column);

/** The columns of `lead` that templates may read, named as in code. */
export const TEMPLATE_COLUMNS = join(TEMPLATE_KEYS.map((key) => sql`lead.${columnOf(key)} as ${raw(`"${key}"`)}`));

const text = z.string().nullable();
export const templateColumns = Object.fromEntries(TEMPLATE_KEYS.map((key) => [key, text])) as Record<
  TemplateKey,
  typeof text
>;

const NO_TEXTS = Object.fromEntries(TEMPLATE_KEYS.map((key) => [key, null])) as TemplateLead;

/** The values of a row that templates may read. */
export function templateLeadOf(row: TemplateLead): TemplateLead {
  const lead: Record<TemplateKey, string | null> = { ...NO_TEXTS };
  for (const key of TEMPLATE_KEYS) lead[key] = row[key];
  return lead;
}
