import * as z from "zod";
import { resumeSequencesOf, stopSequencesOf } from "../store/lead-switches.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { order } from "./operation.ts";
import { sequenceName, theSequence } from "./sequences.ts";

/** `leads stop`: without a sequence, it ends all of them and switches automation off. Only `reopen` reopens one. */
export const stopLead = order({
  name: "leads stop",
  summary: "Ends a lead's sequences, or one of them, and cancels what is not sent yet.",
  input: leadInput.extend({ sequence: sequenceName.optional() }),
  answer: z.object({
    workspaceId: z.guid(),
    ended: z.int(),
    cancelledTouches: z.int(),
    /** Messages whose sending had started. They may still arrive. */
    sending: z.int(),
  }),
  async run(db, { sequence, ...named }, { at }) {
    const { id: leadId, workspaceId, workspace } = await theLead(db, named);
    const sequenceId =
      sequence === undefined ? null : (await theSequence(db, { workspaceId, workspace, idOrName: sequence })).id;
    const stopped = await stopSequencesOf(db, { workspaceId, leadId, sequenceId, now: at });
    return { workspaceId, leadId, answer: { workspaceId, ...stopped } };
  },
});

/** `leads resume`: switches automation on and ends manual pauses. Ended instances stay ended. */
export const resumeLead = order({
  name: "leads resume",
  summary: "Switches automation on for a lead: the next run resumes its paused sequences.",
  input: leadInput,
  answer: z.object({
    workspaceId: z.guid(),
    /** Whether automation was off. */
    switchedOn: z.boolean(),
    /** Sequences that the next run resumes, unless another rule stands against it. */
    resuming: z.int(),
  }),
  async run(db, input, { at }) {
    const { id: leadId, workspaceId } = await theLead(db, input);
    return { workspaceId, leadId, answer: { workspaceId, ...(await resumeSequencesOf(db, { leadId, now: at })) } };
  },
});
