import type { DeliveryQueue } from "./channel-ports.ts";
import { type ClaimedTouches, type DeliveryContext, deliver } from "./deliver.ts";
import type { DeliveryReport } from "./report.ts";

export interface DispatchContext extends DeliveryContext {
  /** The queue whose consumers send the touches; null: this invocation sends them itself. */
  readonly queue: DeliveryQueue | null;
}

/**
 * Enqueues claimed touches if there is a delivery queue; otherwise sends them here. Throws if the queue did not accept
 * all of them; the rest stay claimed for the next run.
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
