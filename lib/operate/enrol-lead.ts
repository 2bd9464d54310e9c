import * as z from "zod";
import { enrol } from "../store/facts/enrol.ts";
import { readLeadState } from "../store/stories.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { order, Refused } from "./operation.ts";
import { sequenceName, theSequence } from "./sequences.ts";

/** `leads enrol`: as the fact `lead.enrolled`, for a lead that is stored. Refused with the verdict if it may not enter. */
export const enrolLead = order({
  name: "leads enrol",
  summary: "Starts a sequence for a lead.",
  input: leadInput.extend({
    sequence: sequenceName,
    /** Whether a lead that is or was in the sequence restarts it. */
    restart: z.boolean().default(false),
  }),
  answer: z.object({
    workspaceId: z.guid(),
    sequence: z.string(),
    /** If off, the sequence pauses at its first step. */
    automationEnabled: z.boolean(),
  }),
  async run(db, { sequence: idOrName, restart, ...named }, { at }) {
    const { id: leadId, workspaceId, workspace } = await theLead(db, named);
    const { id: sequenceId, name } = await theSequence(db, { workspaceId, workspace, idOrName });
    const verdict = await enrol(db, { workspaceId, leadId, sequenceId, restart, now: at });
    if (verdict !== "enrolled") throw new Refused(verdict.replace(/:.*/s, ""), WHY_NOT[verdict] ?? verdict);
    const { automationEnabled } = await readLeadState(db, leadId);
    return { workspaceId, leadId, answer: { workspaceId, sequence: name, automationEnabled } };
  },
});

const WHY_NOT: Readonly<Record<string, string>> = {
  already_enrolled: "the lead is or was in the sequence: use --restart to start it from its first step",
  booked: "the lead has booked a meeting, so only a post-booking sequence may start",
  opted_out: "the lead has opted out: leads opt-in lifts that",
  complained: "the lead reported a message as spam: leads opt-in lifts that",
  no_steps: "the sequence has no steps",
};
