import * as z from "zod";
import { readableMessage } from "../domain/late-values.ts";
import { type ApprovalAnswer, approveTouch, currentText, rejectTouch } from "../store/approvals.ts";
import { listWaiting, readTouchToDecide, type WaitingTouch, waitingTouchRow } from "../store/awaiting-approval.ts";
import type { Queryable } from "../store/sql.ts";
import { isoInstant, order, question, Refused } from "./operation.ts";
import { pageOf } from "./page.ts";
import { refusalText } from "./refusal-texts.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

const PAGE = 200;

/** Without `expiresAt` it waits without end. */
const waitingTouch = waitingTouchRow.extend({ claimedAt: isoInstant, expiresAt: isoInstant.nullable() });

/** `approvals list`: by expiry, then by age. `next` continues with later ones. */
export const listApprovals = question({
  name: "approvals list",
  summary: "Lists the touches that need approval, by expiry.",
  input: z.strictObject({
    workspace: workspaceName.optional(),
    /** The `next` of the answer before. */
    after: z.guid().optional(),
    limit: z.int().min(1).max(PAGE).default(PAGE),
  }),
  answer: z.object({ touches: z.array(waitingTouch), next: z.guid().nullable(), askedAt: isoInstant }),
  async run(db, { workspace, after, limit }, now) {
    const workspaceId = await workspaceIdOf(db, workspace);
    if (after !== undefined) await theTouch(db, after);
    const found = await listWaiting(db, { workspaceId, after: after ?? null, limit: limit + 1 });
    const { rows: touches, next } = pageOf(found, limit);
    return { touches, next, askedAt: now };
  },
});

/** `approvals show`: the text as it would be sent now. An approval names its fingerprint. */
export const showApproval = question({
  name: "approvals show",
  summary: "Shows the recipient and the text of a touch as it would be sent now, with its fingerprint.",
  input: z.strictObject({ touch: z.guid() }),
  answer: waitingTouch.extend({ subject: z.string().nullable(), body: z.string(), fingerprint: z.string() }),
  async run(db, { touch: touchId }, now) {
    const touch = await theTouch(db, touchId);
    const text = await currentText(db, { workspaceId: touch.workspaceId, touchId, at: now });
    if ("refused" in text)
      throw new Refused(text.refused, `touch ${touchId} is ${touch.status}: ${refusalText(text.refused)}`);
    return { ...touch, ...readableMessage(text.message), fingerprint: text.fingerprint };
  },
});

const decided = z.object({ touchId: z.guid(), outcome: z.enum(["approved", "rejected"]) });

/** `approvals approve`: exactly the text with this fingerprint. */
export const approve = order({
  name: "approvals approve",
  summary: "Approves the text with the fingerprint that was shown. The next run sends it.",
  input: z.strictObject({ touch: z.guid(), fingerprint: z.string().regex(/^[0-9a-f]{64}$/) }),
  answer: decided,
  async run(db, { touch: touchId, fingerprint }, { by, at }) {
    const touch = await theTouch(db, touchId);
    return doneOr(await approveTouch(db, { workspaceId: touch.workspaceId, touchId, fingerprint, by, at }), touch);
  },
});

/** `approvals reject`: it is never sent. The reason of the order is stored with the touch. */
export const reject = order({
  name: "approvals reject",
  summary: "Rejects a touch. It is never sent, and its sequence continues.",
  input: z.strictObject({ touch: z.guid() }),
  answer: decided,
  async run(db, { touch: touchId }, { by, at, reason }) {
    const touch = await theTouch(db, touchId);
    return doneOr(await rejectTouch(db, { workspaceId: touch.workspaceId, touchId, reason, by, at }), touch);
  },
});

async function theTouch(db: Queryable, touchId: string): Promise<WaitingTouch> {
  const touch = await readTouchToDecide(db, touchId);
  if (touch) return touch;
  throw new Refused("not_found", `there is no touch ${touchId}: approvals list shows those that need approval`);
}

function doneOr({ outcome, reason = "" }: ApprovalAnswer, { id, workspaceId, leadId }: WaitingTouch) {
  if (outcome === "refused") throw new Refused(reason, refusalText(reason));
  return { workspaceId, leadId, answer: { touchId: id, outcome } };
}
