import { describe, expect, it } from "@jest/globals";
import { LEAD_COLUMNS, TEMPLATE_KEYS } from "../../lib/domain/lead-columns.ts";
import type { ResumableReason } from "../../lib/run/store-ports.ts";
import {
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addWorkspace,
  type Columns,
} from "../support/factories.ts";
import { long } from "../support/long.ts";
import { clockAt, useRunner } from "../support/run.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";

const NOW = new Date("2030-01-07T09:00:00Z");
const HOUR_MS = 60 * 60_000;
const at = (hours: number) => new Date(NOW.getTime() + hours * HOUR_MS);
const REPLIED = at(-24 * 8);
const ANSWERED = at(-24 * 7.5);

const { sql, runner } = await useRunner({ empty: true });

const STEPS = ["resume-snoozed", "resume-ghosted", "resume-awaiting-enrichment", "resume-repaired"] as const;

const resumeAt = async (hours: number) => {
  const report = await runner.run({ only: [...STEPS] }, clockAt(at(hours)));
  expect(report).toMatchObject({ success: true });
  const { snoozed, resumed, enrichmentResumed, repaired } = report;
  const total = (key: "checked" | "resumed") =>
    [snoozed, resumed, enrichmentResumed, repaired].reduce((sum, counts) => sum + (counts?.[key] ?? Number.NaN), 0);
  return { checked: total("checked"), resumed: total("resumed") };
};

interface Pause {
  readonly reason: ResumableReason;
  readonly lead?: Columns;
  readonly workspace?: Columns;
  readonly sequence?: Columns;
  readonly instance?: Columns;
  readonly steps?: readonly Columns[];
}

/** Adds a paused instance and returns the ids of its rows. */
async function addPaused({ reason, lead, workspace, sequence, instance, steps = [{}] }: Pause) {
  const workspaceId = await addWorkspace(sql, workspace);
  const added = await addSequence(sql, workspaceId, { steps: [...steps], ...sequence });
  const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, added.id, {
    lead: lead ?? {},
    instance: { status: "paused", paused_reason: reason, ...instance },
  });
  return { instanceId, leadId, workspaceId, sequenceId: added.id };
}

const SNOOZE_OVER: Pause = { reason: "lead_snoozed" };
const GHOSTED: Pause = { reason: "lead_replied", lead: { last_inbound_at: REPLIED, last_outbound_at: ANSWERED } };
const DATA_CAME: Pause = { reason: "awaiting_enrichment", lead: { enrichment_status: "completed" } };
const REPAIRED: Pause = { reason: "missing_data" };
/** As a run pauses a lead whose automation is off. */
const SWITCHED_ON: Pause = { reason: "manual", instance: { recheck_at: NOW } };
const OVER = [SNOOZE_OVER, GHOSTED, DATA_CAME, REPAIRED, SWITCHED_ON];
/** A step that needs a value, which the lead lacks. */
const lacks = (column: string): Pause => ({
  reason: "missing_data",
  lead: { [column]: null },
  steps: [{ channel: "task", subject: null, body: `About {{ lead.${column} }}` }],
});
const SMS = { channel: "sms", subject: null };
const NO_PHONE = { enrichment_status: "pending", phone: null };

interface Change {
  readonly name: string;
  readonly pause: Pause;
  /** The row that `$1` identifies. */
  readonly of: "instanceId" | "leadId" | "workspaceId" | "sequenceId";
  readonly statement: string;
}

const barred = (name: string, lead: Columns, assignment: string): readonly Change[] =>
  OVER.map((pause) => ({
    name: `${pause.reason}: ${name}`,
    pause: { ...pause, lead: { ...pause.lead, ...lead } },
    of: "leadId",
    statement: `update lead set ${assignment} where id = $1`,
  }));

const ofLead = (name: string, pause: Pause, assignment: string): Change => ({
  name: `${pause.reason}: ${name}`,
  pause,
  of: "leadId",
  statement: `update lead set ${assignment} where id = $1`,
});

