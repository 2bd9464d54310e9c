import { type ClaimedTouches, type DeliveryContext, deliver } from "./deliver.ts";
import type { DeliveryQueue } from "./delivery-ports.ts";
import type { DeliveryReport } from "./report.ts";

export interface DispatchContext extends DeliveryContext {
  /** Where touches go to be sent by other invocations; null: this one sends them itself. */
  readonly queue: DeliveryQueue | null;
}

/**
 * Sees to it that claimed touches are sent: by the queue's consumers where there is a queue, else here. Throws where the
 * queue did not take all; those stay claimed for the next run.
 */
export async function dispatch(
  context: DispatchContext,
  claimed: ClaimedTouches,
  report: DeliveryReport,
): Promise<void> {
  if (!context.queue) return deliver(context, claimed, report);
  const { touchIds } = claimed;
  report.retrying += touchIds.length;
  const { refused, faults } = await context.queue.enqueue(touchIds);
  const taken = touchIds.length - refused.length;
  report.retrying -= taken;
  report.queued += taken;
  if (refused.length === 0) return;
  await context.store.release(refused, context.now);
  const why = [...new Set(faults)].join(", ");
  throw new Error(
    `the delivery queue did not take ${refused.length} of ${touchIds.length} touches (${why}); the next run tries again`,
  );
}
