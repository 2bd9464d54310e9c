import { beforeEach, describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { parseEvent } from "../../lib/inbound/parse-event.ts";
import type { FactOutcome } from "../../lib/run/apply-messages.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addInstance, addLead, addSequence, addTouch, addWorkspace, type Columns } from "../support/factories.ts";
import { aMeeting, bodyOf, hoursAgo, tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { clockAt, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });
let workspaceId: string;
/** Sequence ids by their trigger; `cold` is started by an enrolment only. */
let sequences: Record<"cold" | "unanswered" | "answered" | "prepare", string>;
let leadId: string;

const DAY = 24;
/** Open around the clock, so that only the tested rule decides. */
const ALWAYS_OPEN = { window_days: [1, 2, 3, 4, 5, 6, 7], window_start: "00:00", window_end: "23:59:59" };

beforeEach(async () => {
  workspaceId = await addWorkspace(sql, ALWAYS_OPEN);
  const add = async (trigger_on: string, columns: Columns = {}) =>
    (await addSequence(sql, workspaceId, { trigger_on, steps: [{ delay_minutes: 60 }], ...columns })).id;
  sequences = {
    cold: await add("manual"),
    unanswered: await add("no_response"),
    answered: await add("setter_reply"),
    prepare: await add("meeting_selected"),
  };
  await add("no_response", { active: false });
  await add("setter_reply", { active: false });
  leadId = await addLead(sql, workspaceId, { external_id: "subject", email: "subject@example.test" });
});

const fact = (type: string, hours: number, detail: Columns = {}): Promise<FactOutcome> =>
  tell(onPool(sql), type, {
    workspaceId,
    occurredAt: hoursAgo(hours),
    lead: { externalId: "subject" },
    ...detail,
  });
const contacted = (hours: number, detail: Columns = {}) =>
  fact("lead.contacted", hours, { channel: "other", ...detail });
const replied = (hours: number, detail: Columns = {}) => fact("lead.replied", hours, detail);

/** The lead's instances: the key of the sequence, the status, and the reason. */
async function followed(): Promise<readonly string[]> {
  const { rows } = await sql.query<{ sequence_id: string; text: string }>(
    `select sequence_id, concat_ws(' ', instance.status::text, coalesce(paused_reason::text, completed_reason)) as text
       from follow_up_instance as instance join lead on lead.id = lead_id
      where lead.workspace_id = $1 order by text`,
    [workspaceId],
  );
  const nameOf = (id: string) => Object.entries(sequences).find(([, known]) => known === id)?.[0] ?? "another";
  return rows.map(({ sequence_id: id, text }) => `${nameOf(id)} ${text}`).sort();
}

const runIn = async (hours: number) => {
  const report = await runner.run({ workspaceId }, clockAt(new Date(Date.now() + hours * 3_600_000)));
  expect(report).toMatchObject({ success: true });
  return report;
};

describe("a contact after a reply", () => {
  it("ends the pause once the lead has been silent for the workspace's days; without it the pause stays", async () => {
    await addInstance(sql, leadId, sequences.cold);
    await replied(2 * DAY);
    await runIn(0);
    expect(await followed()).toEqual(["cold paused lead_replied"]);
    await runIn(100 * DAY);
    expect(await followed()).toEqual(["cold paused lead_replied"]);
    await contacted(DAY);
    await runIn(6 * DAY - 0.1);
    expect(await followed()).toContain("cold paused lead_replied");
    await runIn(6 * DAY + 0.1);
    expect(await followed()).not.toContain("cold paused lead_replied");
  });

  it("counts the silence from the contact, and from the reply if that is later", async () => {
    await sql.query("update workspace set ghosted_after_days = 2 where id = $1", [workspaceId]);
    await addInstance(sql, leadId, sequences.cold, { status: "paused", paused_reason: "lead_replied" });
    await replied(9 * DAY);
    await contacted(DAY);
    await runIn(0);
    expect(await followed()).toContain("cold paused lead_replied");
    await replied(0.5 * DAY);
    await contacted(0.4 * DAY);
    await runIn(1.5 * DAY);
    expect(await followed()).toContain("cold paused lead_replied");
    await runIn(1.7 * DAY);
    expect(await followed()).not.toContain("cold paused lead_replied");
  });

  it("pauses what was not decided in between, so that no step goes out during the conversation", async () => {
    const later = { next_step_due: new Date(Date.now() + 3_600_000), started_at: hoursAgo(10) };
    const { steps, id } = await addSequence(sql, workspaceId, { trigger_on: "manual", steps: [{}, {}] });
    const instanceId = await addInstance(sql, leadId, id, { ...later, position: 2 });
    const touchId = await addTouch(sql, instanceId, steps[0] ?? "");
    await replied(3);
    expect(await contacted(2)).toMatchObject({ outcome: "applied", ended: 0, cancelledTouches: 1 });
    expect(await followed()).toContain("another paused lead_replied");
    const { rows } = await sql.query("select status::text, reason from touch where id = $1", [touchId]);
    expect(rows).toEqual([{ status: "cancelled", reason: "lead_replied" }]);
  });

  it("pauses no preparation of a meeting, and nothing that started after the reply", async () => {
    await addInstance(sql, leadId, sequences.prepare, { started_at: hoursAgo(10) });
    await replied(3);
    await addInstance(sql, leadId, sequences.cold, { started_at: hoursAgo(2.5) });
    await contacted(2);
    expect(await followed()).toEqual(["answered active", "cold active", "prepare active"]);
  });

  it("pauses once per reply: a later contact without another reply stops nothing", async () => {
    await addInstance(sql, leadId, sequences.cold, { started_at: hoursAgo(20 * DAY) });
    await replied(19 * DAY);
    await contacted(18 * DAY);
    await sql.query("update workspace set ghosted_after_days = 30 where id = $1", [workspaceId]);
    expect(await followed()).toContain("cold active");
    await contacted(DAY);
    expect(await followed()).toContain("cold active");
    await replied(5);
    await contacted(4);
    expect(await followed()).toContain("cold paused lead_replied");
  });

  it("starts the active setter_reply sequences, which send without waiting for that silence", async () => {
    await replied(5);
    expect(await contacted(4)).toEqual({ outcome: "applied", ended: 0, cancelledTouches: 0, started: 1 });
    expect(await followed()).toEqual(["answered active"]);
    await runIn(2);
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("starts them again after another reply, and never for a second report of the same conversation", async () => {
    await replied(50);
    await contacted(49);
    await runIn(2);
    expect(await followed()).toEqual(["answered completed out_of_steps"]);
    expect(await contacted(48)).toMatchObject({ started: 0 });
    await replied(2);
    expect(await contacted(1)).toMatchObject({ started: 1 });
    expect(await contacted(0.9)).toMatchObject({ started: 0 });
    expect(await followed()).toEqual(["answered active"]);
  });
});

describe("a contact without a reply", () => {
  it("starts the active no_response sequences of a lead that is in no sequence", async () => {
    expect(await contacted(1)).toEqual({ outcome: "applied", ended: 0, cancelledTouches: 0, started: 1 });
    expect(await followed()).toEqual(["unanswered active"]);
    expect(await contacted(0.5)).toMatchObject({ started: 0 });
    await runIn(2);
    expect(runner.channel.sent).toHaveLength(1);
  });

  it("does not start them a second time: an own touch that a CRM reports as a contact starts no loop", async () => {
    await contacted(1);
    await runIn(2);
    expect(await followed()).toEqual(["unanswered completed out_of_steps"]);
    expect(await contacted(0)).toMatchObject({ outcome: "applied", started: 0 });
  });

  const REFUSED: readonly { readonly name: string; readonly before: () => Promise<unknown> }[] = [
    { name: "is in another sequence", before: () => addInstance(sql, leadId, sequences.cold) },
    { name: "has booked", before: () => fact("meeting.booked", 3, { meeting: aMeeting("one") }) },
    { name: "has opted out", before: () => fact("lead.opted_out", 3) },
    { name: "is not interested", before: () => setLead("status = 'not-interested'") },
    { name: "has an invalid time zone", before: () => setLead("time_zone = 'Mars/Olympus'") },
    {
      name: "booked since, and cancelled",
      before: async () => {
        await fact("meeting.booked", 0.5, { meeting: aMeeting("one") });
        await fact("meeting.cancelled", 0.4, { meeting: aMeeting("one") });
      },
    },
  ];
  const setLead = (assignment: string) => sql.query(`update lead set ${assignment} where id = $1`, [leadId]);

  it.each(REFUSED)("starts nothing for a lead that $name", async ({ before }) => {
    await before();
    const known = await followed();
    expect(await contacted(1)).toMatchObject({ outcome: "applied", started: 0 });
    expect(await followed()).toEqual(known);
  });

  it("starts nothing if it is more than 30 days old, because a system loads its history", async () => {
    expect(await contacted(31 * DAY)).toMatchObject({ outcome: "applied", started: 0 });
    expect(await contacted(29 * DAY)).toMatchObject({ outcome: "applied", started: 1 });
  });

  it("starts the sequence for one of the leads that share an address", async () => {
    await addLead(sql, workspaceId, { email: "subject@example.test" });
    expect(await contacted(1, { lead: { email: "Subject@Example.test" } })).toMatchObject({ started: 1 });
    expect(await followed()).toEqual(["unanswered active"]);
  });
});

describe("a contact", () => {
  it.each([
    ["email", "last_email_at"],
    ["sms", "last_sms_at"],
  ])("by %s counts as the day's message on that channel, and on no other", async (channel, column) => {
    const { rows: before } = await sql.query("select * from lead where id = $1", [leadId]);
    await contacted(1, { channel });
    await contacted(5, { channel });
    const { rows } = await sql.query<Record<string, unknown>>("select * from lead where id = $1", [leadId]);
    const at = rows[0]?.["last_contacted_at"];
    expect(at).toBeInstanceOf(Date);
    expect(rows).toEqual([{ ...before[0], last_outbound_at: at, last_contacted_at: at, [column]: at }]);
  });

  it("on an unknown channel is refused with the channels there are", () => {
    const detail = { workspaceId, eventId: "e", occurredAt: hoursAgo(1), lead: { id: leadId }, channel: "fax" };
    const parsed = parseEvent(bodyOf("lead.contacted", detail));
    expect(parsed).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/^detail: channel: .*email.*call.*other/),
    });
  });
});

