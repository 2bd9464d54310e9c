import * as z from "zod";
import { type LeadMatch, leadMatchRow, readLeadsNamed, searchLeads } from "../store/lead-lookups.ts";
import type { Queryable } from "../store/sql.ts";
import { isoInstant, question, Refused } from "./operation.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

/** How a person names a lead: its id, or that of an instance or a touch; its external id, e-mail address or phone number. */
export const leadName = z.string().trim().min(1).max(320);

/** Names one lead, in one workspace or in all of them. */
export const leadInput = z.strictObject({ lead: leadName, workspace: workspaceName.optional() });

export const foundLead = leadMatchRow.extend({ createdAt: isoInstant });

const MAX_FOUND = 50;

/** `leads find`: by a part of a name, a company or an address, or by an exact id or number. At most 50. */
export const findLeads = question({
  name: "leads find",
  summary: "Finds leads by name, company, address, number or id.",
  input: z.strictObject({ text: leadName, workspace: workspaceName.optional() }),
  answer: z.object({ leads: z.array(foundLead), more: z.boolean() }),
  async run(db, { text, workspace }) {
    const workspaceId = await workspaceIdOf(db, workspace);
    const leads = await searchLeads(db, { text, workspaceId, limit: MAX_FOUND + 1 });
    return { leads: leads.slice(0, MAX_FOUND), more: leads.length > MAX_FOUND };
  },
});

/** The one lead that is named so. Refuses an unknown or ambiguous name, and lists the candidates. */
export async function theLead(db: Queryable, { lead, workspace }: z.output<typeof leadInput>): Promise<LeadMatch> {
  const workspaceId = await workspaceIdOf(db, workspace);
  const [found, ...others] = await readLeadsNamed(db, { text: lead, workspaceId, limit: MAX_FOUND });
  if (found && others.length === 0) return found;
  if (!found) {
    throw new Refused(
      "not_found",
      `there is no lead with the id, external id, address or number "${lead}": try leads find`,
    );
  }
  const candidates = [found, ...others].map(({ id, workspace: of }) => `${id} in ${of}`).join(", ");
  throw new Refused("ambiguous", `several leads are called "${lead}": use an id of ${candidates}`);
}
