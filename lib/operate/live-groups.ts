import type { DueItem } from "../domain/due-item.ts";
import { type LiveInstance, readLivePage } from "../store/live-instances.ts";
import type { Queryable } from "../store/sql.ts";
import { type LiveInstances, PackedInstances } from "./packed-instances.ts";

const LEADS_PER_GROUP = 2_000;

/**
 * The live instances of a workspace in groups whose futures do not depend on each other, so that memory holds one
 * group. Instances depend on each other by their lead and by an address that leads share. In a workspace with a daily
 * cap, all instances are one group.
 */
export async function* liveGroups(db: Queryable, workspaceId: string, now: Date): AsyncGenerator<LiveInstances> {
  const together = new PackedInstances();
  let after: string | null = null;
  do {
    const page = await readLivePage(db, { workspaceId, after, leads: LEADS_PER_GROUP }, now);
    const apart: LiveInstance[] = [];
    for (const instance of page.instances) {
      const { read } = instance.candidate;
      if ("item" in read && dependsOnOtherLeads(read.item)) together.add(instance, read.item);
      else apart.push(instance);
    }
    if (apart.length > 0) yield apart;
    after = page.next;
  } while (after !== null);
  if (together.length > 0) yield together;
}

const dependsOnOtherLeads = ({ lead, workspace }: DueItem): boolean =>
  workspace.dailyCap !== null || lead.twinTouchAt !== null;
