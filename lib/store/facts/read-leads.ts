import type { EnrolmentVerdict } from "../../domain/enrolment.ts";
import { type LeadToEnrol, leadToEnrol } from "../../run/intake/facts.ts";
import { faultsOf } from "../../run/intake/faults.ts";

export type ReadLead = LeadToEnrol | { readonly invalid: Extract<EnrolmentVerdict, `invalid: ${string}`> };

/** Of two that are the same lead the first counts. */
export function readLeads(leads: readonly unknown[]): readonly ReadLead[] {
  const places = new Map<string, number>();
  return leads.map((lead, index) => {
    const parsed = leadToEnrol.safeParse(lead);
    if (!parsed.success) return { invalid: `invalid: ${faultsOf(parsed.error).join("; ")}` as const };
    const keys = keysOf(parsed.data);
    const before = keys.map((key) => places.get(key)).find((place) => place !== undefined);
    if (before !== undefined) return { invalid: `invalid: the same lead as that at ${before}` as const };
    for (const key of keys) places.set(key, index);
    return parsed.data;
  });
}

/** By what a lead is known again. */
const keysOf = ({ externalId, email }: LeadToEnrol): readonly string[] => [
  ...(externalId === undefined ? [] : [`externalId ${externalId}`]),
  ...(email === undefined ? [] : [`email ${email.toLowerCase()}`]),
];
