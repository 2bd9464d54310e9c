import {
  addAppointment,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  LONG_AGO,
  type Sql,
} from "./factories.ts";
import type { Column } from "./odd-values.ts";

/** A Monday in winter, 10:00 in Berlin. */
export const NOW = new Date("2030-01-07T09:00:00Z");
const HOUR_AGO = new Date("2030-01-07T08:00:00Z");

/** Parts of each lead's personal data. No report may contain one. */
export const PERSONAL = ["Adafirst", "Lovelast", "Enginecompany", "adamail", "+4930555", "adalink"];

/** Addresses are unique: a fact that stops one lead would also stop another with its address. */
const personal = (number: number): Columns => ({
  first_name: "Adafirst",
  last_name: "Lovelast",
  company: "Enginecompany",
  email: `adamail${number}@example.test`,
  phone: `+4930555${100 + number}`,
  linkedin_url: "https://linkedin.example/adalink",
});

/** The first step as rendered for each lead. */
const TEXT = { subject: "For Adafirst", body: "Hello Adafirst, shall we talk?" };

/**
 * Adds a workspace with a row in every table of a tenant and work for every step of a run. Each lead's external id
 * names its expected outcome.
 */
export async function addWholeTenant(sql: Sql): Promise<string> {
  const workspaceId = await addWorkspace(sql, {
    time_zone: "Europe/Berlin",
    holiday_country: "DE",
    holiday_region: "BE",
    own_holidays: ["2030-12-24"],
    working_dates: ["2030-12-26"],
    daily_cap: 1_000,
    digest_email: "digest@harbour.test",
    digest_webhook_url: "https://hooks.example/secret",
    next_digest_at: HOUR_AGO,
  });
  const steps = [{}, { channel: "sms" }, { channel: "webhook" }, { channel: "task" }];
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps });
  const prepare = await addSequence(sql, workspaceId, { name: "Prepare", trigger_on: "meeting_selected" });
  let number = 0;
  const lead = (role: string, columns: Columns = {}) =>
    addLead(sql, workspaceId, { ...personal(++number), external_id: role, time_zone: "Europe/Berlin", ...columns });
  const chased = async (role: string, instance: Columns, columns: Columns = {}) => {
    const leadId = await lead(role, columns);
    return { leadId, instanceId: await addInstance(sql, leadId, chase.id, instance) };
  };
  const paused = (paused_reason: string) => ({ status: "paused", paused_reason, recheck_at: HOUR_AGO });
  const touched = async (role: string, instance: Columns, touch: Columns, columns: Columns = {}) => {
    const { leadId, instanceId } = await chased(role, { position: 2, ...instance }, columns);
    return { leadId, touchId: await addTouch(sql, instanceId, chase.steps[0] ?? "", { ...TEXT, ...touch }) };
  };
  const later = { next_step_due: FAR_AHEAD };

  for (const [index, role] of ["mailed", "texted", "posted", "called"].entries()) {
    await chased(role, { position: index + 1, next_step_due: HOUR_AGO });
  }
  const shared = { email: "adamail@example.test", phone: "+4930555999" };
  await chased("first twin", { next_step_due: LONG_AGO }, shared);
  await chased("second twin", { next_step_due: HOUR_AGO }, shared);
  await chased("held", { next_step_due: HOUR_AGO, hold_reason: "outside_send_window", held_since: LONG_AGO });
  await chased("snoozed", paused("lead_snoozed"), { snoozed_until: HOUR_AGO, snoozed_at: LONG_AGO });
  await chased("silent", paused("lead_replied"), {
    last_inbound_at: LONG_AGO,
    last_outbound_at: new Date(LONG_AGO.getTime() + 1),
  });
  await chased("enriched", { ...paused("awaiting_enrichment") }, { enrichment_status: "completed" });
  await chased("completed data", { ...paused("missing_data") });
  await chased("switched on", { ...paused("manual") });
  const due = { attempts: 1, failures: 1, next_attempt_at: HOUR_AGO, recheck_at: HOUR_AGO, last_attempt_at: LONG_AGO };
  await touched("retried", later, due, { last_outbound_at: LONG_AGO, last_email_at: LONG_AGO });
  await touched("decided anew", later, { ...due, send_until: HOUR_AGO, expected_outbound_at: LONG_AGO });
  await touched("died", later, { status: "sending", attempts: 1, last_attempt_at: HOUR_AGO, recheck_at: HOUR_AGO });
  const asked = { status: "paused", paused_reason: "awaiting_approval", position: 1 };
  await touched("asked", asked, { status: "awaiting_approval", expires_at: FAR_AHEAD });
  await touched("approved", asked, { status: "awaiting_approval", expires_at: FAR_AHEAD });
  await touched("forgotten", asked, { status: "awaiting_approval", expires_at: HOUR_AGO });
  const sent = { status: "sent", provider_id: "<first@mail.example>", last_attempt_at: LONG_AGO };
  await touched("threaded", { next_step_due: HOUR_AGO }, sent, { last_email_at: LONG_AGO, last_outbound_at: LONG_AGO });
  const times = await addSequence(sql, workspaceId, {
    name: "Times",
    steps: [{ channel: "sms", subject: null, body: "When? {{ slots }}" }],
  });
  await addInstance(sql, await lead("offers"), times.id, { next_step_due: HOUR_AGO });
  const { leadId: offered, touchId: offering } = await touched("offered", later, {
    ...{ next_attempt_at: HOUR_AGO, recheck_at: HOUR_AGO, send_until: FAR_AHEAD },
    ...{ offer_version: 0, offer_until: FAR_AHEAD, body: "When? \u{fdd0}slots:gone\u{fdd1}" },
  });
  const failed = await touched("failed", later, { status: "failed", reason: "refused" });
  const { leadId: booked } = await chased("booked", later);
  await addAppointment(sql, booked, { external_id: "ahead" });
  const over = await lead("met");
  await addAppointment(sql, over, {
    starts_at: new Date("2029-01-01T10:00:00Z"),
    ends_at: new Date("2029-01-01T11:00:00Z"),
  });
  await addInstance(sql, over, prepare.id, { next_step_due: HOUR_AGO });
  for (const role of ["opts out", "books", "replies", "is called", "sleeps", "enrols"]) await chased(role, later);

  await sql.query(
    `with digest as (
       insert into public.notification_digest (workspace_id, window_start, window_end)
       values ($1, '2030-01-05T07:00Z', '2030-01-06T07:00Z') returning id),
     told as (
       insert into public.notification_event (workspace_id, kind, lead_id, occurred_at, digest_id)
       select $1, 'lead_replied', $2, '2030-01-05T09:00Z', id from digest),
     waiting as (
       insert into public.digest_delivery (workspace_id, digest_id, channel, recheck_at)
       select $1, id, 'email', $4 from digest),
     died as (
       insert into public.digest_delivery (workspace_id, digest_id, channel, status, recheck_at)
       select $1, id, 'webhook', 'sending', $4 from digest),
     met as (
       insert into public.notification_event (workspace_id, kind, lead_id, occurred_at)
       values ($1, 'meeting_booked', $2, '2030-01-06T09:00Z')),
     task as (
       insert into public.task (workspace_id, touch_id, lead_id, title, notes) values ($1, $3, $5, 'Call', 'Soon')),
     reopened as (
       insert into public.reopening (workspace_id, instance_id, lead_id, generation, position, ended_as, reason,
                                     reopened_by, reopened_at)
       select $1, id, lead_id, 2, 1, 'completed', 'A test booking', 'Hana', $4
         from public.follow_up_instance where lead_id = $5),
     suppressed as (
       insert into public.suppression (workspace_id, hash, reason, kind, source)
       values ($1, sha256('somebody else'), 'undeliverable', 'email', 'test')),
     deferred as (
       insert into public.transient_bounce (workspace_id, hash, cause, occurred_at)
       values ($1, sha256('somebody else'), 'event', $4)),
     ordered as (
       insert into public.placed_order (id, workspace_id, lead_id, name, input_hash, placed_by, reason, placed_at, answer)
       values (gen_random_uuid(), $1, $2, 'leads stop', sha256('input'), 'Hana', 'asked by phone', $4, '{}')),
     flagged as (
       insert into public.guardrail_check (workspace_id) values ($1)),
     swept as (
       insert into public.connection_sweep
              (workspace_id, tool, sweep_window, first_at, swept_at, tried_at, seen, changed)
       values ($1, 'calendly', 'hot', $4, $4, $4, 1, 0)),
     free as (
       insert into public.availability (workspace_id, tool, taken_at, starts_at, ends_at, version)
       values ($1, 'calendly', '2030-01-07T08:59Z', '{2030-01-08T10:00Z}', '{2030-01-08T10:30Z}', 1)),
     offered as (
       insert into public.offered_time (touch_id, workspace_id, lead_id, starts_at, ends_at)
       values ($6, $1, $7, '2030-01-08T09:00Z', '2030-01-08T09:30Z')),
     field as (
       insert into public.lead_field (workspace_id, name) values ($1, 'plan')),
     taken_in as (
       insert into public.intake_event (workspace_id, event_id, detail_type, occurred_at, outcome)
       values ($1, 'event', 'lead.replied', $4, '{}'))
     insert into public.notification_event (workspace_id, kind, touch_id, occurred_at)
     values ($1, 'touch_failed', $3, '2030-01-06T09:00Z')`,
    [workspaceId, booked, failed.touchId, HOUR_AGO, failed.leadId, offering, offered],
  );
  return workspaceId;
}

