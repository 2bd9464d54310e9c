import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import * as z from "zod";
import { findLeads } from "../../lib/operate/find-leads.ts";
import type { Question } from "../../lib/operate/operation.ts";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { showLead } from "../../lib/operate/show-lead.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addAppointment,
  addFollowedLead,
  addInstance,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
} from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });

async function ask<Input extends z.ZodType, Answer extends z.ZodType>(
  asked: Question<Input, Answer>,
  input: z.input<Input>,
): Promise<z.output<Answer>> {
  const replied = await answerQuestion(sql, { question: asked.name, input });
  if (replied.outcome === "refused") throw new Error(`${replied.code}: ${replied.message}`);
  return z.decode(asked.answer, JSON.parse(JSON.stringify(replied.answer)));
}

describe("leads find", () => {
  it("finds a lead by a part of its name, company or address, and by number, external id and id", async () => {
    const workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
    const chase = await addSequence(sql, workspaceId);
    const columns = {
      first_name: "Ada",
      last_name: "Byron",
      company: "Engines 100%",
      email: "ada@example.test",
      phone: "+4915123456789",
      external_id: "crm_7",
    };
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id, { lead: columns });
    const texts = [
      "a byr",
      "engines 100%",
      "ADA@example",
      "+49 151 23456789",
      "0151/23456789",
      "crm_7",
      leadId,
      " Ada@Example.test ",
    ];
    for (const text of texts) expect((await ask(findLeads, { text })).leads.map(({ id }) => id)).toEqual([leadId]);
    for (const text of ["100_", "crm%7", "Grace"]) expect((await ask(findLeads, { text })).leads).toEqual([]);
  });

  it("finds a lead whose row has a time in a year of five digits, beside another", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const far = await addFollowedLead(sql, workspaceId, chase.id, {
      lead: { email: "far@example.test", created_at: "12000-01-01T00:00:00Z" },
    });
    const near = await addFollowedLead(sql, workspaceId, chase.id, { lead: { email: "near@example.test" } });
    const { leads } = await ask(findLeads, { text: "@example.test" });
    expect(leads.map(({ id }) => id).toSorted()).toEqual([far.leadId, near.leadId].toSorted());
    expect((await ask(showLead, { lead: "far@example.test" })).lead.createdAt.getUTCFullYear()).toBe(12_000);
  });

  it("finds only in the workspace that is given", async () => {
    const [one, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
    const chase = await addSequence(sql, one);
    await addFollowedLead(sql, one, chase.id, { lead: { email: "ada@example.test" } });
    expect((await ask(findLeads, { text: "ada@", workspace: other })).leads).toEqual([]);
    expect((await ask(findLeads, { text: "ada@", workspace: "One" })).leads).toHaveLength(1);
    await expect(ask(showLead, { lead: "ada@example.test", workspace: "Other" })).rejects.toThrow("not_found");
  });
});