type Told = readonly [type: "replied" | "contacted", hours: number];

describe("replies and contacts in any order, and twice", () => {
  const outcomeOf = async (told: readonly Told[], inCold: boolean) => {
    await sql.query("delete from notification_event; delete from follow_up_instance; delete from lead");
    leadId = await addLead(sql, workspaceId, { external_id: "subject" });
    if (inCold) await addInstance(sql, leadId, sequences.cold, { started_at: hoursAgo(100) });
    for (const [type, hours] of told) await (type === "replied" ? replied(hours) : contacted(hours));
    // An unanswered reply pauses by the next decision.
    await runIn(0);
    return await followed();
  };

  long.it.each([true, false])(
    "have the effect of the true order by the next run (in a sequence before: %s)",
    async (inCold) => {
      const law = fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 2 }),
        fc.nat(),
        async (contact, replies, seed) => {
          const facts: Told[] = [["contacted", contact], ...replies.map((hours): Told => ["replied", hours + 0.5])];
          const inTime = facts.toSorted(([, one], [, other]) => other - one);
          const shuffled = facts.toSorted(([, one], [, other]) => ((one * seed) % 7) - ((other * seed) % 7));
          const expected = live(await outcomeOf(inTime, inCold));
          expect(live(await outcomeOf([...shuffled, ...facts], inCold))).toEqual(expected);
        },
      );
      await fc.assert(law, { numRuns: 15 });
    },
  );

  const live = (rows: readonly string[]) => rows.filter((row) => !row.includes("had_replied"));
});
