import type { DueItem, LeadFacts } from "../domain/due-item.ts";
import { ADDRESS_KINDS, ADDRESS_OF_CHANNEL, type AddressKind, type Channel } from "../domain/labels.ts";
import { addressKey } from "../run/plan.ts";

/** The facts of a lead that change on the clock. */
type Reached = Pick<LeadFacts, "lastOutboundAt" | "lastTouchAt" | "twinTouchAt">;

/** The leads on the virtual clock: when each was last reached, also at an address that it shares. */
export class ClockLeads {
  /** Only of leads that are reached on the virtual clock. */
  readonly #reached = new Map<string, Reached>();
  /** Leads by the address that they share. */
  readonly #sharing = new Map<string, LeadFacts[]>();
  readonly #known = new Set<string>();

  add({ lead, workspace }: DueItem): void {
    if (!lead.twinTouchAt || this.#known.has(lead.id)) return;
    this.#known.add(lead.id);
    for (const key of ADDRESS_KINDS.flatMap((kind) => addressKey(lead, workspace, kind) ?? [])) {
      const sharing = this.#sharing.get(key);
      if (sharing) sharing.push(lead);
      else this.#sharing.set(key, [lead]);
    }
  }

  /** The lead of an item, as it is now. */
  of({ lead }: DueItem): LeadFacts {
    const reached = this.#reached.get(lead.id);
    return reached ? { ...lead, ...reached } : lead;
  }

  /** Stamps the lead, and those who share the address. */
  reach({ lead, workspace }: DueItem, channel: Channel, now: Date): void {
    const before = this.#reached.get(lead.id) ?? lead;
    const { twinTouchAt } = before;
    this.#reached.set(lead.id, {
      lastOutboundAt: now,
      lastTouchAt: { ...before.lastTouchAt, [channel]: now },
      twinTouchAt,
    });
    const kind = ADDRESS_OF_CHANNEL[channel];
    if (!kind || !twinTouchAt) return;
    for (const twin of this.#sharing.get(addressKey(lead, workspace, kind) ?? "") ?? []) {
      if (twin.id !== lead.id) this.#reachTwin(twin, kind, now);
    }
  }

  #reachTwin(twin: LeadFacts, kind: AddressKind, now: Date): void {
    const { lastOutboundAt, lastTouchAt, twinTouchAt } = this.#reached.get(twin.id) ?? twin;
    if (!twinTouchAt) return;
    this.#reached.set(twin.id, { lastOutboundAt, lastTouchAt, twinTouchAt: { ...twinTouchAt, [kind]: now } });
  }
}
