import * as z from "zod";
import { countedFrom, excessText } from "../domain/guardrail.ts";
import type { BatchQuery } from "../run/claim-ports.ts";
import type { ExceededLimit, GuardrailOutcome, GuardrailQuery } from "../run/store-ports.ts";
import { insertDigestEvents } from "./digests.ts";
import { empty, execute, many, one, type Queryable, sql, type Transactional } from "./sql.ts";

/** Workspaces that a trigger flagged, the longest first. The table is empty unless mails bounced since the last run. */
export async function findFlagged(db: Queryable, { workspaceId }: Omit<BatchQuery, "limit">): Promise<string[]> {
  const rows = await many(db, z.object({ id: z.guid() }))`
    select workspace_id as id from guardrail_check
     where ${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid
     order by flagged_at, workspace_id`;
  return rows.map(({ id }) => id);
}

/** Counts, pauses, queues the event and clears the flag, in one transaction. See `GuardrailStore`. */
export const checkGuardrail = (
  db: Transactional,
  { workspaceId, now }: GuardrailQuery,
  exceeded: ExceededLimit,
): Promise<GuardrailOutcome | undefined> =>
  db.transaction(async (transaction) => {
    // Waits for nothing: a bounce that is not committed holds the flag, and a person's order the workspace.
    const locking = sql`for no key update of workspace skip locked for update of guardrail_check skip locked`;
    const outcome = await judge(transaction, { workspaceId, now }, exceeded, locking);
    if (!outcome) return undefined;
    if (outcome.excess) await pause(transaction, { workspaceId, now }, outcome.excess);
    await execute(transaction)`delete from guardrail_check where workspace_id = ${workspaceId}::uuid`;
    return outcome;
  });

/** The outcome of `checkGuardrail`, without its writes. */
export const rehearseGuardrail = (db: Queryable, query: GuardrailQuery, exceeded: ExceededLimit) =>
  judge(db, query, exceeded, empty);

/** The limits of a workspace. */
export const guardrailLimits = z.object({
  bouncedPercent: z.number(),
  bouncedAtLeast: z.int(),
  complainedPercent: z.number(),
  complainedAtLeast: z.int(),
});

/** The columns of `workspace` for `guardrailLimits`. */
export const GUARDRAIL_LIMITS = sql`
  json_build_object('bouncedPercent', guardrail_bounced_percent, 'bouncedAtLeast', guardrail_bounced_at_least,
                    'complainedPercent', guardrail_complained_percent,
                    'complainedAtLeast', guardrail_complained_at_least)`;

const flaggedRow = z.object({ isPaused: z.boolean(), limits: guardrailLimits });

const countsRow = z.object({ sent: z.int(), bounced: z.int(), complained: z.int() });

/** When a mail went out, as in the index `touch_mail_went_out`. A bounce may arrive before the settlement. */
const WENT_OUT_AT = sql`coalesce(sent_at, bounced_at, complained_at)`;

/** Locks first and counts in a second statement, so that the count sees every bounce that had set the flag. */
async function judge(
  db: Queryable,
  { workspaceId, now }: GuardrailQuery,
  exceeded: ExceededLimit,
  locking: typeof empty,
): Promise<GuardrailOutcome | undefined> {
  const [flagged] = await many(db, flaggedRow)`
    select paused_at is not null as "isPaused", ${GUARDRAIL_LIMITS} as limits
      from guardrail_check join workspace on workspace.id = guardrail_check.workspace_id
     where workspace.id = ${workspaceId}::uuid
     ${locking}`;
  if (!flagged) return undefined;
  const { isPaused, limits } = flagged;
  if (isPaused) return { excess: null };
  const mails = await one(db, countsRow)`
    select count(*)::int as sent, count(bounced_at)::int as bounced, count(complained_at)::int as complained
      from touch
     where workspace_id = ${workspaceId}::uuid and channel = 'email' and ${WENT_OUT_AT} is not null
       and ${WENT_OUT_AT} >= greatest(${countedFrom(now)}::timestamptz,
                                   (select guardrail_since from workspace where id = ${workspaceId}::uuid))`;
  const reason = exceeded(mails, limits);
  return { excess: reason && { reason, text: excessText(reason, mails, limits) } };
}

type Excess = NonNullable<GuardrailOutcome["excess"]>;

async function pause(db: Queryable, { workspaceId, now }: GuardrailQuery, { reason, text }: Excess): Promise<void> {
  await execute(db)`
    update workspace set paused_at = ${now}, paused_reason = ${reason}::guardrail_reason where id = ${workspaceId}::uuid`;
  const event = { workspaceId: sql`${workspaceId}::uuid`, kind: "guardrail_paused", column: "detail", now } as const;
  await execute(db)`${insertDigestEvents({ ...event, value: sql`${text}` })}`;
}
