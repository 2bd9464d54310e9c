import type { DueItem, LeadFacts } from "../domain/due-item.ts";
import {
  ADDRESS_KINDS,
  ADDRESS_OF_CHANNEL,
  type AddressKind,
  CHANNELS,
  type Channel,
  perChannel,
} from "../domain/labels.ts";
import type { NewTouch } from "../run/claim-ports.ts";
import { addressKey } from "../run/plan.ts";
import { Instants } from "./columns.ts";

/** The leads on the virtual clock: when each was last reached, also at an address that it shares. */
export class ClockLeads {
  /** The number of each instance's lead. */
  readonly #leadOf: Uint32Array;
  /** On the virtual clock only, by the lead's number. */
  readonly #touchedAt: Instants;
  readonly #outboundAt: Instants;
  readonly #touchAt: Readonly<Record<Channel, Instants>>;
  readonly #twinAt: Readonly<Record<AddressKind, Instants>>;
  /** The numbers of leads by the address that they share. */
  readonly #sharing = new Map<string, number[]>();
  #last = { id: "", number: -1 };

  constructor(instances: number) {
    this.#leadOf = new Uint32Array(instances);
    this.#touchedAt = new Instants(instances);
    this.#outboundAt = new Instants(instances);
    this.#touchAt = perChannel(() => new Instants(instances));
    this.#twinAt = { email: new Instants(instances), phone: new Instants(instances) };
  }

  /** In order: all instances of a lead follow each other. */
  add(index: number, { lead, workspace }: DueItem): void {
    const { id, number } = this.#last;
    this.#leadOf[index] = id === lead.id ? number : number + 1;
    if (id === lead.id) return;
    this.#last = { id: lead.id, number: number + 1 };
    if (!lead.twinTouchAt) return;
    for (const key of ADDRESS_KINDS.flatMap((kind) => addressKey(lead, workspace, kind) ?? [])) {
      const sharing = this.#sharing.get(key);
      if (sharing) sharing.push(number + 1);
      else this.#sharing.set(key, [number + 1]);
    }
  }

  /** The lead of an instance, as it is now. */
  of(index: number, lead: LeadFacts): LeadFacts {
    const number = this.#numberOf(index);
    if (Number.isNaN(this.#touchedAt.timeAt(number))) return lead;
    const { twinTouchAt } = lead;
    const lastTouchAt = { ...lead.lastTouchAt };
    for (const channel of CHANNELS) lastTouchAt[channel] = this.#touchAt[channel].at(number) ?? lastTouchAt[channel];
    return {
      ...lead,
      lastOutboundAt: this.#outboundAt.at(number) ?? lead.lastOutboundAt,
      lastTouchAt,
      twinTouchAt: twinTouchAt && {
        email: this.#twinAt.email.at(number) ?? twinTouchAt.email,
        phone: this.#twinAt.phone.at(number) ?? twinTouchAt.phone,
      },
    };
  }

  /** Stamps the lead, and those who share the address, for a touch. One that waits for approval does not reach them. */
  touch(index: number, { lead, workspace }: DueItem, { channel, status }: NewTouch, now: Date): void {
    const number = this.#numberOf(index);
    const kind = ADDRESS_OF_CHANNEL[channel];
    const twins = lead.twinTouchAt && kind ? this.#sharing.get(addressKey(lead, workspace, kind) ?? "") : undefined;
    for (const each of twins ?? [number]) this.#touchedAt.set(each, now);
    if (status !== "claimed") return;
    this.#outboundAt.set(number, now);
    this.#touchAt[channel].set(number, now);
    for (const twin of twins ?? []) if (kind && twin !== number) this.#twinAt[kind].set(twin, now);
  }

  /** When a touch was last planned for the lead or its address, in milliseconds; NaN if none was. */
  touchedAt(index: number): number {
    return this.#touchedAt.timeAt(this.#numberOf(index));
  }

  #numberOf(index: number): number {
    return this.#leadOf[index] ?? 0;
  }
}
