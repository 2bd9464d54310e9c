import * as z from "zod";
import { storedInstant } from "./rows.ts";
import { execute, many, type Queryable } from "./sql.ts";

interface NewOrder {
  readonly orderId: string;
  readonly name: string;
  /** SHA-256 of the input. */
  readonly inputHash: Uint8Array;
  readonly by: string;
  readonly reason: string;
  readonly requestId: string | null;
  readonly at: Date;
}

const earlierRow = z.object({ isSame: z.boolean(), answer: z.unknown() });

/**
 * The earlier order with this id, "another" if it is not the same order; undefined if the order is new, which inserts
 * its record. Waits for a transaction that is carrying out the same order.
 */
export async function findOrder(
  db: Queryable,
  order: NewOrder,
): Promise<{ readonly answer: unknown } | "another" | undefined> {
  const { orderId, name, inputHash, by, reason, requestId, at } = order;
  const inserted = await execute(db)`
    insert into placed_order (id, name, input_hash, placed_by, reason, request_id, placed_at, answer)
    values (${orderId}::uuid, ${name}, ${inputHash}, ${by}, ${reason}, ${requestId}, ${at}, 'null')
        on conflict (id) do nothing`;
  if (inserted === 1) return undefined;
  const [earlier] = await many(db, earlierRow)`
    select name = ${name} and input_hash = ${inputHash} as "isSame", answer
      from placed_order where id = ${orderId}::uuid`;
  return earlier?.isSame ? { answer: earlier.answer } : "another";
}

/** Completes the record that `findOrder` inserted. */
export async function recordOrder(
  db: Queryable,
  done: {
    readonly orderId: string;
    readonly workspaceId: string | null;
    readonly leadId: string | null;
    readonly answer: unknown;
  },
): Promise<void> {
  await execute(db)`
    update placed_order
       set workspace_id = ${done.workspaceId}::uuid, lead_id = ${done.leadId}::uuid, answer = ${JSON.stringify(done.answer)}::jsonb
     where id = ${done.orderId}::uuid`;
}

export const listedOrder = z.object({
  id: z.guid(),
  name: z.string(),
  workspaceId: z.guid().nullable(),
  workspace: z.string().nullable(),
  leadId: z.guid().nullable(),
  by: z.string(),
  reason: z.string(),
  requestId: z.string().nullable(),
  at: storedInstant,
});

interface OrderQuery {
  readonly name: string | null;
  readonly workspaceId: string | null;
  /** Only orders that are older than this one. */
  readonly before: string | null;
  readonly limit: number;
}

/** Orders that were carried out, the newest first. */
export async function readOrders(db: Queryable, query: OrderQuery): Promise<z.infer<typeof listedOrder>[]> {
  const { name, workspaceId, before, limit } = query;
  return await many(db, listedOrder)`
    select placed.id, placed.name, placed.workspace_id as "workspaceId", workspace.name as workspace,
           placed.lead_id as "leadId", placed.placed_by as by, placed.reason, placed.request_id as "requestId",
           placed.placed_at as at
      from placed_order as placed left join workspace on workspace.id = placed.workspace_id
     where (${name}::text is null or placed.name = ${name})
       and (${workspaceId}::uuid is null or placed.workspace_id = ${workspaceId}::uuid)
       and (${before}::uuid is null
            or (placed.placed_at, placed.id) < (select placed_at, id from placed_order where id = ${before}::uuid))
     order by placed.placed_at desc, placed.id desc
     limit ${limit}`;
}
