import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { effectText } from "../../cli/forecast-effect.ts";
import { CHANNELS, STEP_CONDITIONS } from "../../lib/domain/labels.ts";
import type { WrittenSequence, WrittenStep } from "../../lib/domain/written-sequence.ts";
import { forecast } from "../../lib/operate/forecast.ts";
import { forecastSequences } from "../../lib/operate/forecast-sequences.ts";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { writable } from "../../lib/operate/sequences.ts";
import { upsertSequences } from "../../lib/store/sequences.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addInstance, addLead, addTouch, addWorkspace, everyRow } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { ONE_CASE_IN } from "../support/one-case-in.ts";
import { useRunner } from "../support/run.ts";
import { simulate } from "../support/simulation.ts";

const { sql, runner } = await useRunner({ empty: true });
const db = onPool(sql);

const MINUTE = 60_000;
const DAY = 24 * 60;
/** A Friday morning. */
const NOW = new Date("2027-03-12T06:00:00Z");
const DAYS = 12;
const WEEK = { time_zone: "Europe/Berlin", window_days: [1, 2, 3, 4, 5], window_start: "09:00", window_end: "17:00" };

const step = (key: string, columns: Partial<WrittenStep> = {}): WrittenStep => ({
  key,
  delayMinutes: DAY,
  channel: "email",
  subject: "For {{ lead.first_name }}",
  body: "Hello {{ lead.first_name }}, shall we talk?",
  allow: [],
  condition: "always",
  needsApproval: false,
  timeToLiveMinutes: null,
  ...columns,
});

const sequence = (name: string, steps: readonly WrittenStep[], active = true): WrittenSequence => ({
  name,
  triggerOn: "no_response",
  active,
  steps,
});

const CHASE = sequence("Chase", [
  step("hello", { delayMinutes: 0 }),
  step("text", { channel: "sms", delayMinutes: 90, timeToLiveMinutes: 3 * DAY }),
  step("company", { body: "Hello {{ lead.first_name }} of {{ lead.company }}", delayMinutes: 2 * DAY }),
  step("call", { channel: "task", needsApproval: true, timeToLiveMinutes: DAY }),
]);
const NURTURE = sequence("Nurture", [step("one", { delayMinutes: 0 }), step("two", { delayMinutes: 3 * DAY })]);

const apply = (workspaceId: string, sequences: readonly WrittenSequence[]) =>
  db.transaction((transaction) => upsertSequences(transaction, workspaceId, sequences));

/** Two versions with leads in every state that time or an edit can end. */
async function populate(columns: Readonly<Record<string, unknown>>): Promise<string> {
  const workspaceId = await addWorkspace(sql, { ...WEEK, ...columns });
  const [old] = await apply(workspaceId, [sequence("Chase", [step("gone"), ...CHASE.steps.slice(0, 3)])]);
  for (let index = 0; index < 3; index += 1) await enrol(workspaceId, old?.id ?? "", index);
  const [chase, nurture] = await apply(workspaceId, [CHASE, NURTURE]);
  for (let index = 3; index < 16; index += 1) {
    const leadId = await enrol(workspaceId, chase?.id ?? "", index);
    if (index % 3 === 0) await addInstance(sql, leadId, nurture?.id ?? "", { next_step_due: dueOf(index) });
  }
  return workspaceId;
}

const dueOf = (index: number) => new Date(+NOW + ((index * 1_237) % 3_000) * MINUTE);

async function enrol(workspaceId: string, sequenceId: string, index: number): Promise<string> {
  const leadId = await addLead(sql, workspaceId, {
    company: index % 3 === 0 ? null : "Acme",
    phone: index % 5 === 0 ? null : `+49151234567${10 + index}`,
    enrichment_status: index % 5 === 0 ? "pending" : "completed",
    time_zone: [null, "America/New_York", "Asia/Tokyo"][index % 3],
    linkedin_connected_at: index % 4 === 0 ? NOW : null,
  });
  const paused = { status: "paused", next_step_due: null };
  const state = [
    { position: 3, paused_reason: "missing_data", ...paused },
    { position: 2, paused_reason: "awaiting_enrichment", ...paused },
    { position: 4, paused_reason: "awaiting_approval", ...paused },
  ][index - 9];
  const instanceId = await addInstance(sql, leadId, sequenceId, { next_step_due: dueOf(index), ...state });
  if (state?.paused_reason === "awaiting_approval") {
    const { rows } = await sql.query(
      "select id from follow_up_step where sequence_id = $1 and version = 2 and position = 4",
      [sequenceId],
    );
    const expires = new Date(+NOW + 2 * DAY * MINUTE);
    await addTouch(sql, instanceId, rows[0].id, {
      status: "awaiting_approval",
      expires_at: expires,
      recheck_at: expires,
    });
  }
  return leadId;
}

