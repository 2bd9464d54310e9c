import { expect, it } from "@jest/globals";
import fc from "fast-check";
import { onPool } from "../../lib/store/sql.ts";
import {
  addFollowedLead,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  LONG_AGO,
} from "../support/factories.ts";
import { aMeeting, tell } from "../support/facts.ts";
import { ONE_OF_FEW_IN } from "../support/one-case-in.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();

const NOW = Date.now();
const hoursBefore = (hours: number) => new Date(NOW - hours * 3_600_000).toISOString();

/** How a fact names the person: the touch went to the old address, which another lead has now. */
const NAMES = ["touch", "lead", "twin", "old address", "new address", "number"] as const;
const KINDS = [
  ["touch.delivered", {}],
  ["lead.bounced", { kind: "permanent" }],
  ["lead.bounced", { kind: "transient" }],
  ["lead.bounced", { kind: "transient" }],
  ["lead.bounced", { kind: "transient" }],
  ["lead.complained", {}],
  ["lead.opted_out", {}],
  ["lead.opted_out", {}],
  ["lead.opted_in", {}],
  ["meeting.booked", { meeting: aMeeting("one") }],
] as const satisfies readonly (readonly [string, Columns])[];

/** Facts at different hours, in chronological order. */
const history = fc
  .uniqueArray(fc.integer({ min: 1, max: 900 }), { minLength: KINDS.length, maxLength: KINDS.length })
  .chain((hours) =>
    fc
      .tuple(
        fc.subarray(
          KINDS.map((_, index) => index),
          { minLength: 2 },
        ),
        fc.array(fc.constantFrom(...NAMES), { minLength: KINDS.length, maxLength: KINDS.length }),
      )
      .map(([chosen, names]) =>
        chosen
          .map((index) => ({ index, hours: hours[index] ?? 1, name: names[index] ?? ("lead" as const) }))
          .sort((first, second) => second.hours - first.hours),
      ),
  );
type History = typeof history extends fc.Arbitrary<infer Value> ? Value : never;

const TOUCHES: Readonly<Record<string, Columns>> = {
  sent: {},
  unknown: { unknown_attempt_at: LONG_AGO },
  claimed: {},
  sending: {},
  failed: {},
};

/** A workspace with one person, who is three leads. */
async function aWorld(status: string) {
  const workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
  const chase = await addSequence(sql, workspaceId);
  const lead = { email: "old@order.test", phone: "+49301234567" };
  const instance = { started_at: hoursBefore(1_000) };
  const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance });
  const touch = await addTouch(sql, instanceId, chase.steps[0] ?? "", {
    status,
    last_attempt_at: LONG_AGO,
    ...TOUCHES[status],
  });
  await sql.query("update touch set recipient_hash = suppression_hash(workspace_id, 'old@order.test') where id = $1", [
    touch,
  ]);
  await sql.query("update lead set email = 'new@order.test' where id = $1", [leadId]);
  const twin = await addLead(sql, workspaceId, { email: "New@order.test", phone: null });
  await addLead(sql, workspaceId, { email: "old@order.test", phone: null });
  const references = {
    touch: { touch },
    lead: { id: leadId },
    twin: { id: twin },
    "old address": { email: "Old@Order.test" },
    "new address": { email: "new@order.test" },
    number: { phone: "030 1234567" },
  };
  const apply = async (facts: History) => {
    for (const { index, hours, name } of facts) {
      const [type, detail] = KINDS[index] ?? KINDS[0];
      const about = type.startsWith("touch.") ? { touchId: touch } : { lead: references[name] };
      const event = { workspaceId, eventId: `order-${index}`, occurredAt: hoursBefore(hours) };
      await tell(onPool(sql), type, { ...event, ...about, ...detail });
    }
  };
  return { apply, state: () => stateOf(workspaceId) };
}

async function stateOf(workspaceId: string) {
  const rows = async (query: string) => (await sql.query(query, [workspaceId])).rows;
  return {
    leads: await rows(
      `select email, lead.status::text, is_booked, opted_out_at, opted_in_at, suppressed_reason::text,
              email_undeliverable, phone_undeliverable,
              (select count(*)::int from follow_up_instance as instance
                where lead_id = lead.id and instance.status in ('active', 'paused')) as live
         from lead where workspace_id = $1 order by email`,
    ),
    suppressions: await rows(
      `select encode(suppression.hash, 'hex') in (
                select encode(suppression_hash($1, address), 'hex')
                  from unnest(array['old@order.test', 'new@order.test']) as address) as is_email,
              reason::text, kind::text, since
         from suppression where workspace_id = $1 order by 1, 2, 3, 4`,
    ),
    touches: await rows(
      `select status::text, sent_at, delivered_at, bounced_at, complained_at, recheck_at, next_attempt_at
         from touch where workspace_id = $1`,
    ),
    bounces: await rows(
      "select cause like 'order-%' as of_event, occurred_at from transient_bounce where workspace_id = $1 order by 1, 2",
    ),
  };
}

it("facts about a message and its reader give the same state in any order, however often each arrives", async () => {
  const arrivals = fc.tuple(
    history,
    fc.constantFrom(...Object.keys(TOUCHES)),
    fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
  );
  await fc.assert(
    fc.asyncProperty(arrivals, async ([facts, status, chances]) => {
      const chance = () => chances.next().value ?? 0;
      const keyed = [...facts, ...facts.filter(() => chance() < 0.4)].map((fact) => ({ fact, key: chance() }));
      const shuffled = keyed.sort((first, second) => first.key - second.key).map(({ fact }) => fact);
      const [inOrder, otherwise] = [await aWorld(status), await aWorld(status)];
      await inOrder.apply(facts);
      await otherwise.apply(shuffled);
      const named = JSON.stringify(shuffled);
      expect({ named, ...(await otherwise.state()) }).toEqual({ named, ...(await inOrder.state()) });
    }),
    { numRuns: Math.ceil(20 / ONE_OF_FEW_IN), endOnFailure: true },
  );
});
