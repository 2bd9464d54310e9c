import * as z from "zod";
import type { BatchQuery } from "../run/store-ports.ts";
import { advanceInstances } from "./advance-instances.ts";
import { INSTANCE_WAITS } from "./approvals.ts";
import { candidateColumns, readCandidates } from "./candidates.ts";
import { parseDueRows } from "./rows.ts";
import { execute, many, type Transactional } from "./sql.ts";

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
