import type { DueItem, LeadFacts, Sequence } from "../domain/due-item.ts";
import { ADDRESS_KINDS, CHANNELS } from "../domain/labels.ts";
import { TEMPLATE_KEYS, type TemplateKey } from "../domain/lead-columns.ts";
import { NEVER, NO_TEXTS } from "../store/columns.ts";
import type { LiveInstance } from "../store/live-instances.ts";
import { Texts } from "./columns.ts";

/** Live instances that are read one by one. All instances of a lead follow each other. An array is one. */
export interface LiveInstances {
  readonly length: number;
  at(index: number): LiveInstance | undefined;
}

/** The instances as `change` makes them, each time they are read. */
export const changed = (live: LiveInstances, change: (instance: LiveInstance) => LiveInstance): LiveInstances => ({
  length: live.length,
  at(index) {
    const instance = live.at(index);
    return instance && change(instance);
  },
});

/** Live instances as text, which takes a tenth of the memory. Leaves out free times, which a forecast assumes. */
export class PackedInstances implements LiveInstances {
  readonly #texts = new Texts();
  /** Sequences with their workspace. Pages of instances have the same ones in objects of their own. */
  readonly #followed: Pick<DueItem, "sequence" | "workspace">[] = [];
  readonly #numberOf = new WeakMap<Sequence, number>();
  readonly #numberOfText = new Map<string, number>();

  get length(): number {
    return this.#texts.length;
  }

  /** `item` is that of the instance. */
  add(instance: LiveInstance, item: DueItem): void {
    this.#texts.push(JSON.stringify([this.#numberFor(item), packed(instance, item)]));
  }

  at(index: number): LiveInstance | undefined {
    const text = this.#texts.at(index);
    if (text === undefined) return undefined;
    const [number, values]: [number, Packed] = JSON.parse(text);
    const followed = this.#followed[number];
    return followed && unpacked(values, followed);
  }

  #numberFor({ sequence, workspace }: DueItem): number {
    const known = this.#numberOf.get(sequence);
    if (known !== undefined) return known;
    const text = JSON.stringify([sequence, workspace]);
    const number = this.#numberOfText.get(text) ?? this.#followed.push({ sequence, workspace }) - 1;
    this.#numberOfText.set(text, number);
    this.#numberOf.set(sequence, number);
    return number;
  }
}

type Packed = ReturnType<typeof packed>;

const packed = ({ candidate, ...state }: LiveInstance, { instance, lead }: DueItem) =>
  [
    candidate.instanceId,
    instance.generation,
    candidate.position,
    candidate.nextStepDue.getTime(),
    timeOf(candidate.heldSince),
    state.status,
    state.pausedReason,
    state.holdReason,
    state.rechecks,
    timeOf(state.approvalExpiresAt),
    packedLead(lead),
  ] as const;

function unpacked(values: Packed, { sequence, workspace }: Pick<DueItem, "sequence" | "workspace">): LiveInstance {
  const [id, generation, position, dueTime, heldTime, status, pausedReason, holdReason, rechecks, expires, lead] =
    values;
  const nextStepDue = new Date(dueTime);
  const heldSince = instantOf(heldTime);
  const instance = { id, generation, position, nextStepDue, heldSince };
  const read = { item: { instance, lead: unpackedLead(lead), sequence, workspace } };
  const candidate = { instanceId: id, workspaceId: workspace.id, position, nextStepDue, heldSince, read };
  return { candidate, status, pausedReason, holdReason, rechecks, approvalExpiresAt: instantOf(expires) };
}

const timeOf = (instant: Date | null): number | null => instant?.getTime() ?? null;
const instantOf = (time: number | null | undefined): Date | null => (time == null ? null : new Date(time));

const packedLead = (lead: LeadFacts) =>
  [
    lead.id,
    TEMPLATE_KEYS.map((key) => lead[key]),
    lead.fields,
    lead.timeZone,
    lead.status,
    lead.isBooked,
    lead.automationEnabled,
    lead.suppressed,
    lead.undeliverable.email,
    lead.undeliverable.phone,
    lead.enrichmentStatus,
    timeOf(lead.linkedinConnectedAt),
    timeOf(lead.optedOutAt),
    timeOf(lead.snoozedUntil),
    timeOf(lead.lastInboundAt),
    timeOf(lead.lastOutboundAt),
    timeOf(lead.lastContactedAt),
    CHANNELS.map((channel) => timeOf(lead.lastTouchAt[channel])),
    lead.twinTouchAt && ADDRESS_KINDS.map((kind) => timeOf(lead.twinTouchAt?.[kind] ?? null)),
  ] as const;

function unpackedLead(values: ReturnType<typeof packedLead>): LeadFacts {
  const [id, texts, fields, timeZone, status, isBooked, automationEnabled, suppressed, email, phone, ...rest] = values;
  const [enrichmentStatus, connected, optedOut, snoozed, inbound, outbound, contacted, touched, twin] = rest;
  return {
    id,
    ...textsOf(texts),
    fields,
    timeZone,
    status,
    isBooked,
    automationEnabled,
    suppressed,
    undeliverable: { email, phone },
    enrichmentStatus,
    linkedinConnectedAt: instantOf(connected),
    optedOutAt: instantOf(optedOut),
    snoozedUntil: instantOf(snoozed),
    lastInboundAt: instantOf(inbound),
    lastOutboundAt: instantOf(outbound),
    lastContactedAt: instantOf(contacted),
    lastTouchAt: lastTouchOf(touched),
    twinTouchAt: twin && { email: instantOf(twin[0]), phone: instantOf(twin[1]) },
  };
}

function textsOf(texts: readonly (string | null)[]): Record<TemplateKey, string | null> {
  const named: Record<TemplateKey, string | null> = { ...NO_TEXTS };
  for (const [index, key] of TEMPLATE_KEYS.entries()) named[key] = texts[index] ?? null;
  return named;
}

function lastTouchOf(times: readonly (number | null)[]): LeadFacts["lastTouchAt"] {
  const lastTouchAt = { ...NEVER };
  for (const [index, channel] of CHANNELS.entries()) lastTouchAt[channel] = instantOf(times[index]);
  return lastTouchAt;
}
