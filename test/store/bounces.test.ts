import { beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { FactOutcome } from "../../lib/run/apply-messages.ts";
import { onPool } from "../../lib/store/sql.ts";
import {
  addFollowedLead,
  addInstance,
  addLead,
  addSentTouch,
  addSequence,
  addWorkspace,
  type Columns,
  LONG_AGO,
  type Sequence,
} from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner();
let workspaceId: string;
let chase: Sequence;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
  chase = await addSequence(sql, workspaceId, { steps: [{}, { channel: "sms", subject: null, delay_minutes: 0 }] });
});

const bounce = (lead: Columns, detail: Columns = {}): Promise<FactOutcome> =>
  tell(onPool(sql), "lead.bounced", { workspaceId, kind: "permanent", lead, ...detail });

const rows = async (query: string, ...values: unknown[]) => (await sql.query(query, values)).rows;
const one = async (query: string, ...values: unknown[]) => (await rows(query, ...values))[0];
const flags = async (leadId: string) => {
  const { email_undeliverable: email, phone_undeliverable: phone } = await one(
    "select email_undeliverable, phone_undeliverable from lead where id = $1",
    leadId,
  );
  return { email, phone };
};
const suppressions = () =>
  rows("select reason::text, kind::text from suppression where workspace_id = $1", workspaceId);
const touchOf = (touchId: string) =>
  one("select status::text, reason, sent_at, bounced_at, recheck_at from touch where id = $1", touchId);

/** A lead with a touch that went to its address, as a send stamps it. */
async function mailed(lead: Columns = {}, touch: Columns = {}) {
  const ids = await addFollowedLead(sql, workspaceId, chase.id, { lead });
  const touchId = await addSentTouch(sql, ids.instanceId, chase.steps[0] ?? "", touch);
  return { ...ids, touchId };
}

const APPLIED = { outcome: "applied", ended: 0, cancelledTouches: 0, started: 0 };

