import type { EnrolmentVerdict } from "../../domain/enrolment.ts";
import { type LeadToEnrol, leadToEnrol } from "../../run/intake/facts.ts";
import { faultsOf } from "../../run/intake/faults.ts";

export type ReadLead = LeadToEnrol | { readonly invalid: Extract<EnrolmentVerdict, `invalid: ${string}`> };

/** Parses each lead. The second entry for the same lead is invalid. */
export function readLeads(leads: readonly unknown[]): readonly ReadLead[] {
  const places = new Map<string, number>();
  return leads.map((lead, index) => {
    const parsed = leadToEnrol.safeParse(lead);
    if (!parsed.success) return { invalid: `invalid: ${faultsOf(parsed.error).join("; ")}` as const };
    const { own, others } = keysOf(parsed.data);
    const before = others.map((key) => places.get(key)).find((place) => place !== undefined);
    if (before !== undefined) return { invalid: `invalid: the same lead as that at ${before}` as const };
    for (const key of own) if (!places.has(key)) places.set(key, index);
    return parsed.data;
  });
}

/**
 * `own`: the keys under which later entries find this lead. `others`: the keys under which it finds earlier entries.
 * Two external ids are two leads, even with the same address.
 */
function keysOf({ externalId, email }: LeadToEnrol): Readonly<Record<"own" | "others", readonly string[]>> {
  const address = email === undefined ? [] : [email.toLowerCase()];
  const any = address.map((text) => `email ${text}`);
  const alone = address.map((text) => `email alone ${text}`);
  if (externalId === undefined) return { own: [...any, ...alone], others: any };
  const id = `externalId ${externalId}`;
  return { own: [id, ...any], others: [id, ...alone] };
}
