import * as z from "zod";
import { ADDRESS_KINDS, SUPPRESSION_REASONS } from "../domain/labels.ts";
import { optIn } from "../store/opt-in.ts";
import { reportedBy, reportFact } from "./fact-order.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { order } from "./operation.ts";

/** `leads opt-out`: as the fact `lead.opted_out`, for every lead with the address or number. */
export const optOutLead = order({
  name: "leads opt-out",
  summary: "Ends all sequences of a person for good: every lead with the address or number, also later ones.",
  input: leadInput,
  answer: z.object({ workspaceId: z.guid(), ended: z.int(), cancelledTouches: z.int() }),
  async run(db, input, placed) {
    const { id, workspaceId } = await theLead(db, input);
    const lead = { id };
    const { ended, cancelledTouches } = await reportFact(db, {
      ...reportedBy(placed),
      type: "lead.opted_out",
      workspaceId,
      lead,
    });
    return { workspaceId, leadId: id, answer: { workspaceId, ended, cancelledTouches } };
  },
});

/** `leads opt-in`: starts nothing. A provider may keep a suppression list of its own. */
export const optInLead = order({
  name: "leads opt-in",
  summary: "Removes the suppression of a lead's address and number: an opt-out, a complaint or a failed delivery.",
  input: leadInput,
  answer: z.object({
    workspaceId: z.guid(),
    lifted: z.array(z.object({ kind: z.enum(ADDRESS_KINDS), reason: z.enum(SUPPRESSION_REASONS) })),
    /** Leads whose opt-out was taken back: others may share the address or number. */
    leads: z.int(),
    /** Why the lead may still not be contacted; null if it may. */
    barredBy: z.string().nullable(),
  }),
  async run(db, input, { at }) {
    const { id, workspaceId } = await theLead(db, input);
    const { lifted, ...answer } = await optIn(db, { id, workspaceId }, { at, by: "person" });
    return { workspaceId, leadId: id, answer: { workspaceId, lifted: [...lifted], ...answer } };
  },
});
