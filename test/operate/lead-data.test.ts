import { describe, expect, it } from "@jest/globals";
import { eraseLead } from "../../lib/operate/erase-lead.ts";
import { exportLead } from "../../lib/operate/export-lead.ts";
import { snoozeLead } from "../../lib/operate/snooze-lead.ts";
import { settleTouch } from "../../lib/operate/touches.ts";
import { deliverMessages } from "../../lib/run/deliver-messages.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addBystanders,
  addFollowedLead,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  everyRow,
  FAR_AHEAD,
  LONG_AGO,
  rowsOf,
} from "../support/factories.ts";
import { aMeeting, tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { operatorOn } from "../support/orders.ts";
import { accept, leftClaimed, SETTINGS, useRunner } from "../support/run.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";
import { addWholeTenant } from "../support/whole-tenant.ts";

const { sql, runner } = await useRunner({ empty: true });
const { ask, give } = operatorOn(sql);

/** In every name, address and text of the person below. */
const MARK = /zoraquine|309998877/i;

/** A person with a row in every table, who had another address before. */
async function aPerson() {
  const workspaceId = await addWholeTenant(sql);
  const { rows } = await sql.query<{ id: string }>("select id from lead where external_id in ('failed', 'booked')");
  const [leadId, merged] = rows.map(({ id }) => id);
  if (leadId === undefined || merged === undefined) throw new Error("the tenant has no such leads");
  for (const table of ["appointment", "notification_event", "placed_order"]) {
    await sql.query(`update ${table} set lead_id = $1 where lead_id = $2`, [leadId, merged]);
  }
  await sql.query("update task set lead_id = $1, title = 'Call Zoraquine', notes = 'Zoraquine is in'", [leadId]);
  await sql.query(
    `update lead set first_name = 'Zoraquine', last_name = 'Zoraquine', company = 'Zoraquine Ltd', status = 'qualified',
            email = 'zoraquine@example.test', phone = '+49309998877', external_id = 'crm-zoraquine',
            linkedin_url = 'https://linkedin.example/zoraquine', sender_name = 'Friend of Zoraquine' where id = $1`,
    [leadId],
  );
  await sql.query(
    `update touch set subject = 'For Zoraquine', body = 'Dear Zoraquine', provider_id = '<zoraquine@mail.example>',
            recipient_hash = suppression_hash(workspace_id, 'old.zoraquine@example.test') where lead_id = $1`,
    [leadId],
  );
  await sql.query(
    `insert into transient_bounce (workspace_id, hash, cause, occurred_at)
     select $1, suppression_hash($1, address), 'event', now()
       from unnest(array['zoraquine@example.test', 'old.zoraquine@example.test']) as address`,
    [workspaceId],
  );
  await sql.query("update appointment set external_id = 'zoraquine' where lead_id = $1", [leadId]);
  await sql.query("update reopening set reason = 'Zoraquine wrote' where lead_id = $1", [leadId]);
  await give(snoozeLead, { lead: "zoraquine@example.test", length: { kind: "days", days: 1 } }, "Zoraquine called");
  return { workspaceId, leadId };
}

async function tablesWith(pattern: RegExp): Promise<string[]> {
  const tables = Object.entries(await everyRow(sql));
  return tables.flatMap(([table, rows]) => (rows.some((row) => pattern.test(row)) ? [table] : []));
}

async function exported(lead: string) {
  let page = await ask(exportLead, { lead });
  const pages = [page];
  while (page.next) {
    page = await ask(exportLead, { lead, from: page.next });
    pages.push(page);
  }
  return pages;
}

it("export and erasure know every table that a foreign key leads to a person", async () => {
  const { rows } = await sql.query<{ name: string }>(`
    with recursive reached (oid) as (
      select 'public.lead'::regclass::oid
      union select conrelid from pg_constraint join reached on confrelid = reached.oid where contype = 'f')
    select relname as name from reached join pg_class using (oid)`);
  const leadId = await addLead(sql, await addWorkspace(sql));
  const known = (await exported(leadId)).map(({ table }) => table);
  expect([...new Set(known)].sort()).toEqual(
    [...rows.map(({ name }) => name), "suppression", "transient_bounce"].sort(),
  );
});

describe("leads export", () => {
  it("returns every row about the person and none about another", async () => {
    const { leadId } = await aPerson();
    await sql.query("update lead set opted_out_at = now() where id = $1", [leadId]);
    const pages = await exported("zoraquine@example.test");
    const withRows = pages.filter(({ rows }) => rows.length > 0).map(({ table }) => table);
    expect([...new Set(withRows)].sort()).toEqual([
      "appointment",
      "follow_up_instance",
      "lead",
      "notification_event",
      "placed_order",
      "reopening",
      "suppression",
      "task",
      "touch",
      "transient_bounce",
    ]);
    expect(await tablesWith(MARK)).toEqual(["appointment", "lead", "placed_order", "reopening", "task", "touch"]);
    const persons = pages
      .filter(({ table }) => !["notification_event", "suppression", "transient_bounce"].includes(table))
      .flatMap(({ table, rows }) => rows.map((row) => row[table === "lead" ? "id" : "lead_id"]));
    expect(new Set(persons)).toEqual(new Set([leadId]));
    expect(pages.flatMap(({ rows }) => rows)).toContainEqual(expect.objectContaining({ body: "Dear Zoraquine" }));
  });

  long.it("fits the answer of a function, and returns each row once, also if the texts are long", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId, { steps: [{}, {}, {}, {}] });
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    for (const step of chase.steps)
      await addTouch(sql, instanceId, step, { status: "sent", body: "ä".repeat(700_000) });
    const pages = await exported(leadId);
    for (const page of pages) expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(5_000_000);
    const touches = pages.filter(({ table }) => table === "touch").flatMap(({ rows }) => rows.map(({ id }) => id));
    expect(touches).toHaveLength(4);
    expect(new Set(touches).size).toBe(4);
  });

  it("names other leads with the address or number", async () => {
    const workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
    const leadId = await addLead(sql, workspaceId, { phone: "+4930111222" });
    const other = await addLead(sql, workspaceId, { phone: "030 111222" });
    expect((await ask(exportLead, { lead: leadId })).others).toEqual([other]);
  });
});

