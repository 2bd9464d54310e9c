import * as z from "zod";
import { withOffer } from "../domain/late-values.ts";
import type { Offer } from "../domain/offered-slots.ts";
import { offerIn } from "../domain/rule-context.ts";
import { type Message, render } from "../domain/templates.ts";
import type { BatchQuery, DueCandidate } from "../run/claim-ports.ts";
import { advanceInstances } from "./advance-instances.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { replaceOffers } from "./offered-times.ts";
import { parseDueRows } from "./rows.ts";
import { empty, execute, many, one, type Queryable, type Sql, sql, type Transactional } from "./sql.ts";
import { CANCEL_REASON } from "./start-sending.ts";

interface Approval {
  readonly workspaceId: string;
  readonly touchId: string;
  /** Fingerprint of the text that the person saw. */
  readonly fingerprint: string;
  readonly by: string;
  readonly at: Date;
}

interface Rejection extends Omit<Approval, "fingerprint"> {
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
  const locked = await lockWaiting(transaction, approval);
  if ("refused" in locked) return refuse(locked.refused);
  const { stop, tooOld, candidate } = locked;
  if (stop ?? tooOld) return refuse(stop ?? "expired");
  const text = textOf(locked, approval);
  if ("fault" in text) return refuse(text.fault);
  const { message, offer } = text;
  if (offer) await replaceOffers(transaction, [{ touchId, offer }]);
  if ((await storeText(transaction, touchId, message)) !== approval.fingerprint) return refuse("text_changed");
  await execute(transaction)`
    update touch
       set status = 'claimed', next_attempt_at = ${at}, recheck_at = ${at}, decided_at = ${at}, decided_by = ${by}
     where id = ${touchId}::uuid`;
  await advanceInstances(transaction, [candidate], at);
  return { outcome: "approved" };
}

/** The text of a waiting touch as rendered now, with its fingerprint. Writes nothing and takes no lock. */
export async function currentText(
  db: Queryable,
  touch: Pick<Approval, "workspaceId" | "touchId" | "at">,
): Promise<ShownText | { readonly refused: string }> {
  const waiting = await readWaiting(db, touch, empty);
  if ("refused" in waiting) return waiting;
  const text = textOf(waiting, touch);
  if ("fault" in text) return { refused: text.fault };
  const { subject, body } = text.message;
  const { fingerprint } = await one(db, z.object({ fingerprint: z.string() }))`
    select message_fingerprint(${subject}::text, ${body}::text) as fingerprint`;
  return { message: text.message, fingerprint };
}

interface ShownText {
  readonly message: Message;
  readonly fingerprint: string;
}

/** Rejects a waiting touch: it is never sent, and its instance continues. Runs in the caller's transaction. */
export async function rejectTouch(transaction: Queryable, rejection: Rejection): Promise<ApprovalAnswer> {
  const { touchId, reason, at, by } = rejection;
  const locked = await lockWaiting(transaction, rejection);
  if ("refused" in locked) return refuse(locked.refused);
  await execute(transaction)`
    update touch
       set status = 'rejected', reason = ${reason}, recheck_at = null, decided_at = ${at}, decided_by = ${by}
     where id = ${touchId}::uuid`;
  await advanceInstances(transaction, [locked.candidate], at);
  return { outcome: "rejected" };
}

const refuse = (reason: string): ApprovalAnswer => ({ outcome: "refused", reason });

/** A touch that waits for approval. */
interface WaitingRow {
  readonly candidate: DueCandidate;
  readonly stepId: string;
  readonly channel: string;
  /** Why it may no longer be sent; null if it may. */
  readonly stop: string | null;
  readonly tooOld: boolean;
}

const lockedRow = z.object({
  touchStatus: z.string(),
  decided: z.boolean(),
  instanceWaits: z.boolean(),
  stepId: z.guid(),
  channel: z.string(),
  stop: z.string().nullable(),
  tooOld: z.boolean(),
});

/** Whether the instance waits for this touch. */
const INSTANCE_WAITS = sql`
  coalesce(instance.paused_reason = 'awaiting_approval', false) and instance.generation = touch.generation`;

/** Locks the lead first, then instance and touch: the lock order of every transaction that waits for several rows. */
async function lockWaiting(
  db: Queryable,
  touch: Pick<Approval, "workspaceId" | "touchId" | "at">,
): Promise<WaitingRow | { readonly refused: string }> {
  const { workspaceId, touchId } = touch;
  await execute(db)`
    select from lead
     where workspace_id = ${workspaceId}::uuid
       and id = (select lead_id from touch where workspace_id = ${workspaceId}::uuid and id = ${touchId}::uuid)
       for no key update`;
  return await readWaiting(db, touch, sql`for no key update of instance, touch`);
}