/** Copies the tenant's rows to the schema `aside`, from which `copyTenant` creates tenants. */
export async function keepAside(sql: Sql, tables: readonly string[], workspaceId: string): Promise<void> {
  await sql.query("create schema aside");
  for (const table of tables) {
    await sql.query(
      `create table aside.${table} as select * from public.${table} where ${keyOf(table)} = '${workspaceId}'`,
    );
  }
}

const keyOf = (table: string): string => (table === "workspace" ? "id" : "workspace_id");

export interface TenantCopy {
  readonly id: string;
  /** Lead ids by role, which names the expected outcome. */
  readonly leads: ReadonlyMap<string, string>;
}

/** Creates tenants from the rows in `aside`, with new keys. Triggers are off, so that they do not change the copies. */
export async function copyTenant(sql: Sql, columns: readonly Column[], copies: number): Promise<readonly TenantCopy[]> {
  await sql.query("set session_replication_role = replica");
  for (const [table, ofTable] of Map.groupBy(columns, (column) => column.table)) {
    const values = ofTable.map(({ name, type }) => (type === "uuid" ? `${keyOfCopy(name)} as ${name}` : name));
    await sql.query(
      `insert into public.${table} (${ofTable.map(({ name }) => name).join(", ")})
       select ${values.join(", ")} from aside.${table} cross join generate_series(1, $1::int) as copy`,
      [copies],
    );
  }
  await sql.query("reset session_replication_role");
  const { rows } = await sql.query<{ copy: number; id: string; role: string; lead_id: string }>(
    `select copy, ${keyOfCopy("workspace_id")} as id, external_id as role, ${keyOfCopy("id")} as lead_id
       from aside.lead cross join generate_series(1, $1::int) as copy order by copy`,
    [copies],
  );
  return [...Map.groupBy(rows, ({ copy }) => copy).values()].map((leads) => ({
    id: leads[0]?.id ?? "",
    leads: new Map(leads.map(({ role, lead_id }) => [role, lead_id])),
  }));
}

const keyOfCopy = (column: string): string => `md5(copy || ${column}::text)::uuid`;