const ask = (workspace: string, sequences: readonly WrittenSequence[]) =>
  forecastSequences.run(db, { days: DAYS, workspace, sequences: sequences.map(writable), newFields: [] }, NOW);

async function forecastNow(workspace: string) {
  const { workspaces } = await forecast.run(db, { days: DAYS, workspace, after: null }, NOW);
  const { days, hours, outcomes, approvals, cappedDays } = workspaces[0] ?? {};
  return { days, hours, outcomes, approvals, cappedDays };
}

const touchesOf = ({ days }: Awaited<ReturnType<typeof ask>>["before"]): number =>
  days.flatMap(({ touches }) => Object.values(touches)).reduce((sum, count) => sum + count, 0);

const someStep = fc.record(
  {
    channel: fc.constantFrom(...CHANNELS),
    condition: fc.constantFrom(...STEP_CONDITIONS),
    needsApproval: fc.boolean(),
    timeToLiveMinutes: fc.constantFrom(null, 60, DAY, 3 * DAY),
    delayMinutes: fc.constantFrom(0, 30, DAY),
    body: fc.constantFrom("Hi {{ lead.company }}", `Hi {{ lead.company | default: "there" }}`),
  },
  { requiredKeys: [] },
);
const someEdit = fc.record({
  steps: fc.array(fc.tuple(fc.nat(3), someStep), { maxLength: 3 }),
  removed: fc.option(fc.nat(3), { freq: 4 }),
  active: fc.boolean(),
  nurtures: fc.boolean(),
});

function withEdits(before: WrittenStep, edits: readonly Partial<WrittenStep>[]): WrittenStep {
  const after = { ...before };
  for (const edit of edits) Object.assign(after, edit);
  return after;
}

function edited({ steps, removed, active, nurtures }: typeof someEdit extends fc.Arbitrary<infer Edit> ? Edit : never) {
  const changed = CHASE.steps.map((before, index) =>
    withEdits(
      before,
      steps.flatMap(([at, to]) => (at === index ? [to] : [])),
    ),
  );
  const kept = changed.filter((_, index) => index !== removed);
  const added = removed === 0 ? [step("gone", { body: "Back again" })] : [];
  const chase = sequence("Chase", [...added, ...kept], active);
  return nurtures ? [chase, sequence("Nurture", NURTURE.steps.slice(0, 1))] : [chase];
}