describe("leads erase", () => {
  it("leaves no name, address, number, text or id of the person in any table", async () => {
    const { workspaceId, leadId } = await aPerson();
    expect(await tablesWith(MARK)).toEqual(["appointment", "lead", "placed_order", "reopening", "task", "touch"]);
    const { rows: touches } = await sql.query("update touch set status = 'unknown' where lead_id = $1 returning id", [
      leadId,
    ]);
    const touchId = String(touches[0]?.["id"]);
    await give(settleTouch, { touch: touchId, outcome: "failed" });
    expect(await tablesWith(new RegExp(touchId))).toContain("placed_order");
    const answer = await give(eraseLead, { lead: leadId });
    expect(await tablesWith(MARK)).toEqual([]);
    expect(await tablesWith(new RegExp(`${leadId}|${touchId}`))).toEqual([]);
    expect(answer).toMatchObject({
      workspaceId,
      deleted: { lead: 1, touch: 1, task: 1, reopening: 1, transient_bounce: 2 },
      others: 0,
    });
    expect((await sql.query("select hash from transient_bounce")).rowCount).toBe(1);
    expect((await runner.run()).errors).toEqual([]);
  });

  it("keeps who erased, who ordered before, and hashes only", async () => {
    const { leadId } = await aPerson();
    await give(eraseLead, { lead: leadId }, "request 4711");
    const { rows } = await sql.query("select name, placed_by, reason, lead_id from placed_order order by placed_at");
    expect(rows).toContainEqual({
      name: "leads snooze",
      placed_by: "Hana",
      reason: "erased with the lead",
      lead_id: null,
    });
    expect(rows).toContainEqual({ name: "leads erase", placed_by: "Hana", reason: "request 4711", lead_id: null });
  });

  it("lets no later import or fact bring the person back into a sequence, by any address or number", async () => {
    const { workspaceId, leadId } = await aPerson();
    await give(eraseLead, { lead: leadId });
    const leads = [
      { email: "Zoraquine@example.test" },
      { email: "old.zoraquine@example.test" },
      { email: "new@example.test", phone: "030 9998877" },
      { email: "somebody.else@example.test" },
    ];
    const origin = { workspaceId, eventId: "again", occurredAt: new Date().toISOString() };
    const outcome = await tell(onPool(sql), "lead.enrolled", { ...origin, sequence: { name: "Chase" }, leads });
    expect(outcome).toMatchObject({ verdicts: ["opted_out", "opted_out", "opted_out", "enrolled"], started: 1 });
    const meeting = {
      ...origin,
      eventId: "booking",
      lead: { email: "zoraquine@example.test" },
      meeting: aMeeting("m"),
    };
    expect(await tell(onPool(sql), "meeting.booked", meeting)).toMatchObject({ started: 0 });
  });

  it("touches no other lead, except that one with the address gets nothing any more, and no other tenant", async () => {
    const bystanders = await addBystanders(sql);
    const workspaceId = await addWorkspace(sql, { name: "Own" });
    const chase = await addSequence(sql, workspaceId);
    const same = { email: "two@example.test", phone: null };
    const later = { next_step_due: FAR_AHEAD };
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id, { lead: same, instance: later });
    const twin = await addFollowedLead(sql, workspaceId, chase.id, { lead: same, instance: later });
    const neighbour = await addFollowedLead(sql, workspaceId, chase.id, { instance: later });
    const elsewhere = await addSequence(sql, bystanders);
    await addFollowedLead(sql, bystanders, elsewhere.id, { lead: same, instance: later });
    const before = await rowsOf(sql, bystanders);
    expect(await give(eraseLead, { lead: leadId })).toMatchObject({ ended: 2, others: 1, deleted: { lead: 1 } });
    expect(await rowsOf(sql, bystanders)).toEqual(before);
    const { rows } = await sql.query(
      "select lead_id, status from follow_up_instance where workspace_id = $1 order by id",
      [workspaceId],
    );
    expect(rows).toEqual([
      { lead_id: twin.leadId, status: "completed" },
      { lead_id: neighbour.leadId, status: "active" },
    ]);
  });

  it("waits with a clear answer while a run sends a message to the lead, and then erases it", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    const during: string[] = [];
    runner.channel.answer = async (touch) => {
      during.push(await give(eraseLead, { lead: leadId }).then(() => "erased", String));
      return accept(touch);
    };
    const report = await runner.run();
    expect(during).toEqual([expect.stringContaining("sending: a message to the lead is being sent")]);
    expect(report).toMatchObject({ success: true, results: { delivery: { sent: 1 } } });
    expect(await give(eraseLead, { lead: leadId })).toMatchObject({ deleted: { lead: 1, touch: 1 } });
  });

  it("erases a lead whose sender died, once its lease has ended", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { status: "sending", recheck_at: LONG_AGO });
    expect(await give(eraseLead, { lead: leadId })).toMatchObject({ deleted: { touch: 1 } });
  });

  it("makes a message of the delivery queue harmless", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    const queued: string[] = [];
    const enqueue = (touchIds: readonly string[]) => {
      queued.push(...touchIds);
      return Promise.resolve({ refused: [], faults: [] });
    };
    await runner.run({}, { store: leftClaimed(runner.ports.store), queue: { enqueue } });
    await give(eraseLead, { lead: leadId });
    const message = { messageId: "1", body: JSON.stringify({ touchIds: queued }) };
    const delivered = await deliverMessages([message], { remainingMs: () => 60_000 }, runner.ports, SETTINGS);
    expect(queued).toHaveLength(1);
    expect(delivered).toMatchObject({ failedMessageIds: [], channelFaults: [] });
    expect(runner.channel.sent).toEqual([]);
  });

  it("waits for a transaction that holds the lead, and erases what that one wrote", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    const claim = await openTransaction(sql);
    await claim.query("select from lead where id = $1 for no key update", [leadId]);
    const erased = give(eraseLead, { lead: leadId });
    await untilBlockedBy(sql, claim.pid);
    await addTouch(claim, instanceId, chase.steps[0] ?? "");
    await claim.commit();
    expect(await erased).toMatchObject({ deleted: { lead: 1, touch: 1 } });
  });

  it("erases once if two orders arrive at the same time", async () => {
    const leadId = await addLead(sql, await addWorkspace(sql));
    const both = await Promise.allSettled([give(eraseLead, { lead: leadId }), give(eraseLead, { lead: leadId })]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const [refused] = both.flatMap((one) => (one.status === "rejected" ? [String(one.reason)] : []));
    expect(refused).toContain("not_found");
  });
});
