import * as z from "zod";
import type { Fact } from "../inbound/facts.ts";
import { applyEvent } from "../run/apply-messages.ts";
import { applyFact } from "../store/facts/apply-fact.ts";
import { inboundOwners } from "../store/facts/inbound-owners.ts";
import { leadsNamedBy } from "../store/facts/leads.ts";
import { missingSchema } from "../store/schema-gate.ts";
import type { Queryable } from "../store/sql.ts";
import { order, Refused } from "./operation.ts";

/** A `FactOutcome`, or the reason of an event that concerns no lead. */
const outcome = z.object({
  outcome: z.enum(["applied", "stale", "duplicate", "ignored"]),
  ended: z.int().optional(),
  cancelledTouches: z.int().optional(),
  started: z.int().optional(),
  created: z.int().optional(),
  verdicts: z.array(z.string()).optional(),
  warnings: z.array(z.string()).optional(),
  reason: z.string().optional(),
});

/** `intake`: applies an event as the intake does, once per event id. Refused as a whole. */
export const takeInEvent = order({
  name: "intake",
  summary: "Applies an event, such as a reply or a cancelled meeting, as the function intake does.",
  /** A message as in the queue of the intake: most often an event of EventBridge. */
  input: z.record(z.string(), z.unknown()),
  answer: z.object({ outcomes: z.array(outcome) }),
  async run(db, event) {
    const facts: Fact[] = [];
    const found = await applyEvent(JSON.stringify(event), {
      missingSchema: () => missingSchema(db),
      owners: inboundOwners(db),
      apply(fact) {
        facts.push(fact);
        return applyFact(db, fact);
      },
    });
    const outcomes = found.map((one) => {
      if (one.outcome === "refused") throw new Refused("event_refused", one.reason);
      return outcome.parse(one);
    });
    return { ...(await subjectOf(db, facts)), answer: { outcomes } };
  },
});

/** The workspace of the facts, and the lead whose story shows the order, if there is only one. */
async function subjectOf(
  db: Queryable,
  facts: readonly Fact[],
): Promise<{ readonly workspaceId: string | null; readonly leadId?: string }> {
  const [fact, ...others] = facts;
  if (!fact || others.some(({ workspaceId }) => workspaceId !== fact.workspaceId)) return { workspaceId: null };
  const { workspaceId } = fact;
  const [lead, ...leads] = "lead" in fact ? await leadsNamedBy(db, { workspaceId, lead: fact.lead }) : [];
  return { workspaceId, ...(lead && leads.length + others.length === 0 && { leadId: lead.id }) };
}