async function readWaiting(
  db: Queryable,
  { workspaceId, touchId, at }: Pick<Approval, "workspaceId" | "touchId" | "at">,
  lock: Sql,
): Promise<WaitingRow | { readonly refused: string }> {
  const rows = await many(db, z.unknown())`
    select ${candidateColumns(at)}, touch.status::text as "touchStatus", touch.decided_at is not null as decided,
           ${INSTANCE_WAITS} as "instanceWaits",
           touch.step_id as "stepId", touch.channel::text, ${CANCEL_REASON} as stop, coalesce(touch.expires_at <= ${at}, false) as "tooOld"
      from touch
      join follow_up_instance as instance on instance.id = touch.instance_id
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
     where touch.workspace_id = ${workspaceId}::uuid and touch.id = ${touchId}::uuid
       ${lock}`;
  const [dueRow] = parseDueRows(rows);
  if (!dueRow) return { refused: "not_found" };
  const { decided, touchStatus, instanceWaits, ...touch } = lockedRow.parse(dueRow.row);
  if (decided) return { refused: "already_decided" };
  if (touchStatus !== "awaiting_approval") return { refused: ENDED[touchStatus] ?? "not_waiting" };
  if (!instanceWaits) return { refused: touch.stop ?? "instance_not_waiting" };
  const [candidate] = await readCandidates(db, [dueRow], at);
  if (!candidate) return { refused: "not_found" };
  return { candidate, ...touch };
}

const ENDED: Readonly<Record<string, string>> = { cancelled: "cancelled", expired: "expired" };

/** Why the text of a touch that waits cannot be written now. The touch can still be rejected. */
export const TEXT_FAULTS = [
  "unreadable_row",
  "step_changed",
  "missing_data",
  "invalid_template",
  "no_free_slots",
  "availability_outdated",
] as const;

/** The text as rendered now, with the times that it offers, or why it cannot be rendered. */
function textOf(
  { candidate, stepId, channel }: WaitingRow,
  { touchId, at }: Pick<Approval, "touchId" | "at">,
): { readonly message: Message; readonly offer?: Offer } | { readonly fault: (typeof TEXT_FAULTS)[number] } {
  if ("fault" in candidate.read) return { fault: "unreadable_row" };
  const { lead, workspace, sequence, slots } = candidate.read.item;
  const step = sequence.steps.find(({ id }) => id === stepId);
  if (!step || step.channel !== channel) return { fault: "step_changed" };
  const rendered = render(step, lead, workspace);
  if (rendered.kind !== "rendered") return { fault: rendered.kind === "missing" ? "missing_data" : "invalid_template" };
  const offer = offerIn(rendered.message, { lead, workspace, ...(slots && { slots }) }, at, touchId);
  if (typeof offer === "string") return { fault: offer };
  return offer ? { message: withOffer(rendered.message, offer.text), offer } : { message: rendered.message };
}

/** Stores the current text on the touch and returns its fingerprint. */
async function storeText(db: Queryable, touchId: string, { subject, body }: Message): Promise<string> {
  const { fingerprint } = await one(db, z.object({ fingerprint: z.string() }))`
    update touch
       set subject = ${subject}, body = ${body}, fingerprint = message_fingerprint(${subject}::text, ${body}::text)
     where id = ${touchId}::uuid
    returning fingerprint`;
  return fingerprint;
}

const expiredRow = z.object({ touchId: z.guid(), instanceWaits: z.boolean() });

/**
 * Expires waiting touches whose time to live has ended, oldest first, and moves their instances to the next step.
 * Returns how many it expired. Skips touches that a person is deciding on.
 */
export function expireApprovals(db: Transactional, { now, limit, workspaceId }: BatchQuery): Promise<number> {
  return db.transaction(async (transaction) => {
    const rows = parseDueRows(
      await many(transaction, z.unknown())`
        select ${candidateColumns(now)}, touch.id as "touchId",
               ${INSTANCE_WAITS} as "instanceWaits"
          from touch
          join follow_up_instance as instance on instance.id = touch.instance_id
          join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
         where touch.status = 'awaiting_approval' and touch.recheck_at <= ${now}
           and (${workspaceId}::uuid is null or touch.workspace_id = ${workspaceId}::uuid)
         order by touch.recheck_at, touch.id
         limit ${limit}
           for no key update of instance, touch skip locked`,
    );
    if (rows.length === 0) return 0;
    const touchIds = rows.map(({ row }) => expiredRow.parse(row).touchId);
    await execute(transaction)`
      update touch set status = 'expired', reason = 'nobody_decided', recheck_at = null
       where id = any(${touchIds}::uuid[])`;
    const waiting = rows.filter(({ row }) => expiredRow.parse(row).instanceWaits);
    await advanceInstances(transaction, await readCandidates(transaction, waiting, now), now);
    return rows.length;
  });
}