/** For each column that determines whether a pause is over, a change that ends the pause. */
const CHANGES: readonly Change[] = [
  ...barred("the lead is no longer blacklisted", { status: "blacklisted" }, "status = 'qualified'"),
  ...barred("the lead is no longer unqualified", { status: "unqualified" }, "status = 'new'"),
  ...barred("the lead is interested again", { status: "not-interested" }, "status = 'qualified'"),
  ...OVER.map(
    (pause): Change => ({
      name: `${pause.reason}: the lead opted in again`,
      pause: { ...pause, lead: { ...pause.lead, opted_out_at: REPLIED } },
      of: "leadId",
      statement: `with lifted as (update lead set opted_out_at = null where id = $1 returning workspace_id)
                  delete from suppression using lifted where suppression.workspace_id = lifted.workspace_id`,
    }),
  ),
  ...barred("the lead is switched on", { automation_enabled: false }, "automation_enabled = true"),
  ...barred("the status is no longer booked", { status: "meeting-booked" }, "status = 'qualified'"),
  ...barred("the meeting was missed", { status: "meeting-booked" }, "missed_at = now()"),
  ...barred("the meeting is over", { booked_until: at(1) }, "booked_until = null"),
  ...OVER.map(
    (pause): Change => ({
      name: `${pause.reason}: the workspace is resumed`,
      pause: { ...pause, workspace: { paused_at: REPLIED } },
      of: "workspaceId",
      statement: "update workspace set paused_at = null where id = $1",
    }),
  ),
  ...OVER.map(
    (pause): Change => ({
      name: `${pause.reason}: the sequence prepares a meeting now`,
      pause: { ...pause, lead: { ...pause.lead, status: "meeting-booked" } },
      of: "sequenceId",
      statement: "update follow_up_sequence set trigger_on = 'meeting_selected' where id = $1",
    }),
  ),
  ...TEMPLATE_KEYS.map((key) => {
    const { column, example } = LEAD_COLUMNS[key];
    return ofLead(`the lead has a ${column}`, lacks(column), `${column} = '${example}'`);
  }),
  {
    name: "missing_data: an application writes back every column of the lead",
    pause: lacks("company"),
    of: "leadId",
    statement: "update lead set company = 'Harbour', last_outbound_at = last_outbound_at, phone = phone where id = $1",
  },
  {
    name: "missing_data: the workspace has a name",
    pause: { reason: "missing_data", workspace: { name: " " }, steps: [{ body: "From {{ workspace.name }}" }] },
    of: "workspaceId",
    statement: "update workspace set name = 'Harbour' where id = $1",
  },
  {
    name: "missing_data: the text needs the value no longer",
    pause: lacks("company"),
    of: "sequenceId",
    statement: "update follow_up_step set body = 'Hello' where sequence_id = $1",
  },
  {
    name: "missing_data: the condition skips the step",
    pause: lacks("company"),
    of: "sequenceId",
    statement: "update follow_up_step set condition = 'linkedin_connected' where sequence_id = $1",
  },
  {
    name: "missing_data: the step is gone",
    pause: lacks("company"),
    of: "sequenceId",
    statement: "delete from follow_up_step where sequence_id = $1",
  },
  ofLead(
    "a contact is taken back",
    { ...GHOSTED, lead: { ...GHOSTED.lead, last_contacted_at: at(-1) } },
    "last_contacted_at = null",
  ),
  ofLead("it ends early", { reason: "lead_snoozed", lead: { snoozed_until: at(999) } }, "snoozed_until = null"),
  ofLead(
    "it is shortened",
    { reason: "lead_snoozed", lead: { snoozed_until: at(999) } },
    "snoozed_until = '2030-01-01'",
  ),
  ofLead(
    "the reply was answered a week ago",
    { reason: "lead_replied", lead: { last_inbound_at: REPLIED } },
    `last_outbound_at = '${ANSWERED.toISOString()}'`,
  ),
  ofLead(
    "an answer to an older reply is now the last message",
    { reason: "lead_replied", lead: { last_inbound_at: at(-1), last_outbound_at: ANSWERED } },
    `last_inbound_at = '${REPLIED.toISOString()}'`,
  ),
  ofLead(
    "the silence began earlier",
    { reason: "lead_replied", lead: { last_inbound_at: at(-24), last_outbound_at: at(-23) } },
    `last_inbound_at = '${REPLIED.toISOString()}'`,
  ),
  {
    name: "lead_replied: the workspace waits for fewer days",
    pause: { ...GHOSTED, workspace: { ghosted_after_days: 30 } },
    of: "workspaceId",
    statement: "update workspace set ghosted_after_days = 8 where id = $1",
  },
  ofLead("the phone came", { reason: "awaiting_enrichment", lead: NO_PHONE, steps: [SMS] }, "phone = '+4930123456'"),
  ofLead(
    "the e-mail came",
    { reason: "awaiting_enrichment", lead: { ...NO_PHONE, email: null } },
    "email = 'ada@example.test'",
  ),
  ofLead(
    "it will not come",
    { reason: "awaiting_enrichment", lead: NO_PHONE, steps: [SMS] },
    "enrichment_status = 'failed'",
  ),
  {
    name: "awaiting_enrichment: the step is on another channel",
    pause: { reason: "awaiting_enrichment", lead: NO_PHONE, steps: [SMS] },
    of: "sequenceId",
    statement: "update follow_up_step set channel = 'task' where sequence_id = $1",
  },
  {
    name: "awaiting_enrichment: the step is gone",
    pause: { reason: "awaiting_enrichment", lead: NO_PHONE, steps: [SMS, {}] },
    of: "sequenceId",
    statement: "delete from follow_up_step where sequence_id = $1 and position = 1",
  },
  {
    name: "awaiting_enrichment: a step comes before it",
    pause: {
      reason: "awaiting_enrichment",
      lead: NO_PHONE,
      steps: [{}, { ...SMS, position: 3 }],
      instance: { position: 2 },
    },
    of: "sequenceId",
    statement: `insert into follow_up_step (workspace_id, sequence_id, position, delay_minutes, channel, body)
                select workspace_id, id, 2, 5, 'task', 'Call' from follow_up_sequence where id = $1`,
  },
  {
    name: "awaiting_enrichment: the instance is moved to another step",
    pause: { reason: "awaiting_enrichment", lead: NO_PHONE, steps: [SMS, {}] },
    of: "instanceId",
    statement: "update follow_up_instance set position = 2 where id = $1",
  },
  {
    name: "awaiting_enrichment: the pause was for a snooze that is over",
    pause: { reason: "awaiting_enrichment", lead: NO_PHONE, steps: [SMS] },
    of: "instanceId",
    statement: "update follow_up_instance set paused_reason = 'lead_snoozed' where id = $1",
  },
];

