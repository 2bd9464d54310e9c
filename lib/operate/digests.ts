import * as z from "zod";
import { lostDigestRow, readLostDigests, resendDigest } from "../store/digests.ts";
import { isoInstant, order, question, Refused } from "./operation.ts";
import { MAX_LISTED } from "./page.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

/** `digests list`: those that failed or may not have arrived, the newest first; at most 1,000. */
export const listDigests = question({
  name: "digests list",
  summary: "Lists digests that failed or may not have arrived.",
  input: z.strictObject({ workspace: workspaceName.optional() }),
  answer: z.object({
    digests: z.array(lostDigestRow.extend({ windowStart: isoInstant, windowEnd: isoInstant })),
    more: z.boolean(),
  }),
  async run(db, { workspace }) {
    const workspaceId = await workspaceIdOf(db, workspace);
    const found = await readLostDigests(db, { workspaceId, limit: MAX_LISTED + 1 });
    return { digests: found.slice(0, MAX_LISTED), more: found.length > MAX_LISTED };
  },
});

/** `digests resend`: a digest that had arrived arrives twice. */
export const resend = order({
  name: "digests resend",
  summary: "Sends a digest again that failed or may not have arrived.",
  input: z.strictObject({ digest: z.guid() }),
  answer: z.object({ digestId: z.guid() }),
  async run(db, { digest: id }, { at }) {
    const found = await resendDigest(db, { id, at });
    if (!found) throw new Refused("not_found", `there is no digest ${id}: digests list shows those that were lost`);
    if (!found.resent) {
      throw new Refused("not_lost", `the digest ${id} is ${found.status}: only a failed or unknown one is sent again`);
    }
    return { workspaceId: found.workspaceId, answer: { digestId: id } };
  },
});
