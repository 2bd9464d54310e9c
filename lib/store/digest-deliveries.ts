import * as z from "zod";
import { DIGEST_CHANNELS, DIGEST_DELIVERY_STATUSES } from "../domain/labels.ts";
import { instant } from "./rows.ts";
import { many, type Queryable } from "./sql.ts";

export const lostDigestRow = z.object({
  id: z.guid(),
  workspaceId: z.guid(),
  workspace: z.string(),
  channel: z.enum(DIGEST_CHANNELS),
  status: z.enum(DIGEST_DELIVERY_STATUSES),
  /** Explains the status. */
  reason: z.string().nullable(),
  /** The time that the digest reports on. */
  windowStart: instant,
  windowEnd: instant,
});

/** Deliveries that failed or may not have arrived, the newest digest first. */
export async function readLostDigests(
  db: Queryable,
  { workspaceId, limit }: { readonly workspaceId: string | null; readonly limit: number },
): Promise<z.infer<typeof lostDigestRow>[]> {
  return await many(db, lostDigestRow)`
    select delivery.id, delivery.workspace_id as "workspaceId", workspace.name as workspace, delivery.channel::text,
           delivery.status::text, delivery.reason, digest.window_start as "windowStart", digest.window_end as "windowEnd"
      from digest_delivery as delivery
      join notification_digest as digest
        on digest.workspace_id = delivery.workspace_id and digest.id = delivery.digest_id
      join workspace on workspace.id = delivery.workspace_id
     where delivery.status in ('failed', 'unknown')
       and (${workspaceId}::uuid is null or delivery.workspace_id = ${workspaceId}::uuid)
     order by digest.window_end desc, delivery.id
     limit ${limit}`;
}

const resentRow = z.object({
  workspaceId: z.guid(),
  status: z.enum(DIGEST_DELIVERY_STATUSES),
  resent: z.boolean(),
});

/**
 * Lets the next run send a digest that failed, or may not have arrived, again. Returns its status before that; undefined
 * if there is none with this id.
 */
export async function resendDigest(
  db: Queryable,
  { id, at }: { readonly id: string; readonly at: Date },
): Promise<z.infer<typeof resentRow> | undefined> {
  const [digest] = await many(db, resentRow)`
    with found as materialized (
      select id, workspace_id, status from digest_delivery where id = ${id}::uuid for no key update),
    resent as (
      update digest_delivery set status = 'pending', reason = null, recheck_at = ${at}::timestamptz, failures = 0
        from found
       where digest_delivery.id = found.id and found.status in ('failed', 'unknown'))
    select workspace_id as "workspaceId", status::text, status in ('failed', 'unknown') as resent from found`;
  return digest;
}