describe("a pause that only a change can end", () => {
  it.each(CHANGES)("ends with the next run after it: $name", async ({ pause, of, statement }) => {
    const ids = await addPaused(pause);
    expect(await resumeAt(0)).toEqual({ checked: 1, resumed: 0 });
    expect(await resumeAt(24)).toEqual({ checked: 0, resumed: 0 });
    await sql.query(statement, [ids[of]]);
    expect(await resumeAt(25)).toEqual({ checked: 1, resumed: 1 });
  });

  it.each([
    ["a new name", "update lead set first_name = 'Eve'"],
    ["a reply to a lead that is waited for", "update lead set last_inbound_at = now()"],
    ["a send to a lead with an unanswered reply", "update lead set last_outbound_at = '2020-01-01'"],
    ["a new name of the workspace", "update workspace set name = 'Harbour'"],
    ["a pause of the workspace", "update workspace set paused_at = now()"],
    ["another text of the step", "update follow_up_step set body = 'Hi'"],
  ])("is not rechecked for a change that cannot end it: %s", async (_, statement) => {
    await addPaused({ reason: "lead_replied", lead: { last_inbound_at: REPLIED } });
    expect(await resumeAt(0)).toEqual({ checked: 1, resumed: 0 });
    await sql.query(statement);
    expect(await resumeAt(1)).toEqual({ checked: 0, resumed: 0 });
  });

  it.each<readonly [string, string, Columns, Columns]>([
    ["the lead", "update lead set automation_enabled = true", { automation_enabled: false }, {}],
    ["its workspace", "update workspace set paused_at = null", {}, { paused_at: REPLIED }],
  ])("ends even if %s changes while a run checks it", async (_, statement, lead, workspace) => {
    const { instanceId } = await addPaused({ reason: "lead_snoozed", lead, workspace });
    const change = await openTransaction(sql);
    await change.query(statement);
    expect(await resumeAt(0)).toEqual({ checked: 0, resumed: 0 });
    await change.commit();
    expect(await resumeAt(0)).toEqual({ checked: 1, resumed: 1 });

    await sql.query(
      "update follow_up_instance set status = 'paused', paused_reason = 'lead_snoozed', next_step_due = null where id = $1",
      [instanceId],
    );
    await sql.query("update lead set automation_enabled = $1", [lead["automation_enabled"] ?? true]);
    await sql.query("update workspace set paused_at = $1", [workspace["paused_at"] ?? null]);
    const run = await openTransaction(sql);
    await run.query("select from follow_up_instance where id = $1 for no key update", [instanceId]);
    await run.query("update follow_up_instance set recheck_at = 'infinity' where id = $1", [instanceId]);
    const changed = sql.query(statement);
    await untilBlockedBy(sql, run.pid);
    await run.commit();
    await changed;
    expect(await resumeAt(1)).toEqual({ checked: 1, resumed: 1 });
  });
});

