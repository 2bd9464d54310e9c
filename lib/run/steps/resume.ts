import type { BatchQuery } from "../port-types.ts";
import type { ResumeReport } from "../report.ts";
import type { RunContext } from "../step.ts";

/** Resumes in batches until one is empty. Terminates because every checked row leaves the set. */
export async function resumeInBatches<Counts extends ResumeReport>(
  { now, request, settings, stopping }: RunContext,
  total: Counts,
  resume: (query: BatchQuery) => Promise<Counts>,
): Promise<void> {
  while (!stopping()) {
    const batch = await resume({ now, limit: settings.batchSize, workspaceId: request.workspaceId ?? null });
    for (const key of Object.keys(total) as (keyof Counts & string)[]) {
      Object.assign(total, { [key]: Number(total[key]) + Number(batch[key]) });
    }
    if (batch.checked === 0) return;
  }
}