describe("a permanent bounce", () => {
  it("skips the e-mail steps of the lead, while its other channels continue", async () => {
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    const { leadId: other } = await addFollowedLead(sql, workspaceId, chase.id);
    await sql.query("update workspace set gap_minutes = 0 where id = $1", [workspaceId]);
    expect(await bounce({ id: leadId })).toEqual(APPLIED);
    await runner.run({ workspaceId });
    const report = await runner.run({ workspaceId });
    expect(report.success).toBe(true);
    const channels = async (id: string) =>
      (
        await rows("select channel::text, status::text from touch where lead_id = $1 order by claimed_at, channel", id)
      ).map(({ channel }) => channel);
    expect(await channels(leadId)).toEqual(["sms"]);
    expect(await channels(other)).toContain("email");
  });

  it("concerns the address that the touch went to, not the one that the lead has now", async () => {
    const { leadId, touchId } = await mailed({ email: "old@bounces.test" });
    await sql.query("update lead set email = 'new@bounces.test' where id = $1", [leadId]);
    const heir = await addLead(sql, workspaceId, { email: "Old@bounces.test" });
    expect(await bounce({ touch: touchId })).toEqual(APPLIED);
    expect([await flags(leadId), await flags(heir)]).toEqual([
      { email: false, phone: false },
      { email: true, phone: false },
    ]);
  });

  it.each([
    ["zoë@bücher.example", "zoë@xn--bcher-kva.example"],
    ["ada@BÜCHER.example", "ada@xn--bcher-kva.example"],
    ["Ada <mailto:Ada@dots.example.>", " ada@dots.example "],
    ["o'ada+tag@plus.example", "O'Ada+Tag@plus.example"],
    ["a\u200bda@invisible.example", "ada@invisible.example"],
  ])("by the address %s concerns every lead that stores it, also as %s", async (named, stored) => {
    const leads = [
      await addLead(sql, workspaceId, { email: stored }),
      await addLead(sql, workspaceId, { email: stored.toUpperCase().toLowerCase() }),
    ];
    const abroad = await addLead(sql, await addWorkspace(sql), { email: stored });
    expect(await bounce({ email: named })).toEqual(APPLIED);
    for (const leadId of leads) expect(await flags(leadId)).toEqual({ email: true, phone: false });
    expect(await flags(abroad)).toEqual({ email: false, phone: false });
  });

  it.each(["+49 30 1234567", "0049301234567", "030 1234567"])(
    "by the number %s concerns the number, in any notation",
    async (phone) => {
      const leads = await Promise.all(
        ["+49301234567", "030/1234567", "0049 30 1234567"].map((stored) =>
          addLead(sql, workspaceId, { phone: stored }),
        ),
      );
      expect(await bounce({ phone })).toEqual(APPLIED);
      for (const leadId of leads) expect(await flags(leadId)).toEqual({ email: false, phone: true });
    },
  );

  it("of an address without a lead adds none, and concerns the lead that comes later", async () => {
    expect(await bounce({ email: "later@bounces.test" })).toEqual(APPLIED);
    expect(await rows("select from lead where workspace_id = $1", workspaceId)).toEqual([]);
    expect(await suppressions()).toEqual([{ reason: "undeliverable", kind: "email" }]);
    expect(await flags(await addLead(sql, workspaceId, { email: "Later@Bounces.test" }))).toMatchObject({
      email: true,
    });
  });

  it.each<[string, () => Promise<Columns> | Columns, RegExp]>([
    ["an unknown id", () => ({ id: "01000000-0000-7000-8000-000000000000" }), /^lead\.id: there is no lead/],
    ["an unknown external id", () => ({ externalId: "nobody" }), /^lead\.externalId: there is no lead/],
    [
      "a lead without an address",
      async () => ({ id: await addLead(sql, workspaceId, { email: null }) }),
      /^lead: it has no e-mail address/,
    ],
  ])("is refused if it names %s only, and applies if it also names an address", async (_, lead, reason) => {
    const named = await lead();
    expect(await bounce(named)).toEqual({ outcome: "refused", reason: expect.stringMatching(reason) });
    expect(await rows("select from suppression where workspace_id = $1", workspaceId)).toEqual([]);
    expect(await bounce({ ...named, email: "known@bounces.test" })).toEqual(APPLIED);
    expect(await suppressions()).toEqual([{ reason: "undeliverable", kind: "email" }]);
  });

  it("changes nothing by a touch of another workspace or of nobody, and applies if it also names an address", async () => {
    const own = workspaceId;
    workspaceId = await addWorkspace(sql);
    chase = await addSequence(sql, workspaceId);
    const foreign = await mailed();
    workspaceId = own;
    for (const touch of [foreign.touchId, "01000000-0000-7000-8000-000000000000"]) {
      const warnings = [`lead.touch: there is no touch ${touch}`];
      expect(await bounce({ touch })).toEqual({ outcome: "stale", ended: 0, cancelledTouches: 0, warnings });
      expect(await suppressions()).toEqual([]);
    }
    expect(await bounce({ touch: foreign.touchId, email: "known@bounces.test" })).toEqual(APPLIED);
    expect(await suppressions()).toEqual([{ reason: "undeliverable", kind: "email" }]);
    expect(await touchOf(foreign.touchId)).toMatchObject({ bounced_at: null });
  });

  it("leaves the touch sent, with the time of its first bounce", async () => {
    const { touchId } = await mailed();
    for (const hours of [2, 3, 1])
      await bounce({ touch: touchId }, { occurredAt: new Date(Date.now() - hours * 3.6e6) });
    const { status, sent_at, bounced_at } = await touchOf(touchId);
    expect({ status, sent_at }).toEqual({ status: "sent", sent_at: LONG_AGO });
    expect(Math.round((Date.now() - bounced_at.getTime()) / 3.6e6)).toBe(3);
  });

  it("settles a touch of unknown outcome as sent, because a bounced message was sent", async () => {
    const { touchId } = await mailed(
      {},
      { status: "unknown", unknown_attempt_at: LONG_AGO, last_attempt_at: LONG_AGO },
    );
    await bounce({ touch: touchId });
    expect(await touchOf(touchId)).toMatchObject({ status: "sent", sent_at: LONG_AGO, reason: "settled_by_provider" });
  });

  it.each([
    ["Permanent", []],
    ["hard", []],
    ["Undetermined", [expect.stringMatching(/^kind: /)]],
    [undefined, [expect.stringMatching(/^kind: /)]],
  ])("is also one of the kind %s", async (kind, warnings) => {
    const leadId = await addLead(sql, workspaceId);
    expect(await bounce({ id: leadId }, { kind })).toEqual({ ...APPLIED, ...(warnings.length > 0 && { warnings }) });
    expect(await flags(leadId)).toEqual({ email: true, phone: false });
  });
});