describe("a manual pause that a person typed", () => {
  const BY_HAND = "update follow_up_instance set status = 'paused', paused_reason = 'manual', next_step_due = null";

  it.each<readonly [string, Pause]>([
    [
      "an active instance",
      { reason: "manual", instance: { status: "active", paused_reason: null, next_step_due: NOW } },
    ],
    ["another pause", { reason: "lead_snoozed", lead: { snoozed_until: at(999) } }],
  ])("stays when the lead's automation is switched off and on again: over %s", async (_, pause) => {
    await addPaused(pause);
    await sql.query(BY_HAND);
    await sql.query("update lead set automation_enabled = false");
    await sql.query("update lead set automation_enabled = true, company = 'Harbour'");
    await sql.query("update workspace set paused_at = now()");
    await sql.query("update workspace set paused_at = null");
    expect(await resumeAt(1)).toEqual({ checked: 0, resumed: 0 });
  });
});

describe("a run that pauses", () => {
  it.each<readonly [string, Pause, string]>([
    ["manual", { reason: "manual", lead: { automation_enabled: false } }, "automation_enabled = true"],
    ["missing_data", lacks("company"), "company = 'Harbour'"],
  ])("resumes and sends once the cause is gone: %s", async (reason, pause, repair) => {
    const active = { status: "active", paused_reason: null, next_step_due: NOW };
    const { leadId, instanceId } = await addPaused({ ...pause, instance: active });
    const runAt = (hours: number) => runner.run({}, clockAt(at(hours)));
    expect(await runAt(0)).toMatchObject({ results: { reasons: { [reason]: 1 } } });
    expect(await runAt(1)).toMatchObject({ repaired: { checked: 0 }, results: { due: 0 } });
    expect(await runAt(24)).toMatchObject({ repaired: { checked: 1, resumed: 0 }, results: { due: 0 } });
    expect(await runAt(48)).toMatchObject({ repaired: { checked: 0 }, results: { due: 0 } });
    await sql.query(`update lead set ${repair} where id = $1`, [leadId]);
    expect(await runAt(49)).toMatchObject({ repaired: { checked: 1, resumed: 1 }, results: { delivery: { sent: 1 } } });
    const { rows } = await sql.query("select status::text from follow_up_instance where id = $1", [instanceId]);
    expect(rows).toEqual([{ status: "completed" }]);
  });
});

