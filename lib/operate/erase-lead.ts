import * as z from "zod";
import { eraseRowsOf } from "../store/personal-data.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { order, Refused } from "./operation.ts";

/** `leads erase`: everything about a lead is deleted. The hashes of its addresses stay suppressed. */
export const eraseLead = order({
  name: "leads erase",
  summary: "Deletes everything about a lead, and keeps only hashes so that no import brings the person back.",
  input: leadInput,
  answer: z.object({
    workspaceId: z.guid(),
    /** Deleted rows by table. */
    deleted: z.record(z.string(), z.int()),
    /** Ended sequences, those of other leads with the address or number included. */
    ended: z.int(),
    /** Other leads with the address or number. They stay, and get nothing any more. */
    others: z.int(),
  }),
  async run(db, input, { at }) {
    const { id, workspaceId } = await theLead(db, input);
    const erasure = await eraseRowsOf(db, { id, workspaceId }, at);
    if (erasure.outcome === "sending") {
      const end = erasure.until.toISOString();
      throw new Refused(
        "sending",
        `a message to the lead is being sent: try again in a minute, at the latest at ${end}`,
      );
    }
    const { deleted, ended, others } = erasure;
    if (!deleted["lead"]) throw new Refused("not_found", "the lead was erased just now");
    return { workspaceId, answer: { workspaceId, deleted: { ...deleted }, ended, others } };
  },
});
