import * as z from "zod";
import { type Message, render } from "../domain/templates.ts";
import type { DueCandidate } from "../run/store-ports.ts";
import { advanceInstances } from "./advance-instances.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { parseDueRows } from "./rows.ts";
import { execute, many, one, type Queryable, sql } from "./sql.ts";
import { CANCEL_REASON } from "./start-sending.ts";

export interface Approval {
  readonly workspaceId: string;
  readonly touchId: string;
  /** Fingerprint of the text that the person saw. */
  readonly fingerprint: string;
  readonly by: string;
  readonly at: Date;
}

export interface Rejection extends Omit<Approval, "fingerprint"> {
  readonly reason: string;
}

/** The outcome of an approval or rejection, with the reason if it was refused. */
export interface ApprovalAnswer {
  readonly outcome: "approved" | "rejected" | "refused";
  readonly reason?: string;
}

/**
 * Approves a waiting touch if its text is still the one that was shown. The touch becomes claimed, and the next run
 * sends it after the usual checks. The instance continues with its next step. The first of several concurrent decisions
 * wins. Runs in the caller's transaction and locks the lead: a booking is either visible here or commits later.
 *
 * If the template or the lead's data changed the text, approves nothing and stores the new text, to be shown again.
 */
export async function approveTouch(transaction: Queryable, approval: Approval): Promise<ApprovalAnswer> {
  const { touchId, at, by } = approval;
  const waiting = await lockWaiting(transaction, approval);
  if ("refused" in waiting) return refused(waiting.refused);
  const { stop, tooOld, candidate } = waiting;
  if (stop ?? tooOld) return refused(stop ?? "expired");
  const text = textOf(waiting);
  if ("fault" in text) return refused(text.fault);
  if ((await refresh(transaction, touchId, text.message)) !== approval.fingerprint) return refused("text_changed");
  await execute(transaction)`
    update touch
       set status = 'claimed', next_attempt_at = ${at}, recheck_at = ${at}, decided_at = ${at}, decided_by = ${by}
     where id = ${touchId}::uuid`;
  await advanceInstances(transaction, [candidate], at);
  return { outcome: "approved" };
}

/**
 * Renders a waiting touch and returns its text and fingerprint. Stores both on the touch, so that only the text that
 * was shown can be approved. Runs in the caller's transaction.
 */
export async function currentText(
  transaction: Queryable,
  touch: Pick<Approval, "workspaceId" | "touchId" | "at">,
): Promise<ShownText | { readonly refused: string }> {
  const waiting = await lockWaiting(transaction, touch);
  if ("refused" in waiting) return waiting;
  const text = textOf(waiting);
  if ("fault" in text) return { refused: text.fault };
  return { message: text.message, fingerprint: await refresh(transaction, touch.touchId, text.message) };
}

export interface ShownText {
  readonly message: Message;
  readonly fingerprint: string;
}

/** Rejects a waiting touch: it is never sent, and its instance continues. Runs in the caller's transaction. */
export async function rejectTouch(transaction: Queryable, rejection: Rejection): Promise<ApprovalAnswer> {
  const { touchId, reason, at, by } = rejection;
  const waiting = await lockWaiting(transaction, rejection);
  if ("refused" in waiting) return refused(waiting.refused);
  await execute(transaction)`
    update touch
       set status = 'rejected', reason = ${reason}, recheck_at = null, decided_at = ${at}, decided_by = ${by}
     where id = ${touchId}::uuid`;
  await advanceInstances(transaction, [waiting.candidate], at);
  return { outcome: "rejected" };
}

const refused = (reason: string): ApprovalAnswer => ({ outcome: "refused", reason });

/** A touch that waits for approval, locked with its lead and its instance. */
interface Waiting {
  readonly candidate: DueCandidate;
  readonly stepId: string;
  readonly channel: string;
  /** Why it may no longer be sent; null if it may. */
  readonly stop: string | null;
  readonly tooOld: boolean;
}

const waitingRow = z.object({
  touchStatus: z.string(),
  decided: z.boolean(),
  instanceWaits: z.boolean(),
  stepId: z.guid(),
  channel: z.string(),
  stop: z.string().nullable(),
  tooOld: z.boolean(),
});

/** Whether the instance waits for this touch. */
export const INSTANCE_WAITS = sql`
  coalesce(instance.paused_reason = 'awaiting_approval', false) and instance.generation = touch.generation`;

/** Locks the lead first, then instance and touch: the lock order of every transaction that waits for several rows. */
async function lockWaiting(
  db: Queryable,
  { workspaceId, touchId, at }: Pick<Approval, "workspaceId" | "touchId" | "at">,
): Promise<Waiting | { readonly refused: string }> {
  await execute(db)`
    select from lead
     where workspace_id = ${workspaceId}::uuid
       and id = (select lead_id from touch where workspace_id = ${workspaceId}::uuid and id = ${touchId}::uuid)
       for no key update`;
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(at)}, touch.status::text as "touchStatus", touch.decided_at is not null as decided,
           ${INSTANCE_WAITS} as "instanceWaits",
           touch.step_id as "stepId", touch.channel::text, ${CANCEL_REASON} as stop, coalesce(touch.expires_at <= ${at}, false) as "tooOld"
      from touch
      join follow_up_instance as instance on instance.id = touch.instance_id
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
     where touch.workspace_id = ${workspaceId}::uuid and touch.id = ${touchId}::uuid
       for no key update of instance, touch`;
  const [dueRow] = parseDueRows(rows);
  if (!dueRow) return { refused: "not_found" };
  const { decided, touchStatus, instanceWaits, ...waiting } = waitingRow.parse(dueRow.row);
  if (decided) return { refused: "already_decided" };
  if (touchStatus !== "awaiting_approval") return { refused: ENDED[touchStatus] ?? "not_waiting" };
  if (!instanceWaits) return { refused: waiting.stop ?? "instance_not_waiting" };
  const [candidate] = await readCandidates(db, [dueRow], at);
  if (!candidate) return { refused: "not_found" };
  return { candidate, ...waiting };
}

const ENDED: Readonly<Record<string, string>> = { cancelled: "cancelled", expired: "expired" };

/** The text as rendered now, or why it cannot be rendered. */
function textOf({ candidate, stepId, channel }: Waiting): { readonly message: Message } | { readonly fault: string } {
  if ("fault" in candidate.read) return { fault: "unreadable_row" };
  const { lead, workspace, sequence } = candidate.read.item;
  const step = sequence.steps.find(({ id }) => id === stepId);
  if (!step || step.channel !== channel) return { fault: "step_changed" };
  const rendered = render(step, lead, workspace);
  if (rendered.kind === "rendered") return { message: rendered.message };
  return { fault: rendered.kind === "missing" ? "missing_data" : "invalid_template" };
}

/** Stores the current text on the touch and returns its fingerprint. */
async function refresh(db: Queryable, touchId: string, { subject, body }: Message): Promise<string> {
  const { fingerprint } = await one(db, z.object({ fingerprint: z.string() }))`
    update touch
       set subject = ${subject}, body = ${body}, fingerprint = message_fingerprint(${subject}::text, ${body}::text)
     where id = ${touchId}::uuid
    returning fingerprint`;
  return fingerprint;
}