const DAY_MS = 86_400_000;
const daysAgo = (days: number) => new Date(Date.now() - days * DAY_MS).toISOString();

describe("a transient bounce", () => {
  const soft = (lead: Columns, detail: Columns) => bounce(lead, { kind: "transient", ...detail });

  it("suppresses at the third touch, and each touch counts once", async () => {
    const { leadId, instanceId, touchId } = await mailed({ email: "full@bounces.test" });
    const secondTouch = await mailed({ email: "full@bounces.test" });
    for (const hours of [9, 8, 7]) await soft({ touch: touchId }, { occurredAt: hoursAgo(hours) });
    await soft({ touch: secondTouch.touchId }, { occurredAt: hoursAgo(6) });
    expect(await flags(leadId)).toMatchObject({ email: false });
    await soft({ email: "full@bounces.test" }, { occurredAt: hoursAgo(5) });
    expect(await flags(leadId)).toMatchObject({ email: true });
    expect(await touchOf(touchId)).toMatchObject({ status: "sent", bounced_at: null });
    expect(await one("select status::text from follow_up_instance where id = $1", instanceId)).toEqual({
      status: "active",
    });
  });

  it.each([
    ["the third within 30 days", [30, 10, 0.01], true],
    ["the third after 30 days", [30.1, 10, 0.01], false],
    ["two", [2, 1], false],
    ["old ones", [90, 70, 50, 30, 10], false],
    ["three of long ago", [90, 80, 70, 1], true],
  ])("with %s decides by the sender's time, in any order of arrival", async (_, days, suppressed) => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(days, { minLength: days.length }), async (order) => {
        await sql.query("delete from transient_bounce");
        await sql.query("delete from suppression");
        const leadId = await addLead(sql, workspaceId, { email: "soft@bounces.test" });
        for (const day of order) await soft({ email: "soft@bounces.test" }, { occurredAt: daysAgo(day) });
        expect(await flags(leadId)).toMatchObject({ email: suppressed });
      }),
      { numRuns: 4 },
    );
  });

  it("counts for its own workspace and its own address", async () => {
    const leadId = await addLead(sql, workspaceId, { email: "one@bounces.test" });
    const elsewhere = await addWorkspace(sql);
    for (const at of [4, 3]) await soft({ email: "one@bounces.test" }, { occurredAt: hoursAgo(at) });
    await soft({ email: "one@bounces.test" }, { workspaceId: elsewhere });
    await soft({ email: "two@bounces.test" }, {});
    expect(await flags(leadId)).toMatchObject({ email: false });
    await soft({ email: "one@bounces.test" }, {});
    expect(await flags(leadId)).toMatchObject({ email: true });
  });
});

it("is a bounce of the number if its touch was a text message", async () => {
  const leadId = await addLead(sql, workspaceId);
  const instanceId = await addInstance(sql, leadId, chase.id);
  const touchId = await addSentTouch(sql, instanceId, chase.steps[1] ?? "", { channel: "sms" });
  await bounce({ touch: touchId });
  expect(await flags(leadId)).toEqual({ email: false, phone: true });
});
