import { beforeEach, describe, expect, it } from "@jest/globals";
import type { FactOutcome } from "../../lib/run/apply-messages.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addFollowedLead,
  addInstance,
  addLead,
  addSentTouch,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  type Sequence,
} from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner();
let workspaceId: string;
let chase: Sequence;
let prepare: Sequence;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
  chase = await addSequence(sql, workspaceId, { steps: [{}, {}] });
  prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
});

const fact = (type: string, lead: Columns, hours = 1, detail: Columns = {}): Promise<FactOutcome> =>
  tell(onPool(sql), type, { workspaceId, occurredAt: hoursAgo(hours), lead, ...detail });

const rows = async (query: string, ...values: unknown[]) => (await sql.query(query, values)).rows;
const one = async (query: string, ...values: unknown[]) => (await rows(query, ...values))[0];
const bar = async (leadId: string): Promise<string | null> => {
  const { suppressed, out } = await one(
    "select suppressed_reason::text as suppressed, opted_out_at is not null as out from lead where id = $1",
    leadId,
  );
  return suppressed ?? (out ? "opted_out" : null);
};
const live = async (leadId: string) =>
  (await rows("select from follow_up_instance where lead_id = $1 and status in ('active', 'paused')", leadId)).length;

async function mailed(lead: Columns = {}) {
  const started = { started_at: hoursAgo(100) };
  const ids = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance: started });
  await addInstance(sql, ids.leadId, prepare.id, started);
  const touchId = await addSentTouch(sql, ids.instanceId, chase.steps[0] ?? "");
  const waiting = await addTouch(sql, ids.instanceId, chase.steps[1] ?? "");
  return { ...ids, touchId, waiting };
}

describe.each([
  ["lead.opted_out", "opted_out"],
  ["lead.complained", "complained"],
])("%s by a touch", (type, reason) => {
  it("ends all sequences of the touch's lead and cancels what is claimed", async () => {
    const { leadId, touchId, waiting } = await mailed();
    const bystander = await mailed();
    expect(await fact(type, { touch: touchId })).toEqual({
      outcome: "applied",
      ended: 2,
      cancelledTouches: 1,
      started: 0,
    });
    expect([await bar(leadId), await live(leadId)]).toEqual([reason, 0]);
    expect(await one("select status::text, reason from touch where id = $1", waiting)).toEqual({
      status: "cancelled",
      reason,
    });
    expect([await bar(bystander.leadId), await live(bystander.leadId)]).toEqual([null, 2]);
  });

  it("also concerns the address that the touch went to, and every lead with it, also later", async () => {
    const { leadId, touchId } = await mailed({ email: "old@consent.test" });
    await sql.query("update lead set email = 'new@consent.test' where id = $1", [leadId]);
    const heir = await mailed({ email: "Old@consent.test" });
    await fact(type, { touch: touchId });
    const later = await addLead(sql, workspaceId, { email: "old@consent.test" });
    for (const id of [leadId, heir.leadId, later]) expect(await bar(id)).toBe(reason);
    expect([await live(leadId), await live(heir.leadId)]).toEqual([0, 0]);
  });

  it("changes nothing by a touch of another workspace or of nobody, unless another key is given", async () => {
    const foreign = await mailed({ email: "same@consent.test" });
    const theirs = workspaceId;
    workspaceId = await addWorkspace(sql);
    const own = await addLead(sql, workspaceId, { email: "same@consent.test" });
    const unknown = "01000000-0000-7000-8000-000000000000";
    for (const touch of [foreign.touchId, unknown]) {
      expect(await fact(type, { touch })).toEqual({
        outcome: "stale",
        ended: 0,
        cancelledTouches: 0,
        warnings: [`lead.touch: there is no touch ${touch}`],
      });
      expect(await fact(type, { touch, id: unknown })).toMatchObject({ outcome: "refused" });
    }
    expect(await bar(own)).toBeNull();
    expect(await fact(type, { touch: foreign.touchId, id: own })).toMatchObject({ outcome: "applied" });
    expect([await bar(own), await bar(foreign.leadId), await live(foreign.leadId)]).toEqual([reason, null, 2]);
    expect(await rows("select from suppression where workspace_id = $1", theirs)).toEqual([]);
    expect(await one("select complained_at from touch where id = $1", foreign.touchId)).toEqual({
      complained_at: null,
    });
  });
});

it.each(["lead.opted_out", "lead.complained", "lead.opted_in"])(
  "%s names leads by number in any notation",
  async (type) => {
    const stored = ["+49301234567", "030 1234567", "0049 (30) 123-4567"];
    const leads = await Promise.all(stored.map((phone) => addLead(sql, workspaceId, { phone, email: null })));
    if (type === "lead.opted_in") await fact("lead.opted_out", { phone: "030/1234567" }, 2);
    await fact(type, { phone: "+49 30 1234567" });
    const expected = { "lead.opted_out": "opted_out", "lead.complained": "complained" }[type] ?? null;
    expect(await Promise.all(leads.map(bar))).toEqual([expected, expected, expected]);
  },
);

