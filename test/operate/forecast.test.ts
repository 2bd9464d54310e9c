import { expect, it } from "@jest/globals";
import * as z from "zod";
import { wholeForecast } from "../../cli/forecast-pages.ts";
import { operatorOn } from "../../cli/operator.ts";
import { forecast } from "../../lib/operate/forecast.ts";
import { type Foreseen, futureOf } from "../../lib/operate/future.ts";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { readLivePage } from "../../lib/store/live-instances.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addInstance, addLead, addSequence, addTouch, addWorkspace } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { useRunner } from "../support/run.ts";
import { simulate } from "../support/simulation.ts";

const { sql, runner } = await useRunner({ empty: true });

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Two weeks with the change to summer time in Europe and in the United States, and holidays. */
const START = Date.parse("2027-03-10T06:00:00Z");
const END = START + 14 * DAY;

async function followed(workspaceId: string, at: Date) {
  return (await readLivePage(onPool(sql), { workspaceId, after: null, leads: 10_000 }, at)).instances;
}

const touchesOf = (foreseen: Iterable<Foreseen>): string[] =>
  [...foreseen].flatMap(({ kind, at, instanceId, position, channel }) =>
    kind === "touch" ? [`${at.toISOString()} ${instanceId} ${position} ${channel}`] : [],
  );

async function sentTouches(): Promise<string[]> {
  const { rows } = await sql.query(
    `select touch.sent_at, touch.instance_id, step.position, touch.channel::text
       from touch join follow_up_step as step on step.id = touch.step_id where touch.status = 'sent'`,
  );
  return rows.map((row) => `${row.sent_at.toISOString()} ${row.instance_id} ${row.position} ${row.channel}`);
}

const WEEK = { window_days: [1, 2, 3, 4, 5], window_start: "09:00", window_end: "17:00" };
const PLACES = [
  { name: "Gap and holidays", time_zone: "Europe/Berlin", holiday_country: "DE", gap_minutes: 2_000, ...WEEK },
  { name: "Cap", time_zone: "America/New_York", daily_cap: 3, ...WEEK },
  {
    name: "Night",
    time_zone: "Asia/Kolkata",
    window_days: [1, 2, 3, 4, 5, 6, 7],
    window_start: "22:00",
    window_end: "04:00",
  },
];
const ZONES = [null, "Europe/London", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"];
const STEPS = [
  { delay_minutes: 0, time_to_live_minutes: 3 * 24 * 60 },
  { delay_minutes: 90, channel: "sms" },
  { delay_minutes: 2 * 24 * 60, condition: "no_reply" },
  { delay_minutes: 24 * 60, needs_approval: true, time_to_live_minutes: 2 * 24 * 60 },
  { delay_minutes: 4 * 24 * 60, channel: "task" },
];

async function populate(): Promise<string[]> {
  const ids: string[] = [];
  for (const place of PLACES) {
    const workspaceId = await addWorkspace(sql, place);
    ids.push(workspaceId);
    const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: STEPS });
    const nurture = await addSequence(sql, workspaceId, {
      name: "Nurture",
      steps: [{}, { delay_minutes: 3 * 24 * 60 }],
    });
    for (let index = 0; index < 14; index += 1) {
      const snoozed = index % 9 === 0;
      const leadId = await addLead(sql, workspaceId, {
        time_zone: ZONES[index % ZONES.length],
        automation_enabled: index % 13 !== 0,
        snoozed_until: snoozed ? new Date(START + 3 * DAY) : null,
        // Every seventh lead shares its address with the one before.
        ...(index % 7 === 0 && { email: `shared-${Math.floor(index / 14)}@example.test` }),
      });
      const due = new Date(START + ((index * 7_919) % 4_000) * MINUTE);
      await addInstance(sql, leadId, chase.id, { next_step_due: due });
      if (index % 3 === 0) await addInstance(sql, leadId, nurture.id, { next_step_due: due });
    }
  }
  return ids;
}

/** A person answers the replies of every fifth lead: the silence that ends the pause counts from the answer. */
async function answerReplies(): Promise<void> {
  await sql.query(
    `with numbered as (select id, row_number() over (order by id) as number from lead)
     update lead set last_inbound_at = $1, last_outbound_at = $2, last_contacted_at = $2
       from numbered where numbered.id = lead.id and number % 5 = 2`,
    [new Date(START - 6 * DAY), new Date(START - 2 * DAY)],
  );
  await sql.query(
    `update follow_up_instance set status = 'paused', paused_reason = 'lead_replied', next_step_due = null
      where lead_id in (select id from lead where last_contacted_at is not null)`,
  );
}

long.it(
  "foresees exactly the touches that the engine sends, across the change to summer time, holidays, gaps and caps",
  async () => {
    const workspaces = await populate();
    await answerReplies();
    const foreseen: string[] = [];
    for (const id of workspaces) {
      foreseen.push(...touchesOf(futureOf(await followed(id, new Date(START)), new Date(START), new Date(END))));
    }
    await simulate(runner, sql, { from: START - MINUTE, until: END });
    const sent = await sentTouches();
    expect(sent.length).toBeGreaterThan(80);
    expect(foreseen.toSorted()).toEqual(sent.toSorted());
  },
);

