import * as z from "zod";
import { listedOrder, readOrders } from "../store/orders.ts";
import { isoInstant, question } from "./operation.ts";
import { MAX_LISTED, pageOf } from "./page.ts";
import { workspaceIdOf, workspaceName } from "./workspaces.ts";

/** `orders list`: the newest first. `next` continues with older ones. */
export const listOrders = question({
  name: "orders list",
  summary: "Lists the orders that were carried out: who gave them, when and why.",
  input: z.strictObject({
    /** The name of an order, such as `leads stop`. */
    order: z.string().min(1).optional(),
    workspace: workspaceName.optional(),
    /** The `next` of the answer before. */
    after: z.guid().optional(),
    limit: z.int().min(1).max(MAX_LISTED).default(20),
  }),
  answer: z.object({ orders: z.array(listedOrder.extend({ at: isoInstant })), next: z.guid().nullable() }),
  async run(db, { order: name, workspace, after, limit }) {
    const workspaceId = await workspaceIdOf(db, workspace);
    const found = await readOrders(db, { name: name ?? null, workspaceId, before: after ?? null, limit: limit + 1 });
    const { rows: orders, next } = pageOf(found, limit);
    return { orders, next };
  },
});
