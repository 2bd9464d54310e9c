import * as z from "zod";
import { findLatestInstance, reopenInstance } from "../store/reopen.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { isoInstant, order, Refused } from "./operation.ts";
import { refusalText } from "./refusal-texts.ts";
import { sequenceName, theSequence } from "./sequences.ts";

/** `reopen`: the lead's latest instance of that sequence continues in a new generation. */
export const reopen = order({
  name: "reopen",
  summary: "Reopens a sequence of a lead that was stopped by mistake. Nothing that was sent is sent again.",
  input: leadInput.extend({ sequence: sequenceName }),
  answer: z.object({
    instanceId: z.guid(),
    generation: z.int(),
    /** The step with which it continues. */
    position: z.int(),
    nextStepDue: isoInstant,
  }),
  async run(db, { sequence, ...named }, { by, reason, at }) {
    const { id: leadId, workspaceId, workspace } = await theLead(db, named);
    const { id: sequenceId, name } = await theSequence(db, { workspaceId, workspace, idOrName: sequence });
    const instanceId = await findLatestInstance(db, { leadId, sequenceId });
    if (instanceId === undefined) {
      throw new Refused("not_found", `the lead ${leadId} was never in "${name}": leads show prints its sequences`);
    }
    const reopened = await reopenInstance(db, { instanceId, reason, by, at });
    if (reopened.outcome === "refused") {
      throw new Refused(reopened.reason, `"${name}" was not reopened: ${refusalText(reopened.reason)}`);
    }
    const { generation, position, nextStepDue } = reopened;
    return { workspaceId, leadId, answer: { instanceId, generation, position, nextStepDue } };
  },
});
