import type { DueItem, LeadFacts, WorkspaceFacts } from "../domain/due-item.ts";
import { ADDRESS_KINDS, ADDRESS_OF_CHANNEL, type Channel } from "../domain/labels.ts";
import { addressKey } from "../run/plan.ts";

/** The leads on the virtual clock: when each was last reached, also at an address that it shares. */
export class ClockLeads {
  readonly #leads = new Map<string, LeadFacts>();
  /** Leads by the address that they share. */
  readonly #sharing = new Map<string, string[]>();

  add({ lead, workspace }: DueItem): void {
    if (this.#leads.has(lead.id)) return;
    this.#leads.set(lead.id, lead);
    for (const key of sharedKeys(lead, workspace)) {
      const sharing = this.#sharing.get(key);
      if (sharing) sharing.push(lead.id);
      else this.#sharing.set(key, [lead.id]);
    }
  }

  /** The lead of an item, as it is now. */
  of({ lead }: DueItem): LeadFacts {
    return this.#leads.get(lead.id) ?? lead;
  }

  /** Stamps the lead, and those who share the address. */
  reach(item: DueItem, channel: Channel, now: Date): void {
    const lead = this.of(item);
    this.#leads.set(lead.id, {
      ...lead,
      lastOutboundAt: now,
      lastTouchAt: { ...lead.lastTouchAt, [channel]: now },
    });
    const kind = ADDRESS_OF_CHANNEL[channel];
    if (!kind || !lead.twinTouchAt) return;
    for (const id of this.#sharing.get(addressKey(lead, item.workspace, kind) ?? "") ?? []) {
      const twin = this.#leads.get(id);
      if (twin && id !== lead.id && twin.twinTouchAt) {
        this.#leads.set(id, { ...twin, twinTouchAt: { ...twin.twinTouchAt, [kind]: now } });
      }
    }
  }
}

const sharedKeys = (lead: LeadFacts, workspace: WorkspaceFacts): readonly string[] =>
  lead.twinTouchAt ? ADDRESS_KINDS.flatMap((kind) => addressKey(lead, workspace, kind) ?? []) : [];