it("stamps the first complaint on the touch, and settles a touch of unknown outcome as sent", async () => {
  const { touchId } = await mailed();
  await sql.query("update touch set status = 'unknown', sent_at = null, last_attempt_at = now() where id = $1", [
    touchId,
  ]);
  for (const hours of [2, 3, 1]) await fact("lead.complained", { touch: touchId }, hours);
  const { complained_at, ...touch } = await one("select complained_at, status::text from touch where id = $1", touchId);
  expect(Math.round((Date.now() - complained_at.getTime()) / 3.6e6)).toBe(3);
  expect(touch).toEqual({ status: "sent" });
});

describe("an opt-in", () => {
  it("takes back an earlier opt-out and bounce, starts nothing, and lets the lead be contacted", async () => {
    const { leadId } = await mailed({ email: "back@consent.test" });
    await fact("lead.opted_out", { id: leadId }, 5);
    await fact("lead.bounced", { email: "back@consent.test" }, 4, { kind: "permanent" });
    const twin = await addLead(sql, workspaceId, { email: "Back@consent.test" });
    expect(await bar(twin)).toBe("opted_out");
    expect(await fact("lead.opted_in", { id: leadId })).toEqual({
      outcome: "applied",
      ended: 0,
      cancelledTouches: 0,
      started: 0,
    });
    expect([await bar(leadId), await bar(twin), await live(leadId)]).toEqual([null, null, 0]);
    expect(await rows("select from suppression where workspace_id = $1", workspaceId)).toEqual([]);
  });

  it("leaves a later opt-out and a later bounce, in whatever order they arrive", async () => {
    const { leadId } = await mailed();
    await fact("lead.opted_out", { id: leadId }, 9);
    await fact("lead.opted_out", { id: leadId }, 3);
    await fact("lead.bounced", { id: leadId }, 3, { kind: "permanent" });
    await fact("lead.opted_in", { id: leadId }, 6);
    expect(await bar(leadId)).toBe("opted_out");
    expect(await one("select email_undeliverable as bounced from lead where id = $1", leadId)).toEqual({
      bounced: true,
    });
    await fact("lead.opted_in", { id: leadId }, 2);
    expect(await bar(leadId)).toBeNull();
    expect(await one("select email_undeliverable as bounced from lead where id = $1", leadId)).toEqual({
      bounced: false,
    });
  });

  it("makes an earlier opt-out that arrives later end only what had started before", async () => {
    const { leadId, waiting } = await mailed();
    await fact("lead.opted_in", { id: leadId }, 6);
    const since = await addSequence(sql, workspaceId);
    await addInstance(sql, leadId, since.id, { started_at: hoursAgo(5) });
    const outcome = await fact("lead.opted_out", { id: leadId }, 9);
    expect(outcome).toEqual({ outcome: "stale", ended: 2, cancelledTouches: 1 });
    expect([await bar(leadId), await live(leadId)]).toEqual([null, 1]);
    expect(await one("select status::text from touch where id = $1", waiting)).toEqual({ status: "cancelled" });
    expect(await fact("lead.opted_out", { id: leadId }, 4)).toMatchObject({ outcome: "applied", ended: 1 });
  });

  it("takes back no complaint, whenever it arrives; a person does", async () => {
    const early = await mailed();
    await fact("lead.complained", { id: early.leadId }, 5);
    await fact("lead.opted_in", { id: early.leadId }, 2);
    const late = await mailed();
    await fact("lead.opted_in", { id: late.leadId }, 2);
    await fact("lead.complained", { id: late.leadId }, 5);
    expect([await bar(early.leadId), await bar(late.leadId)]).toEqual(["complained", "complained"]);
    expect([await live(early.leadId), await live(late.leadId)]).toEqual([0, 0]);
  });

  it("lets the lead enter a sequence again", async () => {
    const { leadId } = await mailed({ external_id: "returns" });
    await fact("lead.opted_out", { id: leadId }, 5);
    const enrol = async () =>
      await tell(onPool(sql), "lead.enrolled", {
        workspaceId,
        occurredAt: hoursAgo(0),
        sequence: { id: chase.id },
        leads: [{ externalId: "returns" }],
        restart: true,
      });
    expect(await enrol()).toMatchObject({ verdicts: ["opted_out"] });
    await fact("lead.opted_in", { externalId: "returns" });
    expect(await enrol()).toMatchObject({ verdicts: ["enrolled"] });
    await runner.run({ workspaceId });
    expect([await bar(leadId), await live(leadId)]).toEqual([null, 1]);
  });
});
