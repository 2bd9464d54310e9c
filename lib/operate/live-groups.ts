import { type LiveInstance, readLivePage } from "../store/live-instances.ts";
import type { Queryable } from "../store/sql.ts";

const LEADS_PER_GROUP = 2_000;

/**
 * The live instances of a workspace in groups whose futures do not depend on each other, so that memory holds one
 * group. Instances depend on each other by their lead and by an address that leads share. In a workspace with a daily
 * cap, all instances are one group.
 */
export async function* liveGroups(
  db: Queryable,
  workspaceId: string,
  now: Date,
): AsyncGenerator<readonly LiveInstance[]> {
  const together: LiveInstance[] = [];
  let after: string | null = null;
  do {
    const page = await readLivePage(db, { workspaceId, after, leads: LEADS_PER_GROUP }, now);
    const apart = page.instances.filter((instance) => !dependsOnOtherLeads(instance));
    for (const instance of page.instances) if (dependsOnOtherLeads(instance)) together.push(instance);
    if (apart.length > 0) yield apart;
    after = page.next;
  } while (after !== null);
  if (together.length > 0) yield together;
}

const dependsOnOtherLeads = ({ candidate: { read } }: LiveInstance): boolean =>
  "item" in read && (read.item.workspace.dailyCap !== null || read.item.lead.twinTouchAt !== null);
