import { beforeEach, describe, expect, it } from "@jest/globals";
import * as z from "zod";
import { LEAD_STATUSES } from "../../lib/domain/labels.ts";
import { contactBar } from "../../lib/domain/rules.ts";
import { CONTACT_BAR, CONTACT_BLOCK, SUPPRESSION } from "../../lib/store/contact-rule.ts";
import { Prisma } from "../../lib/store/generated/client.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addAppointment, addInstance, addLead, addSequence, addWorkspace, FAR_AHEAD } from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

/** How a lead may be suppressed. Without an address, an opt-out is only in `opted_out_at`. */
const ADDRESSES = [
  { email: null, suppression: null },
  { email: "own", suppression: null },
  { email: "own", suppression: "undeliverable" },
  { email: "own", suppression: "opted_out" },
  { email: "own", suppression: "complained" },
] as const;

const STATES = LEAD_STATUSES.flatMap((status) =>
  ADDRESSES.flatMap((address) => [false, true].map((optedOut) => ({ ...address, status, optedOut }))),
);
type State = (typeof STATES)[number];

const { sql } = await useDatabase();
let workspaceId: string;
let addresses = 0;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
});
const suppress = (email: string, reason: string) =>
  sql.query(
    `insert into suppression (workspace_id, hash, reason, kind, source)
     values ($1, suppression_hash($1, $2), $3::suppression_reason, 'email', 'test') on conflict do nothing`,
    [workspaceId, email, reason],
  );

async function addLeadIn({ status, optedOut, email, suppression }: State): Promise<string> {
  const address = email && `contact-${++addresses}@example.test`;
  if (address && suppression) await suppress(address, suppression);
  const opted_out_at = optedOut ? new Date() : null;
  return await addLead(sql, workspaceId, { status, email: address, phone: null, opted_out_at });
}

async function addBooked(state: State): Promise<string> {
  const lead = await addLeadIn(state);
  await addAppointment(sql, lead);
  return lead;
}

/** The row as the rules in TypeScript compute it. */
function expected(lead: z.infer<typeof row>): z.infer<typeof row> {
  const bar = contactBar(lead) ?? null;
  const suppression = contactBar({ ...lead, status: "new" }) ?? null;
  return { ...lead, suppression, bar, block: lead.isBooked && !lead.postBooking ? "meeting_booked" : bar };
}

const FACTS = Prisma.sql`
  lead.status::text, lead.opted_out_at as "optedOutAt", lead.suppressed_reason::text as suppressed`;
const facts = z.object({
  status: z.enum(LEAD_STATUSES),
  optedOutAt: z.date().nullable(),
  suppressed: z.enum(["opted_out", "complained"]).nullable(),
});
const row = facts.extend({
  isBooked: z.boolean(),
  postBooking: z.boolean(),
  suppression: z.string().nullable(),
  bar: z.string().nullable(),
  block: z.string().nullable(),
});

it("is the same in TypeScript and SQL, for every status, opt-out, suppression, booking and sequence", async () => {
  const chase = await addSequence(sql, workspaceId);
  const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
  for (const state of STATES) {
    for (const id of [await addLeadIn(state), await addBooked(state)]) {
      await addInstance(sql, id, chase.id, { next_step_due: FAR_AHEAD });
      await addInstance(sql, id, prepare.id, { next_step_due: FAR_AHEAD });
    }
  }
  const found = await onPool(sql).$queryRaw`
    select ${FACTS}, lead.is_booked as "isBooked", instance.post_booking as "postBooking",
           ${SUPPRESSION} as suppression, ${CONTACT_BAR} as bar, ${CONTACT_BLOCK} as block
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     where instance.workspace_id = ${workspaceId}::uuid`;
  const leads = z.array(row).parse(found);
  expect(leads).toHaveLength(STATES.length * 4);
  expect(leads).toEqual(leads.map(expected));
});

describe("the triggers", () => {
  it("mark a lead for the backstop exactly if an update bars contact", async () => {
    for (const { status, optedOut, email, suppression } of STATES) {
      const address = email && `marked-${++addresses}@example.test`;
      const lead = await addLead(sql, workspaceId, { status: "qualified", email: address, phone: null });
      await sql.query(
        "update lead set status = $2::lead_status, opted_out_at = case when $3 then now() end where id = $1",
        [lead, status, optedOut],
      );
      if (address && suppression) await suppress(address, suppression);
    }
    const rows = await onPool(sql).$queryRaw`
      select ${FACTS}, lead.stop_cause as "stopCause" from lead where workspace_id = ${workspaceId}::uuid`;
    const leads = z.array(facts.extend({ stopCause: z.string().nullable() })).parse(rows);
    expect(leads).toHaveLength(STATES.length);
    expect(leads).toEqual(leads.map((lead) => ({ ...lead, stopCause: contactBar(lead) ? "barred" : null })));
  });

  it.each(LEAD_STATUSES)(
    "recheck a pause when the status becomes %s, unless it bars contact or is a booking",
    async (status) => {
      const { id } = await addSequence(sql, workspaceId);
      const lead = await addLead(sql, workspaceId, { status: status === "new" ? "qualified" : "new" });
      const pause = { status: "paused", paused_reason: "lead_snoozed", recheck_at: FAR_AHEAD };
      const instance = await addInstance(sql, lead, id, pause);
      await sql.query("update lead set status = $2::lead_status where id = $1", [lead, status]);
      const { rows } = await sql.query("select recheck_at <> $2 as rechecked from follow_up_instance where id = $1", [
        instance,
        FAR_AHEAD,
      ]);
      const barred = contactBar({ status, optedOutAt: null, suppressed: null }) !== undefined;
      expect(rows).toEqual([{ rechecked: !barred && status !== "meeting-booked" }]);
    },
  );
});