describe("the effect of an edit on the forecast", () => {
  long.it(
    "is the difference between the forecast now and the forecast once it is applied, for every edit",
    async () => {
      await fc.assert(
        fc.asyncProperty(someEdit, fc.constantFrom(null, 2), async (edit, daily_cap) => {
          const workspaceId = await populate({ daily_cap, gap_minutes: 200 });
          const sequences = edited(edit);
          const before = await forecastNow(workspaceId);
          const rows = await everyRow(sql);
          const answer = await ask(workspaceId, sequences);
          expect(await everyRow(sql)).toEqual(rows);
          expect(answer.before).toEqual(before);
          await apply(workspaceId, sequences);
          expect(answer.after).toEqual(await forecastNow(workspaceId));
          const gained = answer.changes.reduce(
            (sum, { before: was, after: is, steps }) =>
              sum + steps * (Number(is.kind === "touch") - Number(was.kind === "touch")),
            0,
          );
          expect(gained).toBe(touchesOf(answer.after) - touchesOf(answer.before));
        }),
        { numRuns: Math.ceil(16 / ONE_CASE_IN) },
      );
    },
  );

  long.it("is what the engine does once it is applied, also with pauses that the edit ends", async () => {
    const workspaceId = await populate({ daily_cap: 3 });
    const sequences = [
      sequence("Chase", [
        ...CHASE.steps.slice(0, 1),
        step("text", { channel: "task", delayMinutes: 90, timeToLiveMinutes: DAY }),
        step("company", { body: "Hello {{ lead.first_name }}", delayMinutes: 2 * DAY }),
        step("call", { channel: "sms", subject: null }),
      ]),
    ];
    const { before, after, changes } = await ask(workspaceId, sequences);
    const released = changes.filter(
      ({ before: was, after: is }) => was.reason === "missing_data" && is.kind === "touch",
    );
    expect(released).toMatchObject([{ step: "company", steps: 1 }]);
    await apply(workspaceId, sequences);
    await simulate(runner, sql, { from: +NOW - MINUTE, until: +NOW + DAYS * DAY * MINUTE });
    const { rows } = await sql.query(
      `select to_char(sent_at at time zone 'Europe/Berlin', 'YYYY-MM-DD') as day, channel::text, count(*)::int as touches
         from touch where status = 'sent' group by 1, 2 order by 1, 2`,
    );
    const sent: Record<string, Record<string, number>> = {};
    for (const { day, channel, touches } of rows) sent[day] = { ...sent[day], [channel]: touches };
    expect(Object.fromEntries(after.days.map(({ day, touches }) => [day, touches]))).toEqual(sent);
    expect(after.days).not.toEqual(before.days);
  });

  it("is nothing for sequences as they are stored, and for steps, order and delays, which leads in progress keep", async () => {
    const workspaceId = await populate({});
    const none = { earlier: 0, later: 0, added: 0, removed: 0 };
    const stored = await ask(workspaceId, [CHASE, NURTURE]);
    expect(stored).toMatchObject({ changes: [], ends: none, plans: [{ isChanged: false }, { isChanged: false }] });
    const reordered = sequence("Chase", [step("new"), ...CHASE.steps.map((one) => ({ ...one, delayMinutes: 5 }))]);
    const { plans, changes } = await ask(workspaceId, [reordered, sequence("Another", [step("one")])]);
    expect(changes).toEqual([]);
    expect(plans).toMatchObject([
      { isChanged: true, needsNewVersion: true, inside: 16 },
      { isNew: true, isChanged: true },
    ]);
    const [, text = step("text"), ...others] = CHASE.steps;
    const reworded = sequence("Chase", [...CHASE.steps.slice(0, 1), { ...text, body: "Another" }, ...others]);
    expect((await ask(workspaceId, [reworded])).changes).not.toEqual([]);
  });

  it("says in a sentence each what moves, expires, waits or no longer goes", async () => {
    const workspaceId = await addWorkspace(sql, { ...WEEK, gap_minutes: 200 });
    const [saved] = await apply(workspaceId, [CHASE]);
    for (let index = 0; index < 4; index += 1) {
      const due = new Date(Date.parse("2027-03-12T09:00:00Z"));
      await addInstance(sql, await addLead(sql, workspaceId, { company: "Acme" }), saved?.id ?? "", {
        next_step_due: due,
      });
    }
    const [hello = step("hello"), text = step("text"), ...others] = CHASE.steps;
    const reworded = { ...hello, body: "Dear {{ lead.first_name }}" };
    const expiring = effectText(
      await ask(workspaceId, [sequence("Chase", [reworded, { ...text, timeToLiveMinutes: 60 }, ...others])]),
    );
    expect(expiring).toContain("Chase, step hello: 4 touches by email have another text\n");
    expect(expiring).toContain("Chase, step text: 4 touches by sms would expire first\n");
    expect(expiring).toMatch(/2027-03-12 .*4 → 0/);
    const skipped: WrittenStep = { ...hello, condition: "linkedin_connected" };
    const earlier = effectText(await ask(workspaceId, [sequence("Chase", [skipped, text, ...others])]));
    expect(earlier).toMatch(/step hello: 4 touches by email do not go: the step requires a LinkedIn connection/);
    expect(earlier).toContain(
      "step text: 4 touches by sms move earlier, Friday 2027-03-12 11:30 (2027-03-12T10:30Z)\n",
    );
    const off = effectText(await ask(workspaceId, [{ ...CHASE, active: false }]));
    expect(off).toContain("Chase, step hello: 4 touches by email do not go: the sequence is inactive: held\n");
    expect(off).toContain("Chase, step text: 4 touches by sms are not reached in these days\n");
  });

  it("is refused like the apply itself, with the same faults", async () => {
    const workspaceId = await populate({});
    const other = {
      ...CHASE,
      triggerOn: "manual" as const,
      steps: [step("hello", { body: "{{ lead.fields.shoe }}" })],
    };
    const replied = await answerQuestion(sql, {
      question: forecastSequences.name,
      input: { workspace: workspaceId, sequences: [other] },
    });
    expect(replied).toMatchObject({
      code: "not_applicable",
      message: expect.stringMatching(/triggerOn: cannot change.*lead\.fields\.shoe/),
    });
  });
});
