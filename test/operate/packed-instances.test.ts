import { expect } from "@jest/globals";
import * as fc from "fast-check";
import { CHANNELS, LEAD_STATUSES } from "../../lib/domain/labels.ts";
import { PackedInstances } from "../../lib/operate/packed-instances.ts";
import type { LiveInstance } from "../../lib/store/live-instances.ts";
import { aLead, anItem } from "../domain/items.ts";
import { long } from "../support/long.ts";

const instant = fc.date({ noInvalidDate: true });
const maybe = fc.option(instant);
const text = fc.option(fc.string({ unit: "binary" }));
const { sequence, workspace } = anItem();

const someLead = fc.record({
  id: fc.uuid(),
  firstName: text,
  company: text,
  senderEmail: text,
  fields: fc.dictionary(fc.string(), fc.string({ unit: "binary" })),
  timeZone: text,
  status: fc.constantFrom(...LEAD_STATUSES),
  isBooked: fc.boolean(),
  automationEnabled: fc.boolean(),
  suppressed: fc.constantFrom(null, "opted_out" as const),
  undeliverable: fc.record({ email: fc.boolean(), phone: fc.boolean() }),
  linkedinConnectedAt: maybe,
  optedOutAt: maybe,
  snoozedUntil: maybe,
  lastInboundAt: maybe,
  lastOutboundAt: maybe,
  lastContactedAt: maybe,
  lastTouchAt: fc.record(
    Object.fromEntries(CHANNELS.map((channel) => [channel, maybe])) as Record<"email", typeof maybe>,
  ),
  twinTouchAt: fc.option(fc.record({ email: maybe, phone: maybe })),
});

const someInstance = fc
  .record({
    id: fc.uuid(),
    generation: fc.nat(),
    position: fc.nat(),
    nextStepDue: instant,
    heldSince: maybe,
    lead: someLead,
    status: fc.constantFrom("active" as const, "paused" as const),
    pausedReason: text,
    holdReason: text,
    rechecks: fc.boolean(),
    approvalExpiresAt: maybe,
    // Each page of instances has its own objects.
    isOfAnotherPage: fc.boolean(),
  })
  .map(({ id, generation, position, nextStepDue, heldSince, lead, isOfAnotherPage, ...state }) => {
    const followed = isOfAnotherPage ? structuredClone({ sequence, workspace }) : { sequence, workspace };
    const instance = { id, generation, position, nextStepDue, heldSince };
    const item = { instance, lead: aLead(lead as object), ...followed };
    const candidate = { instanceId: id, workspaceId: workspace.id, position, nextStepDue, heldSince, read: { item } };
    return { item, instance: { ...state, candidate } satisfies LiveInstance };
  });

long.it("gives back what was added, with one object for each sequence", () => {
  fc.assert(
    fc.property(fc.array(someInstance, { maxLength: 20 }), fc.constantFrom(1, 120), (some, times) => {
      const added = Array.from({ length: times }, () => some).flat();
      const packed = new PackedInstances();
      for (const { instance, item } of added) packed.add(instance, item);
      expect(packed).toHaveLength(added.length);
      const read = added.map((_, index) => packed.at(index));
      expect(read).toEqual(added.map(({ instance }) => instance));
      const sequences = read.flatMap((each) =>
        each && "item" in each.candidate.read ? [each.candidate.read.item.sequence] : [],
      );
      expect(new Set(sequences).size).toBeLessThanOrEqual(1);
      expect(packed.at(added.length)).toBeUndefined();
    }),
    { numRuns: 30 },
  );
});
