import * as z from "zod";
import { readableText } from "../domain/late-values.ts";
import { othersWithAddress } from "../store/person.ts";
import { PERSONAL_TABLE_NAMES, readPersonalRows } from "../store/personal-data.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { question } from "./operation.ts";

const place = z.strictObject({ table: z.enum(PERSONAL_TABLE_NAMES), after: z.string() });

/** `leads export`: every row about a lead, as stored, for a person who asks what is known. Some rows of one table. */
export const exportLead = question({
  name: "leads export",
  summary: "Returns everything that is stored about a lead.",
  input: leadInput.extend({
    /** `next` of the page before. */
    from: place.nullable().default(null),
  }),
  answer: z.object({
    leadId: z.guid(),
    workspaceId: z.guid(),
    workspace: z.string(),
    /** Other leads with the address or number: their rows are not in the answer. */
    others: z.array(z.guid()),
    table: z.enum(PERSONAL_TABLE_NAMES),
    rows: z.array(z.record(z.string(), z.json())),
    next: place.nullable(),
  }),
  async run(db, { from, ...named }) {
    const { id, workspaceId, workspace } = await theLead(db, named);
    const others = [...(await othersWithAddress(db, { id, workspaceId }))];
    const [first] = PERSONAL_TABLE_NAMES;
    const { table, after } = from ?? { table: first as (typeof PERSONAL_TABLE_NAMES)[number], after: "" };
    const found = await readPersonalRows(db, { id, workspaceId }, { table, after });
    const last = found.at(-1);
    const following = PERSONAL_TABLE_NAMES[PERSONAL_TABLE_NAMES.indexOf(table) + 1];
    const next = last ? { table, after: last.key } : following ? { table: following, after: "" } : null;
    return { leadId: id, workspaceId, workspace, others, table, rows: found.map(({ data }) => readable(data)), next };
  },
});

type Row = Awaited<ReturnType<typeof readPersonalRows>>[number]["data"];

const readable = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, typeof value === "string" ? readableText(value) : value]),
  );