describe("a value that is added while a run checks its pause", () => {
  const ADDED = "update lead set company = 'Harbour'";

  it("resumes the instance, whichever of the two commits first", async () => {
    const { instanceId } = await addPaused(lacks("company"));
    const change = await openTransaction(sql);
    await change.query(ADDED);
    expect(await resumeAt(0)).toEqual({ checked: 0, resumed: 0 });
    await change.commit();
    expect(await resumeAt(0)).toEqual({ checked: 1, resumed: 1 });

    await sql.query("update lead set company = null");
    await sql.query(
      "update follow_up_instance set status = 'paused', paused_reason = 'missing_data', next_step_due = null",
    );
    const run = await openTransaction(sql);
    await run.query("select from follow_up_instance where id = $1 for no key update", [instanceId]);
    await run.query("update follow_up_instance set recheck_at = 'infinity' where id = $1", [instanceId]);
    const changed = sql.query(ADDED);
    await untilBlockedBy(sql, run.pid);
    await run.commit();
    await changed;
    expect(await resumeAt(1)).toEqual({ checked: 1, resumed: 1 });
  });
});

describe("a pause of a sequence that prepares a meeting", () => {
  it("ends while the lead is booked, and one of a sequence that chases the meeting does not", async () => {
    const prepares = { trigger_on: "meeting_selected" };
    const lead = { status: "meeting-booked" };
    for (const pause of OVER) await addPaused({ ...pause, lead: { ...pause.lead, ...lead }, sequence: prepares });
    expect(await resumeAt(0)).toEqual({ checked: OVER.length, resumed: OVER.length });
    for (const pause of OVER) await addPaused({ ...pause, lead: { ...pause.lead, ...lead } });
    expect(await resumeAt(0)).toEqual({ checked: OVER.length, resumed: 0 });
  });
});

describe("a month of runs", () => {
  /** Identifies the row versions; any update changes it. */
  const versions = async () => {
    const { rows } = await sql.query<{ version: string }>(
      "select id || ' ' || xmin || ' ' || ctid as version from follow_up_instance order by id",
    );
    return rows.map(({ version }) => version);
  };

  const checkedBetween = async (from: number, until: number) => {
    let checked = 0;
    for (let hour = from; hour < until; hour += 3) checked += (await resumeAt(hour)).checked;
    return checked;
  };

  long.it("updates a paused instance once per change, and never without a change", async () => {
    const workspaceId = await addWorkspace(sql);
    const sequence = await addSequence(sql, workspaceId);
    const paused = async (reason: string, number: number) => {
      const lead = { last_inbound_at: at(-number), snoozed_until: at(24 * 365), ...NO_PHONE, email: null };
      const leadId = await addLead(sql, workspaceId, lead);
      await addInstance(sql, leadId, sequence.id, { status: "paused", paused_reason: reason });
      return leadId;
    };
    const unanswered = await paused("lead_replied", 0);
    for (const reason of ["lead_replied", "lead_snoozed", "awaiting_enrichment"]) {
      for (let number = 0; number < 10; number++) await paused(reason, number);
    }
    expect(await resumeAt(0)).toEqual({ checked: 31, resumed: 0 });
    const before = await versions();
    expect(await checkedBetween(1, 24 * 15)).toBe(0);
    expect(await versions()).toEqual(before);

    await sql.query("update lead set last_outbound_at = $2 where id = $1", [unanswered, at(24 * 15)]);
    expect(await checkedBetween(24 * 15, 24 * 30)).toBe(1);
    const changed = (await versions()).filter((version) => !before.includes(version));
    expect(changed).toHaveLength(1);
  });
});