it("says per workspace what goes out by day and hour, what is held, and what waits for approval", async () => {
  const workspaceId = await addWorkspace(sql, { name: "Harbour Homes" });
  const chase = await addSequence(sql, workspaceId, {
    steps: [{}, { needs_approval: true, time_to_live_minutes: 60 }],
  });
  const other = await addWorkspace(sql, { name: "Paused", paused_at: new Date() });
  const paused = await addSequence(sql, other);
  await addInstance(sql, await addLead(sql, workspaceId), chase.id);
  await addInstance(sql, await addLead(sql, other), paused.id);
  const replied = await answerQuestion(sql, { question: "forecast", input: { days: 7 } });
  if (replied.outcome !== "answered") throw new Error(replied.message);
  const { workspaces } = z.decode(forecast.answer, JSON.parse(JSON.stringify(replied.answer)));
  expect(workspaces).toMatchObject([
    {
      workspace: "Harbour Homes",
      liveInstances: 1,
      days: [{ touches: { email: 1 } }],
      approvals: { waiting: 1, expiring: 1 },
      outcomes: [],
    },
    { workspace: "Paused", days: [], outcomes: [{ kind: "hold", reason: "workspace_paused", steps: 1 }] },
  ]);
  expect((await sql.query("select from touch")).rowCount).toBe(0);
});

it("gives advice on the active sequences of each workspace", async () => {
  const workspaceId = await addWorkspace(sql, { name: "Harbour Homes" });
  const text = { channel: "task", subject: null, body: "Call {{ lead.company }}" };
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [text] });
  await addSequence(sql, workspaceId, { name: "Unused" });
  await addSequence(sql, workspaceId, { name: "Off", active: false });
  await addInstance(sql, await addLead(sql, workspaceId, { company: null }), chase.id);
  const replied = await answerQuestion(sql, { question: "forecast", input: { days: 1 } });
  expect(replied).toMatchObject({
    answer: {
      workspaces: [
        {
          advice: [
            { sequence: "Chase", kind: "value_missing" },
            { sequence: "Unused", step: null, kind: "nothing_starts" },
          ],
        },
      ],
    },
  });
});

it("shows every workspace, with any rows in another one", async () => {
  const healthy = await addWorkspace(sql, { name: "Healthy" });
  const chase = await addSequence(sql, healthy);
  await addInstance(sql, await addLead(sql, healthy), chase.id);
  const odd = [
    { time_zone: "Mars/Olympus" },
    { holiday_country: "ZZ", holiday_region: "none" },
    { window_days: [], window_start: "24:00" },
    { own_holidays: "{infinity}" },
    { daily_cap: 1, cap_day: "infinity", cap_used: 2_147_483_647 },
    { ghosted_after_days: 2_147_483_647 },
    { email_from: "first@example.test, second@example.test" },
  ];
  let written = 0;
  for (const columns of odd) {
    const id = await addWorkspace(sql, { name: JSON.stringify(columns), ...columns }).catch(() => null);
    if (id === null) continue;
    written += 1;
    const sequence = await addSequence(sql, id, { steps: [{ time_to_live_minutes: 60, body: "{{ broken" }, {}] });
    const leadId = await addLead(sql, id, {
      time_zone: "Nowhere",
      snoozed_until: "9999-12-31",
      created_at: "12000-01-01",
    });
    await addInstance(sql, leadId, sequence.id, { next_step_due: "9999-12-31" });
    await addInstance(sql, await addLead(sql, id), sequence.id);
  }
  expect(written).toBeGreaterThan(3);
  const replied = await answerQuestion(sql, { question: "forecast", input: { days: 7 } });
  if (replied.outcome !== "answered") throw new Error(replied.message);
  const { workspaces } = z.decode(forecast.answer, JSON.parse(JSON.stringify(replied.answer)));
  expect(workspaces).toHaveLength(written + 1);
  expect(workspaces.find(({ workspace }) => workspace === "Healthy")).toMatchObject({
    days: [{ touches: { email: 1 } }],
  });
});

it("foresees that a text that waits now expires, and what follows it", async () => {
  const at = new Date(START);
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { steps: [{ needs_approval: true }, { delay_minutes: 60 }] });
  const [first = ""] = chase.steps;
  const instanceId = await addInstance(sql, await addLead(sql, workspaceId), chase.id, {
    status: "paused",
    paused_reason: "awaiting_approval",
  });
  const expiresAt = new Date(START + 30 * MINUTE);
  await addTouch(sql, instanceId, first, { status: "awaiting_approval", expires_at: expiresAt, recheck_at: expiresAt });
  const kinds = [...futureOf(await followed(workspaceId, at), at, new Date(END))].map(({ kind }) => kind);
  expect(kinds).toEqual(["approval_expired", "touch", "complete"].slice(0, 2));
});

long.it("answers in pages of workspaces, which together name each once, by name", async () => {
  const names = Array.from({ length: 53 }, (_, index) => `Workspace ${String(index % 51).padStart(2, "0")}`);
  for (const name of names) {
    const id = await addWorkspace(sql, { name });
    await addInstance(sql, await addLead(sql, id), (await addSequence(sql, id)).id);
  }
  const first = await answerQuestion(sql, { question: "forecast", input: { days: 1 } });
  expect(first).toMatchObject({ answer: { next: expect.any(String) } });
  const { workspaces, next } = await wholeForecast(operatorOn(sql), { days: 1 });
  expect(next).toBeNull();
  expect(workspaces.map(({ workspace }) => workspace)).toEqual(names.toSorted());
  expect(new Set(workspaces.map(({ workspaceId }) => workspaceId)).size).toBe(53);
});
