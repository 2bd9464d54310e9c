import * as z from "zod";
import { recheckHeld } from "../store/lead-switches.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { order } from "./operation.ts";

/** `leads recheck`: the next run decides held steps again, instead of at their time. */
export const recheckLead = order({
  name: "leads recheck",
  summary: "Lets the next run decide a lead's held steps again, after a repair.",
  input: leadInput,
  answer: z.object({ workspaceId: z.guid(), rechecked: z.int() }),
  async run(db, named, { at }) {
    const { id: leadId, workspaceId } = await theLead(db, named);
    return { workspaceId, leadId, answer: { workspaceId, rechecked: await recheckHeld(db, { leadId, now: at }) } };
  },
});
