import * as z from "zod";
import { MOST_LEADS } from "../inbound/facts.ts";
import { reportedBy, reportFact } from "./fact-order.ts";
import { isoInstant, order } from "./operation.ts";
import { sequenceName, theSequence } from "./sequences.ts";
import { theWorkspace, workspaceName } from "./workspaces.ts";

/** `leads import`: as the fact `lead.enrolled`. A lead that may not enter affects no other. */
export const importLeads = order({
  name: "leads import",
  summary: "Enrols leads in a sequence, and creates those that do not exist yet.",
  input: z.strictObject({
    workspace: workspaceName,
    sequence: sequenceName,
    leads: z.array(z.unknown()).min(1).max(MOST_LEADS),
  }),
  answer: z.object({
    workspaceId: z.guid(),
    sequence: z.string(),
    /** One for each lead, such as `enrolled` or `invalid: ` with the reason, without values. */
    verdicts: z.array(z.string()),
    at: isoInstant,
  }),
  async run(db, { workspace: idOrName, sequence: wanted, leads }, placed) {
    const { id: workspaceId, name: workspace } = await theWorkspace(db, idOrName);
    const { id, name } = await theSequence(db, { workspaceId, workspace, idOrName: wanted });
    const fact = { type: "lead.enrolled", workspaceId, sequence: { id }, leads, restart: false } as const;
    const { verdicts = [] } = await reportFact(db, { ...fact, ...reportedBy(placed) });
    return { workspaceId, answer: { workspaceId, sequence: name, verdicts: [...verdicts], at: placed.at } };
  },
});