describe("leads show", () => {
  it("shows the fault of a sequence that a run cannot decide, and another sequence of the lead beside it", async () => {
    const workspaceId = await addWorkspace(sql);
    const [chase, over] = [await addSequence(sql, workspaceId), await addSequence(sql, workspaceId)];
    const lead = { email: "late@example.test", snoozed_until: "10000-01-01T00:00Z" };
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id, { lead });
    await addInstance(sql, leadId, over.id, { position: 2 });
    const { instances } = await ask(showLead, { lead: "late@example.test" });
    expect(instances.map(({ now }) => now).toSorted((one) => (one.readable ? 1 : -1))).toMatchObject([
      { readable: false, fault: "recheckAt would be after the year 9999" },
      { readable: true, decision: { kind: "complete", reason: "out_of_steps" } },
    ]);
  });

  it("finds the lead of an instance or a touch, as reports name them", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
    await addFollowedLead(sql, workspaceId, chase.id);
    const touchId = await addTouch(sql, instanceId, chase.steps[0] ?? "");
    for (const name of [instanceId, touchId]) expect((await ask(showLead, { lead: name })).lead.id).toBe(leadId);
  });

  it("reads infinity timestamps as long ago", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const instance = { next_step_due: "infinity" };
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { instance });
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { next_attempt_at: "infinity" });
    const [live] = (await ask(showLead, { lead: instanceId })).instances;
    expect(live?.nextStepDue).toEqual(new Date(0));
  });

  it("lists the candidates if several leads have the address", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const twins = [1, 2].map(() =>
      addFollowedLead(sql, workspaceId, chase.id, { lead: { email: "two@example.test" } }),
    );
    const [one, other] = await Promise.all(twins);
    const refused = ask(showLead, { lead: "two@example.test" });
    await expect(refused).rejects.toThrow(one?.leadId);
    await expect(refused).rejects.toThrow(other?.leadId);
  });

  it("lists the events in order, from the start of the sequence to the booking that stopped it", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [{}, {}] });
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    await runner.run();
    await addAppointment(sql, leadId);
    await runner.run();
    const { story, state, instances } = await ask(showLead, { lead: leadId });
    const happened = story.map(({ what }) => what);
    expect(happened).toEqual(
      expect.arrayContaining(["sequence_started", "touch_sent", "booked", "sequence_completed"]),
    );
    expect(happened.indexOf("touch_sent")).toBeLessThan(happened.indexOf("sequence_completed"));
    expect(story.find(({ what }) => what === "sequence_completed")).toMatchObject({
      sequence: "Chase",
      reason: "meeting_booked",
    });
    expect(state.isBooked).toBe(true);
    expect(instances).toEqual([]);
  });

  it("lists the outcome of each message", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId, { name: "Chase" });
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    await runner.run();
    const { rows } = await sql.query("select id from touch where lead_id = $1", [leadId]);
    const facts: readonly (readonly [string, Columns])[] = [
      ["touch.delivered", { touchId: rows[0].id }],
      ["lead.bounced", { lead: { touch: rows[0].id }, kind: "transient" }],
      ["lead.bounced", { lead: { touch: rows[0].id }, kind: "permanent" }],
      ["lead.complained", { lead: { touch: rows[0].id } }],
      ["lead.opted_in", { lead: { id: leadId } }],
    ];
    for (const [index, [type, detail]] of facts.entries()) {
      const occurredAt = hoursAgo(5 - index);
      await tell(onPool(sql), type, { workspaceId, eventId: `outcome-${index}`, occurredAt, ...detail });
    }
    const { story } = await ask(showLead, { lead: leadId });
    const touch = { sequence: "Chase", position: 1, channel: "email", touchId: rows[0].id };
    expect(story.slice(0, 5)).toMatchObject([
      { what: "touch_delivered", ...touch },
      { what: "touch_bounced_for_now", ...touch },
      { what: "touch_bounced", ...touch },
      { what: "touch_complained", ...touch },
      { what: "opted_in", sequence: null },
    ]);
  });

  it("says all that stands against the next step, and what would have to change", async () => {
    const workspaceId = await addWorkspace(sql, { paused_at: new Date() });
    const chase = await addSequence(sql, workspaceId);
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id, { lead: { automation_enabled: false } });
    const { instances } = await ask(showLead, { lead: leadId });
    expect(instances).toMatchObject([
      {
        now: {
          readable: true,
          decision: {
            kind: "hold",
            reason: "workspace_paused",
            blockers: [{ reason: "workspace_paused" }, { reason: "manual" }],
            outlook: { goes: "not", reason: "workspace_paused" },
          },
        },
      },
    ]);
  });

  it("names the fault of a row that cannot be read", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    await sql.query("update lead set linkedin_connected_at = 'infinity' where id = $1", [leadId]);
    const { instances } = await ask(showLead, { lead: leadId });
    expect(instances).toMatchObject([
      { now: { readable: false, fault: expect.stringMatching(/linkedin_connected_at/) } },
    ]);
  });

  long.it("agrees with the next run, for any state of lead and workspace", async () => {
    const cases = fc.record({
      lead: fc.record({
        automation_enabled: fc.boolean(),
        status: fc.constantFrom("new", "qualified", "meeting-booked", "unqualified"),
        first_name: fc.constantFrom("Ada", null),
        email: fc.constantFrom("ada@example.test", null, "no address"),
        opted_out_at: fc.constantFrom(null, new Date("2026-01-01T00:00:00Z")),
        snoozed_until: fc.constantFrom(null, new Date("2100-01-01T00:00:00Z")),
        last_inbound_at: fc.constantFrom(null, new Date("2026-01-01T00:00:00Z")),
      }),
      workspace: fc.record({
        paused_at: fc.constantFrom(null, new Date("2026-01-01T00:00:00Z")),
        window_days: fc.constantFrom([1, 2, 3, 4, 5, 6, 7], [new Date().getUTCDay() === 0 ? 1 : 7]),
        daily_cap: fc.constantFrom(null, 1, 5),
      }),
      step: fc.record({
        needs_approval: fc.boolean(),
        body: fc.constantFrom("Hello", "Hello {{ lead.first_name }}"),
        condition: fc.constantFrom("always", "no_reply"),
      }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ lead, workspace, step }) => {
        const workspaceId = await addWorkspace(sql, { ...workspace, name: crypto.randomUUID() });
        const chase = await addSequence(sql, workspaceId, { steps: [step] });
        const { leadId } = await addFollowedLead(sql, workspaceId, chase.id, { lead });
        const { instances } = await ask(showLead, { lead: leadId });
        const [instance] = instances;
        if (!instance?.now.readable) throw new Error("no live instance was shown");
        const { decision } = instance.now;
        const report = await runner.run({ trigger: "manual", workspaceId });
        expect(outcomeOf(report.results, report.backstop?.completedCount ?? 0)).toBe(OUTCOMES[decision.kind]);
        if (decision.kind === "send") expect(decision.blockers).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

const OUTCOMES: Readonly<Record<string, string>> = {
  send: "claimed",
  awaitApproval: "awaitingApproval",
  hold: "held",
  pause: "paused",
  skip: "skipped",
  expire: "expired",
  complete: "completed",
};

function outcomeOf(results: object | null, stopped: number): string {
  if (stopped > 0) return "completed";
  const counts = Object.entries(results ?? {}).filter(([, count]) => count === 1);
  return counts.map(([name]) => name).find((name) => Object.values(OUTCOMES).includes(name)) ?? "nothing";
}
