import * as z from "zod";
import { TOUCH_STATUSES } from "../domain/labels.ts";
import { countFailed, retryFailed, settleUnknown } from "../store/settle-by-hand.ts";
import { countTouches, listedTouchRow, readTouches, touchCount } from "../store/touch-lists.ts";
import { isoInstant, order, question, Refused } from "./operation.ts";
import { MAX_LISTED, pageOf } from "./page.ts";
import { theOrOnlyWorkspace, workspaceIdOf, workspaceName } from "./workspaces.ts";

const MAX_GROUPS = 200;
/** Per order: small enough to hold its locks for less than a second. */
const MAX_RETRIED = 1_000;

/** `at`: when it was sent, last tried, or else claimed. */
const listedTouch = listedTouchRow.extend({ at: isoInstant });

/** `touches list`: the oldest first, without texts. `next` continues with younger ones. */
export const listTouches = question({
  name: "touches list",
  summary: "Lists touches by status, with lead, step, reason and age.",
  input: z.strictObject({
    statuses: z.array(z.enum(TOUCH_STATUSES)).min(1),
    workspace: workspaceName.optional(),
    since: isoInstant.optional(),
    /** The `next` of the answer before. */
    after: z.guid().optional(),
    limit: z.int().min(1).max(MAX_LISTED).default(MAX_LISTED),
  }),
  answer: z.object({ touches: z.array(listedTouch), next: z.guid().nullable(), askedAt: isoInstant }),
  async run(db, { statuses, workspace, since, after, limit }, now) {
    const workspaceId = await workspaceIdOf(db, workspace);
    const query = { statuses, workspaceId, since: since ?? null, after: after ?? null, limit: limit + 1 };
    const found = await readTouches(db, query);
    const { rows: touches, next } = pageOf(found, limit);
    return { touches, next, askedAt: now };
  },
});

/** `touches count`: by status, channel and reason, the most frequent first. */
export const countAllTouches = question({
  name: "touches count",
  summary: "Counts touches by status, channel and reason.",
  input: z.strictObject({
    statuses: z
      .array(z.enum(TOUCH_STATUSES))
      .min(1)
      .default([...TOUCH_STATUSES]),
    workspace: workspaceName.optional(),
    claimedSince: isoInstant.optional(),
  }),
  answer: z.object({ groups: z.array(touchCount.extend({ oldest: isoInstant })), askedAt: isoInstant }),
  async run(db, { statuses, workspace, claimedSince }, now) {
    const workspaceId = await workspaceIdOf(db, workspace);
    const groups = await countTouches(db, { statuses, workspaceId, claimedSince: claimedSince ?? null, now });
    return { groups, askedAt: now };
  },
});

/** `touches settle`: records what a person found out about a touch of unknown outcome. */
export const settleTouch = order({
  name: "touches settle",
  summary: "Records whether a touch of unknown outcome was sent.",
  input: z.strictObject({ touch: z.guid(), outcome: z.enum(["sent", "failed"]) }),
  answer: z.object({ touchId: z.guid(), status: z.enum(TOUCH_STATUSES) }),
  async run(db, { touch: touchId, outcome }, { at }) {
    const found = await settleUnknown(db, { touchId, outcome, at });
    if (!found) {
      throw new Refused(
        "not_found",
        `there is no touch ${touchId}: touches list --status unknown shows those to settle`,
      );
    }
    if (!found.settled) {
      throw new Refused("not_unknown", `the touch ${touchId} is ${found.status}: only an unknown one can be settled`);
    }
    const { workspaceId, leadId, status } = found;
    return { workspaceId, leadId, answer: { touchId, status } };
  },
});

/** Which failed touches. May leave out the workspace if there is only one. */
const failedInput = z.strictObject({
  workspace: workspaceName.optional(),
  /** Only those that failed for exactly this reason. */
  failure: z.string().min(1).optional(),
  /** Only those last tried then or later. */
  since: isoInstant.optional(),
  /** Only those last tried before. */
  until: isoInstant.optional(),
});

const queryOf = ({ failure, since, until }: z.output<typeof failedInput>, workspaceId: string, now: Date) => ({
  workspaceId,
  failure: failure ?? null,
  since: since ?? null,
  until: until ?? null,
  now,
});

/** `touches plan-retry`: what `touches retry` would do. */
export const planRetry = question({
  name: "touches plan-retry",
  summary: "Counts failed touches by reason, and how many of them a retry would send.",
  input: failedInput,
  answer: z.object({
    workspaceId: z.guid(),
    workspace: z.string(),
    /** The 200 most frequent. `bar`: why they would not be sent again; null if they would. */
    groups: z.array(z.object({ failure: z.string().nullable(), bar: z.string().nullable(), touches: z.int() })),
  }),
  async run(db, input, now) {
    const { id, name } = await theOrOnlyWorkspace(db, input.workspace);
    const groups = await countFailed(db, { ...queryOf(input, id, now), limit: MAX_GROUPS });
    return { workspaceId: id, workspace: name, groups };
  },
});

/** `touches retry`: failed touches are claimed again, and the next run decides when each may go. */
export const retryTouches = order({
  name: "touches retry",
  summary: "Sends failed touches again, if their lead may still be contacted and no later step went out.",
  input: failedInput,
  answer: z.object({
    workspaceId: z.guid(),
    /** At most 1,000; then there may be more. */
    retried: z.int(),
    more: z.boolean(),
  }),
  async run(db, input, { at, orderId }) {
    const { id } = await theOrOnlyWorkspace(db, input.workspace);
    const retried = await retryFailed(db, { ...queryOf(input, id, at), orderId, limit: MAX_RETRIED });
    return { workspaceId: id, answer: { workspaceId: id, retried, more: retried === MAX_RETRIED } };
  },
});
