import type { Fact } from "../inbound/facts.ts";
import type { FactOutcome } from "../run/apply-messages.ts";
import { applyFact } from "../store/facts/apply-fact.ts";
import type { Transactional } from "../store/sql.ts";
import { type Placed, Refused } from "./operation.ts";

/** The origin of a fact that an order reports. */
export const reportedBy = ({ orderId, at }: Placed) => ({ eventId: `order:${orderId}`, occurredAt: at, warnings: [] });

/** Applies a fact in the transaction of the order, so that both have the same effects. Throws Refused. */
export async function reportFact(
  db: Transactional,
  fact: Fact,
): Promise<Extract<FactOutcome, { readonly outcome: "applied" }>> {
  const outcome = await applyFact(db, fact);
  if (outcome.outcome === "applied") return outcome;
  if (outcome.outcome === "refused") throw new Refused("refused", outcome.reason);
  throw new Refused("changed", "a later change of the lead is already known: look at the lead, and try again");
}
