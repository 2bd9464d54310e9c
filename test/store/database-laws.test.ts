import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import pg from "pg";
import * as labels from "../../lib/domain/labels.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import {
  addAppointment,
  addFollowedLead,
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  type Sql,
} from "../support/factories.ts";
import { openPoolUnder, SEARCH_PATHS } from "../support/search-paths.ts";
import { openTransaction, rollbackLeftOpen, untilBlockedBy } from "../support/transactions.ts";

let database: TestDatabase;
let sql: pg.Pool;
/** Ids by their names in the statements below. */
const ids = new Map<string, string>();

/** Runs a statement and rolls it back; `:lead` stands for the id of that name. */
async function attempt(statement: string): Promise<number | null> {
  const transaction = await openTransaction(sql);
  try {
    const text = statement.replace(/(?<!:):([a-z_]+)/g, (_, name: string) => {
      const id = ids.get(name);
      if (!id) throw new Error(`there is no row that is called ${name}`);
      return `'${id}'`;
    });
    return (await transaction.query(text)).rowCount;
  } finally {
    await transaction.rollback();
  }
}

interface Law {
  readonly name: string;
  readonly breaks: string;
  readonly keeps: string;
  /** The SQLSTATE, if the error names no constraint, unlike a violated CHECK, unique key or foreign key. */
  readonly code?: string;
}

const set = (table: string, row: string) => (assignment: string) =>
  `update public.${table} set ${assignment} where id = :${row}`;
const active = set("follow_up_instance", "active");
const paused = set("follow_up_instance", "paused");
const completed = set("follow_up_instance", "completed");
const touch = set("touch", "touch");
const waiting = set("touch", "waiting");
const step = set("follow_up_step", "step");
const sequence = set("follow_up_sequence", "chase");
const workspace = set("workspace", "here");
const lead = set("lead", "lead");
const appointment = set("appointment", "appointment");

const values = (columns: Readonly<Record<string, string>>): string =>
  `(${Object.keys(columns).join(", ")}) values (${Object.values(columns).join(", ")})`;
const inserting =
  (table: string, defaults: Readonly<Record<string, string>>) =>
  (columns: Readonly<Record<string, string>> = {}) =>
    `insert into public.${table} ${values({ ...defaults, ...columns })}`;

const instance = inserting("follow_up_instance", {
  workspace_id: ":here",
  lead_id: ":free",
  sequence_id: ":chase",
  status: "'active'",
  next_step_due: "now()",
});
const availability = inserting("availability", {
  workspace_id: ":here",
  tool: "'calendly'",
  taken_at: "now()",
  starts_at: "array[now()]",
  ends_at: "array[now()]",
  version: "1",
});
const offeredTime = inserting("offered_time", {
  workspace_id: ":here",
  touch_id: ":touch",
  lead_id: ":lead",
  starts_at: "now()",
  ends_at: "now() + interval '1 hour'",
});
const newTouch = inserting("touch", {
  workspace_id: ":here",
  instance_id: ":active",
  lead_id: ":lead",
  step_id: ":next_step",
  generation: "1",
  channel: "'email'",
  status: "'failed'",
  body: "'Hello'",
  claimed_at: "now()",
});
const newStep = inserting("follow_up_step", {
  workspace_id: ":here",
  sequence_id: ":other",
  position: "9",
  delay_minutes: "0",
  channel: "'email'",
  subject: "'Hello'",
  body: "'Hello'",
});
const newSequence = inserting("follow_up_sequence", {
  workspace_id: ":here",
  name: "'New'",
  trigger_on: "'manual'",
});
const newAppointment = inserting("appointment", {
  workspace_id: ":here",
  lead_id: ":free",
  external_id: "'new'",
  status: "'confirmed'",
  starts_at: "now()",
  ends_at: "now() + interval '1 hour'",
  last_event_at: "now()",
});
const digest = inserting("notification_digest", {
  workspace_id: ":here",
  window_start: "'2030-01-01'",
  window_end: "'2030-01-02'",
});
const LATER = "'2030-01-02'";
const sweep = inserting("connection_sweep", {
  workspace_id: ":here",
  tool: "'calendly'",
  sweep_window: "'hot'",
  first_at: "'2030-01-01'",
  swept_at: "'2030-01-01'",
  tried_at: "'2030-01-01'",
  fault: "'unavailable'",
  seen: "0",
  changed: "0",
});
const task = inserting("task", {
  workspace_id: ":here",
  touch_id: ":touch",
  lead_id: ":lead",
  title: "'Call'",
  notes: "''",
});
const notification = inserting("notification_event", {
  workspace_id: ":here",
  kind: "'backstop_completed'",
  occurred_at: "now()",
});
const delivery = inserting("digest_delivery", {
  workspace_id: ":here",
  digest_id: "(select id from made)",
  channel: "'email'",
  recheck_at: "now()",
});
const run = inserting("run", { trigger: "'manual'", request_id: "'r'", started_at: "now()", deadline_at: "now()" });
const intake = inserting("intake_event", {
  workspace_id: ":here",
  event_id: "'e'",
  detail_type: "'lead.replied'",
  occurred_at: "now()",
  outcome: "'{}'",
});

const reopening = inserting("reopening", {
  workspace_id: ":here",
  instance_id: ":completed",
  lead_id: ":done",
  generation: "2",
  position: "1",
  ended_as: "'completed'",
  reason: "'a test booking'",
  reopened_by: "'Hana'",
  reopened_at: "now()",
});

const INSTANCE_LAWS: readonly Law[] = [
  { name: "active_has_next_step_due", breaks: active("next_step_due = null"), keeps: active("next_step_due = now()") },
  {
    name: "active_has_next_step_due",
    breaks: active("status = 'cancelled'"),
    keeps: active("status = 'cancelled', next_step_due = null"),
  },
  { name: "paused_has_reason", breaks: paused("paused_reason = null"), keeps: paused("paused_reason = 'manual'") },
  {
    name: "paused_has_reason",
    breaks: paused("status = 'active', next_step_due = now()"),
    keeps: paused("status = 'active', next_step_due = now(), paused_reason = null"),
  },
  {
    name: "completed_has_completed_at",
    breaks: active("status = 'completed', next_step_due = null"),
    keeps: active("status = 'completed', next_step_due = null, completed_at = now()"),
  },
  {
    name: "hold_has_reason_and_start",
    breaks: active("hold_reason = 'window'"),
    keeps: active("hold_reason = 'window', held_since = now()"),
  },
  {
    name: "hold_only_while_active",
    breaks: completed("hold_reason = 'window', held_since = now()"),
    keeps: active("hold_reason = 'window', held_since = now()"),
  },
  {
    name: "recheck_only_while_paused",
    breaks: active("recheck_at = now()"),
    keeps: paused("recheck_at = now()"),
  },
  {
    name: "reopening_workspace_id_lead_id_instance_id_fkey",
    breaks: reopening({ lead_id: ":stranger" }),
    keeps: reopening(),
  },
  {
    name: "reopening_workspace_id_lead_id_instance_id_fkey",
    breaks: reopening({ workspace_id: ":there" }),
    keeps: reopening(),
  },
  {
    name: "reopening_instance_id_generation_key",
    breaks: `${reopening()}, (:here, :completed, :done, 2, 1, 'completed', 'again', 'Hana', now())`,
    keeps: reopening(),
  },
  { name: "reopening_begins_a_generation", breaks: reopening({ generation: "1" }), keeps: reopening() },
  {
    name: "reopening_was_of_what_had_ended",
    breaks: reopening({ ended_as: "'paused'" }),
    keeps: reopening({ ended_as: "'cancelled'" }),
  },
  { name: "generation_counts_from_one", breaks: active("generation = 0"), keeps: active("generation = 2") },
  { name: "instance_position_counts_from_one", breaks: active("position = 0"), keeps: active("position = 2") },
  {
    name: "one_live_instance_per_lead_and_sequence",
    breaks: instance({ lead_id: ":lead" }),
    keeps: instance({ lead_id: ":lead", sequence_id: ":other" }),
  },
  {
    name: "one_live_instance_per_lead_and_sequence",
    breaks: instance({ lead_id: ":idle" }),
    keeps: instance({ lead_id: ":idle", status: "'cancelled'", next_step_due: "null" }),
  },
  {
    name: "follow_up_instance_workspace_id_lead_id_lead_booked_fkey",
    breaks: instance({ lead_id: ":booked" }),
    keeps: instance({ lead_id: ":booked", lead_booked: "true" }),
  },
  {
    name: "follow_up_instance_workspace_id_lead_id_lead_booked_fkey",
    breaks: active("lead_booked = true"),
    keeps: active("lead_booked = false"),
  },
  {
    name: "follow_up_instance_workspace_id_sequence_id_post_booking_fkey",
    breaks: instance({ sequence_id: ":prepare" }),
    keeps: instance({ sequence_id: ":prepare", post_booking: "true" }),
  },
  {
    name: "follow_up_instance_workspace_id_lead_id_lead_booked_fkey",
    breaks: instance({ lead_id: ":stranger" }),
    keeps: instance(),
  },
  {
    name: "follow_up_instance_workspace_id_sequence_id_post_booking_fkey",
    breaks: instance({ sequence_id: ":foreign" }),
    keeps: instance({ sequence_id: ":other" }),
  },
];

const TOUCH_LAWS: readonly Law[] = [
  {
    name: "touch_instance_id_generation_step_id_key",
    breaks: newTouch({ step_id: ":step" }),
    keeps: newTouch({ step_id: ":step", generation: "2" }),
  },
  {
    name: "claimed_has_next_attempt",
    breaks: touch("next_attempt_at = null"),
    keeps: touch("next_attempt_at = now()"),
  },
  {
    name: "claimed_has_next_attempt",
    breaks: touch("status = 'failed'"),
    keeps: touch("status = 'failed', next_attempt_at = null, recheck_at = null"),
  },
  {
    name: "unsent_touch_is_rechecked",
    breaks: touch("status = 'sending', next_attempt_at = null, recheck_at = null"),
    keeps: touch("status = 'sending', next_attempt_at = null, recheck_at = now()"),
  },
  {
    name: "unsent_touch_is_rechecked",
    breaks: touch("recheck_at = null"),
    keeps: touch("recheck_at = now()"),
  },
  {
    name: "unsent_touch_is_rechecked",
    breaks: waiting("recheck_at = now()"),
    keeps: waiting("recheck_at = now(), expires_at = now()"),
  },
  {
    name: "waiting_has_its_fingerprint",
    breaks: waiting("body = 'Buy now'"),
    keeps: waiting("body = 'Buy now', fingerprint = public.message_fingerprint(subject, 'Buy now')"),
  },
  {
    name: "decision_has_time_and_person",
    breaks: touch("decided_at = now()"),
    keeps: touch("decided_at = now(), decided_by = 'Hana'"),
  },
  {
    name: "rejected_by_somebody",
    breaks: waiting("status = 'rejected'"),
    keeps: waiting("status = 'rejected', decided_at = now(), decided_by = 'Hana'"),
  },
  { name: "failures_are_among_attempts", breaks: touch("failures = 1"), keeps: touch("failures = 1, attempts = 1") },
  {
    name: "sent_has_sent_at",
    breaks: touch("status = 'sent', next_attempt_at = null"),
    keeps: touch("status = 'sent', next_attempt_at = null, recheck_at = null, sent_at = now()"),
  },
  {
    name: "what_may_have_arrived_is_not_cancelled",
    breaks: touch("status = 'cancelled', next_attempt_at = null, recheck_at = null, unknown_attempt_at = now()"),
    keeps: touch("status = 'unknown', next_attempt_at = null, recheck_at = null, unknown_attempt_at = now()"),
  },
  ...["delivered_at", "bounced_at", "complained_at"].map((column) => ({
    name: "touch_with_an_outcome_went_out",
    breaks: touch(`${column} = now()`),
    keeps: touch(`${column} = now(), status = 'sent', next_attempt_at = null, recheck_at = null, sent_at = now()`),
  })),
  {
    name: "task_is_done_or_cancelled",
    breaks: task({ done_at: "now()", cancelled_at: "now()" }),
    keeps: task({ cancelled_at: "now()" }),
  },
  { name: "attempts_are_not_negative", breaks: touch("attempts = -1"), keeps: touch("attempts = 0") },
  {
    name: "touch_workspace_id_instance_id_lead_id_fkey",
    breaks: newTouch({ workspace_id: ":there", step_id: ":foreign_step" }),
    keeps: newTouch(),
  },
  {
    name: "touch_workspace_id_instance_id_lead_id_fkey",
    breaks: newTouch({ lead_id: ":free" }),
    keeps: newTouch({ lead_id: ":lead" }),
  },
  { name: "touch_workspace_id_step_id_fkey", breaks: newTouch({ step_id: ":foreign_step" }), keeps: newTouch() },
  {
    name: "task_workspace_id_touch_id_fkey",
    breaks: task({ touch_id: ":foreign_touch" }),
    keeps: task(),
  },
  { name: "task_workspace_id_lead_id_fkey", breaks: task({ lead_id: ":stranger" }), keeps: task() },
  { name: "task_workspace_id_touch_id_key", breaks: `${task()}, (:here, :touch, :lead, 'x', 'x')`, keeps: task() },
];

const SEQUENCE_LAWS: readonly Law[] = [
  { name: "step_position_counts_from_one", breaks: newStep({ position: "0" }), keeps: newStep() },
  { name: "step_version_counts_from_one", breaks: newStep({ version: "0" }), keeps: newStep({ version: "2" }) },
  { name: "key_is_a_short_word", breaks: newStep({ key: "'A step'" }), keeps: newStep({ key: "'a-step'" }) },
  {
    name: "follow_up_step_sequence_id_version_position_key",
    breaks: newStep({ sequence_id: ":chase", position: "1" }),
    keeps: newStep({ sequence_id: ":chase", position: "1", version: "2" }),
  },
  {
    name: "follow_up_step_sequence_id_version_key_key",
    breaks: newStep({ sequence_id: ":chase", key: "(select key from public.follow_up_step where id = :step)" }),
    keeps: newStep({
      sequence_id: ":chase",
      key: "(select key from public.follow_up_step where id = :step)",
      version: "2",
    }),
  },
  { name: "step_keeps_its_place", breaks: step("position = 3"), keeps: step("position = 1") },
  { name: "step_keeps_its_place", breaks: step("version = 2"), keeps: step("version = 1") },
  { name: "step_keeps_its_place", breaks: step("sequence_id = :other"), keeps: step("sequence_id = :chase") },
  { name: "step_keeps_its_place", breaks: step("key = 'another'"), keeps: step("body = 'another'") },
  { name: "sequence_version_counts_from_one", breaks: newSequence({ version: "0" }), keeps: newSequence() },
  { name: "version_never_decreases", breaks: sequence("version = 0"), keeps: sequence("version = 2") },
  { name: "delay_is_not_negative", breaks: step("delay_minutes = -1"), keeps: step("delay_minutes = 0") },
  {
    name: "time_to_live_is_positive",
    breaks: step("time_to_live_minutes = 0"),
    keeps: step("time_to_live_minutes = 1"),
  },
  {
    name: "allowed_placeholders_are_a_list",
    breaks: step("allowed_placeholders = array[null]::public.placeholder_kind[]"),
    keeps: step("allowed_placeholders = '{html,spintax}'"),
  },
  { name: "email_has_subject", breaks: step("subject = ' '"), keeps: step("subject = 'Hi'") },
  { name: "email_has_subject", breaks: step("subject = null"), keeps: step("subject = null, channel = 'sms'") },
  {
    name: "follow_up_step_workspace_id_sequence_id_fkey",
    breaks: newStep({ sequence_id: ":foreign" }),
    keeps: newStep(),
  },
  {
    name: "follow_up_sequence_workspace_id_name_key",
    breaks: `insert into public.follow_up_sequence (workspace_id, name, trigger_on)
             select workspace_id, name, 'manual' from public.follow_up_sequence where id = :chase`,
    keeps: `insert into public.follow_up_sequence (workspace_id, name, trigger_on)
            select :there, name, 'manual' from public.follow_up_sequence where id = :chase`,
  },
  {
    name: "touch_workspace_id_step_id_fkey",
    breaks: "delete from public.follow_up_step where id = :step",
    keeps: "delete from public.follow_up_step where id = :next_step",
  },
];

const OTHER_LAWS: readonly Law[] = [
  {
    name: "window_days_are_iso_weekdays",
    breaks: workspace("window_days = '{0}'"),
    keeps: workspace("window_days = '{1}'"),
  },
  {
    name: "window_days_are_iso_weekdays",
    breaks: workspace("window_days = '{8}'"),
    keeps: workspace("window_days = '{7}'"),
  },
  {
    name: "window_days_are_iso_weekdays",
    breaks: workspace("window_days = '{}'"),
    keeps: workspace("window_days = '{1,7}'"),
  },
  ...["nobody", "a@x, b@x", "Ann, Bob <a@x>", "a@x\nBcc: b@x", "<a@x> <b@x>", ""].map((from) => ({
    name: "email_from_is_one_address",
    breaks: workspace(`email_from = '${from}'`),
    keeps: workspace(`email_from = '"Ann, Bob" <a@x.example>'`),
  })),
  ...["Hana\nBcc: b@x.example", `Hana \x7f`, "x".repeat(201)].map((name) => ({
    name: "sender_name_is_one_line",
    breaks: lead(`sender_name = '${name}'`),
    keeps: lead(`sender_name = 'Hana "H." Weber, =?utf-8?Q?x?='`),
  })),
  ...(["sender_email", "reply_to"] as const).flatMap((column) =>
    [
      "nobody",
      "a@x.example, b@x.example",
      "Ann <a@x.example>",
      "a@x.example\nBcc: b@x.example",
      " a@x.example",
      "",
    ].map((address) => ({
      name: `${column}_is_one_address`,
      breaks: lead(`${column} = '${address}'`),
      keeps: lead(`${column} = 'ann@x.example'`),
    })),
  ),
  { name: "daily_cap_is_positive", breaks: workspace("daily_cap = 0"), keeps: workspace("daily_cap = 1") },
  { name: "gap_is_not_negative", breaks: workspace("gap_minutes = -1"), keeps: workspace("gap_minutes = 0") },
  {
    name: "ghosted_after_is_positive",
    breaks: workspace("ghosted_after_days = 0"),
    keeps: workspace("ghosted_after_days = 1"),
  },
  {
    name: "ghosted_within_a_century",
    breaks: workspace("ghosted_after_days = 36501"),
    keeps: workspace("ghosted_after_days = 36500"),
  },
  {
    name: "reason_only_while_paused",
    breaks: workspace("paused_reason = 'bounces'"),
    keeps: workspace("paused_reason = 'bounces', paused_at = now()"),
  },
  {
    name: "availability_age_counts_from_one",
    breaks: workspace("availability_max_age_minutes = 0"),
    keeps: workspace("availability_max_age_minutes = 1"),
  },
  { name: "free_time_has_start_and_end", breaks: availability({ ends_at: "'{}'" }), keeps: availability() },
  {
    name: "offer_has_version_and_end",
    breaks: touch("offer_version = 1"),
    keeps: touch("offer_version = 1, offer_until = now()"),
  },
  { name: "offered_time_ends_after_it_starts", breaks: offeredTime({ ends_at: "now()" }), keeps: offeredTime() },
  {
    name: "offered_time_workspace_id_lead_id_fkey",
    breaks: offeredTime({ lead_id: ":stranger" }),
    keeps: offeredTime(),
  },
  {
    name: "offered_time_touch_id_workspace_id_fkey",
    breaks: offeredTime({ touch_id: ":foreign_touch" }),
    keeps: offeredTime(),
  },
  ...["bounced", "complained"].flatMap((what) => [
    ...["0", "100.01", "'NaN'"].map((percent) => ({
      name: "guardrail_percents_are_percents",
      breaks: workspace(`guardrail_${what}_percent = ${percent}`),
      keeps: workspace(`guardrail_${what}_percent = 100`),
    })),
    {
      name: "guardrail_counts_from_one",
      breaks: workspace(`guardrail_${what}_at_least = 0`),
      keeps: workspace(`guardrail_${what}_at_least = 1`),
    },
  ]),
  {
    name: "sweep_window_is_known",
    breaks: sweep({ sweep_window: "'tepid'" }),
    keeps: sweep({ sweep_window: "'warm'" }),
  },
  ...[{ first_at: LATER }, { swept_at: LATER }, { swept_at: "'2029-12-31'" }].map((wrong) => ({
    name: "sweep_times_are_in_order",
    breaks: sweep(wrong),
    keeps: sweep({ tried_at: LATER }),
  })),
  {
    name: "sweep_without_fault_was_whole",
    breaks: sweep({ swept_at: "null", fault: "null" }),
    keeps: sweep({ swept_at: "null" }),
  },
  {
    name: "stop_cause_is_known",
    breaks: "update public.lead set stop_cause = 'a whim' where id = :free",
    keeps: "update public.lead set stop_cause = 'unbooked' where id = :free",
  },
  {
    name: "appointment_ends_after_it_starts",
    breaks: appointment("ends_at = starts_at"),
    keeps: appointment("ends_at = starts_at + interval '1 second'"),
  },
  {
    name: "lead_external_id_workspace_id_key",
    breaks: "insert into public.lead (workspace_id, external_id) values (:here, 'same'), (:here, 'same')",
    keeps:
      "insert into public.lead (workspace_id, external_id) values (:here, 'same'), (:there, 'same'), (:here, null), (:here, null)",
  },
  {
    name: "appointment_workspace_id_external_id_lead_id_key",
    breaks: newAppointment({ external_id: "'taken'", lead_id: ":met" }),
    keeps: newAppointment({ external_id: "'taken'" }),
  },
  {
    name: "appointment_workspace_id_lead_id_fkey",
    breaks: newAppointment({ lead_id: ":stranger" }),
    keeps: newAppointment(),
  },
  { name: "digest_window_is_not_empty", breaks: digest({ window_end: "'2030-01-01'" }), keeps: digest() },
  {
    name: "digest_time_is_of_one_day",
    breaks: workspace("digest_time = '24:00'"),
    keeps: workspace("digest_time = '23:59'"),
  },
  {
    name: "notification_digest_workspace_id_window_end_key",
    breaks: `${digest()}, (:here, '2030-01-01', '2030-01-02')`,
    keeps: `${digest()}, (:here, '2030-01-02', '2030-01-03')`,
  },
  {
    name: "notification_event_workspace_id_lead_id_fkey",
    breaks: notification({ kind: "'lead_replied'", lead_id: ":stranger" }),
    keeps: notification({ kind: "'lead_replied'", lead_id: ":lead" }),
  },
  {
    name: "notification_event_workspace_id_touch_id_fkey",
    breaks: notification({ kind: "'touch_failed'", touch_id: ":foreign_touch" }),
    keeps: notification({ kind: "'touch_failed'", touch_id: ":touch" }),
  },
  {
    name: "event_of_lead_has_lead",
    breaks: notification({ kind: "'meeting_booked'" }),
    keeps: notification({ kind: "'meeting_booked'", lead_id: ":lead" }),
  },
  {
    name: "event_of_touch_has_touch",
    breaks: notification({ kind: "'touch_unknown'" }),
    keeps: notification({ kind: "'touch_unknown'", touch_id: ":touch" }),
  },
  ...["fact_warned", "guardrail_paused", "connection_failing"].map((kind) => ({
    name: "event_has_its_detail",
    breaks: notification({ kind: `'${kind}'` }),
    keeps: notification({ kind: `'${kind}'`, detail: "'what it is'" }),
  })),
  {
    name: "event_has_its_detail",
    breaks: notification({ detail: "'what it is'" }),
    keeps: notification(),
  },
  { name: "event_counts_from_one", breaks: notification({ count: "0" }), keeps: notification({ count: "1" }) },
  {
    name: "notification_event_workspace_id_digest_id_fkey",
    breaks: `with made as (${digest({ workspace_id: ":there" })} returning id)
             ${notification({ digest_id: "(select id from made)" })}`,
    keeps: `with made as (${digest()} returning id) ${notification({ digest_id: "(select id from made)" })}`,
  },
  {
    name: "digest_delivery_workspace_id_digest_id_fkey",
    breaks: `with made as (${digest({ workspace_id: ":there" })} returning id) ${delivery()}`,
    keeps: `with made as (${digest()} returning id) ${delivery()}`,
  },
  {
    name: "digest_delivery_workspace_id_digest_id_channel_key",
    breaks: `with made as (${digest()} returning id) ${delivery()}, (:here, (select id from made), 'email', now())`,
    keeps: `with made as (${digest()} returning id) ${delivery()}, (:here, (select id from made), 'webhook', now())`,
  },
  {
    name: "unsent_delivery_is_rechecked",
    breaks: `with made as (${digest()} returning id) ${delivery({ recheck_at: "null" })}`,
    keeps: `with made as (${digest()} returning id) ${delivery({ recheck_at: "null", status: "'failed'" })}`,
  },
  {
    name: "sent_delivery_has_sent_at",
    breaks: `with made as (${digest()} returning id) ${delivery({ recheck_at: "null", status: "'sent'" })}`,
    keeps: `with made as (${digest()} returning id)
            ${delivery({ recheck_at: "null", status: "'sent'", sent_at: "now()" })}`,
  },
  {
    name: "delivery_failures_are_among_attempts",
    breaks: `with made as (${digest()} returning id) ${delivery({ failures: "1" })}`,
    keeps: `with made as (${digest()} returning id) ${delivery({ failures: "1", attempts: "1" })}`,
  },
  {
    name: "intake_event_pkey",
    breaks: `${intake()}, (:here, 'e', 'x', now(), '{}')`,
    keeps: `${intake()}, (:there, 'e', 'x', now(), '{}')`,
  },
  {
    name: "finished_has_success",
    breaks: run({ finished_at: "now()" }),
    keeps: run({ finished_at: "now()", success: "false" }),
  },
  { name: "finished_has_success", breaks: run({ success: "true" }), keeps: run() },
  {
    name: "lead_workspace_id_fkey",
    breaks: "insert into public.lead (workspace_id) values (:lead)",
    keeps: "insert into public.lead (workspace_id) values (:there)",
  },
  {
    name: "follow_up_instance_workspace_id_sequence_id_post_booking_fkey",
    breaks: "update public.lead set workspace_id = :there where id = :lead",
    keeps: "update public.lead set workspace_id = :there where id = :free",
  },
  {
    name: "follow_up_instance_workspace_id_lead_id_lead_booked_fkey",
    breaks: "delete from public.lead where id = :lead",
    keeps: "delete from public.lead where id = :free",
  },
];

const GENERATED = "428C9";
const NO_LABEL = "22P02";
const NO_TABLE = "42P01";
const NAMELESS_LAWS: readonly Law[] = [
  {
    name: "nobody writes whether a lead is booked",
    breaks: "update public.lead set is_booked = true where id = :free",
    keeps: "update public.lead set status = 'meeting-booked' where id = :free",
    code: GENERATED,
  },
  {
    name: "nobody writes whether a new lead is booked",
    breaks: "insert into public.lead (workspace_id, is_booked) values (:here, true)",
    keeps: "insert into public.lead (workspace_id, is_booked) values (:here, default)",
    code: GENERATED,
  },
  {
    name: "nobody writes whether a sequence is one after a booking",
    breaks: "update public.follow_up_sequence set is_post_booking = true where id = :chase",
    keeps: "update public.follow_up_sequence set trigger_on = 'meeting_selected' where id = :chase",
    code: GENERATED,
  },
  {
    name: "a lead has a known status",
    breaks: "update public.lead set status = 'meeting_booked' where id = :free",
    keeps: "update public.lead set status = 'meeting-booked' where id = :free",
    code: NO_LABEL,
  },
  {
    name: "an instance has a known status",
    breaks: active("status = 'waiting'"),
    keeps: active("status = 'active'"),
    code: NO_LABEL,
  },
  {
    name: "a touch has a known status",
    breaks: touch("status = 'lost'"),
    keeps: touch("status = 'claimed'"),
    code: NO_LABEL,
  },
  {
    name: "a step has a known condition",
    breaks: step("condition = 'maybe'"),
    keeps: step("condition = 'no_reply'"),
    code: NO_LABEL,
  },
  {
    name: "a step has a known channel",
    breaks: step("channel = 'pigeon'"),
    keeps: step("channel = 'task'"),
    code: NO_LABEL,
  },
];

describe.each(SEARCH_PATHS)("under the search_path: $name", (path) => {
  beforeAll(async () => {
    database = await createDatabase();
    sql = await openPoolUnder(path, database.url);
    const here = await addWorkspace(sql);
    const there = await addWorkspace(sql);
    const chase = await addSequence(sql, here, { steps: [{}, {}] });
    const other = await addSequence(sql, here);
    const prepare = await addSequence(sql, here, { trigger_on: "meeting_selected" });
    const foreign = await addSequence(sql, there);
    const { leadId, instanceId } = await addFollowedLead(sql, here, chase.id);
    const paused = await addFollowedLead(sql, here, chase.id, { instance: { status: "paused" } });
    const completed = await addFollowedLead(sql, here, chase.id, { instance: { status: "completed" } });
    const stranger = await addFollowedLead(sql, there, foreign.id);
    const touch = await addTouch(sql, instanceId, chase.steps[0] ?? "");
    const waiting = await addTouch(sql, paused.instanceId, chase.steps[0] ?? "", { status: "awaiting_approval" });
    const foreignTouch = await addTouch(sql, stranger.instanceId, foreign.steps[0] ?? "");
    const named = { here, there, chase: chase.id, other: other.id, prepare: prepare.id, foreign: foreign.id, touch };
    const steps = { step: chase.steps[0], next_step: chase.steps[1], foreign_step: foreign.steps[0] };
    const leads = {
      lead: leadId,
      free: await addLead(sql, here),
      stranger: stranger.leadId,
      idle: paused.leadId,
      done: completed.leadId,
    };
    const instances = { active: instanceId, paused: paused.instanceId, completed: completed.instanceId };
    const booked = await addLead(sql, here, { status: "meeting-booked" });
    const met = await addLead(sql, here);
    const appointment = await addAppointment(sql, met, { external_id: "taken" });
    const all = {
      ...named,
      ...steps,
      ...leads,
      ...instances,
      booked,
      met,
      appointment,
      waiting,
      foreign_touch: foreignTouch,
    };
    for (const [name, id] of Object.entries(all)) ids.set(name, String(id));
  });

  afterEach(rollbackLeftOpen);

  afterAll(async () => {
    await sql.end();
    await database.drop();
  });

  it("an unqualified table name follows the search_path", async () => {
    const { rows } = await sql.query("select to_regclass('lead') = 'public.lead'::regclass as ours");
    expect(rows).toEqual([{ ours: path.findsOurs }]);
  });

  it("an inserted meeting books its lead; without its trigger's search_path it does so only where names resolve to our tables", async () => {
    const books = async (transaction: Sql) => {
      const leadId = await addLead(transaction, String(ids.get("here")));
      await addAppointment(transaction, leadId);
      const { rows } = await transaction.query("select is_booked from public.lead where id = $1", [leadId]);
      return rows[0]?.["is_booked"];
    };
    expect(await books(sql)).toBe(true);
    const planted = await openTransaction(sql);
    await planted.query(
      "alter function public.roll_up_booked_until() reset all; alter function public.lock_lead_of_appointment() reset all",
    );
    const without = await books(planted).catch((fault: { code?: string }) => fault.code);
    await planted.rollback();
    expect(without).toBe(path.findsOurs ?? NO_TABLE);
  });

  describe.each([
    ["an instance", INSTANCE_LAWS],
    ["a touch", TOUCH_LAWS],
    ["a sequence", SEQUENCE_LAWS],
    ["everything else", OTHER_LAWS],
    ["what has no constraint of its own", NAMELESS_LAWS],
  ])("the laws of %s", (_, laws) => {
    it.each([...laws])("hold against a raw statement: $name, $breaks", async ({ name, breaks, keeps, code }) => {
      const violation = code === undefined ? { constraint: name } : { code };
      await expect(attempt(breaks)).rejects.toMatchObject(violation);
      expect(await attempt(keeps)).toBeGreaterThan(0);
    });
  });

  describe("the labels", () => {
    it.each([
      ["lead_status", labels.LEAD_STATUSES],
      ["enrichment_status", labels.ENRICHMENT_STATUSES],
      ["sequence_trigger", labels.SEQUENCE_TRIGGERS],
      ["channel", labels.CHANNELS],
      ["step_condition", labels.STEP_CONDITIONS],
      ["instance_status", labels.INSTANCE_STATUSES],
      ["paused_reason", labels.PAUSED_REASONS],
      ["touch_status", labels.TOUCH_STATUSES],
      ["appointment_status", labels.APPOINTMENT_STATUSES],
      ["notification_kind", labels.NOTIFICATION_KINDS],
      ["guardrail_reason", labels.GUARDRAIL_REASONS],
      ["digest_channel", labels.DIGEST_CHANNELS],
      ["digest_delivery_status", labels.DIGEST_DELIVERY_STATUSES],
    ])("of %s equal those in the code", async (type, expected) => {
      const { rows } = await sql.query<{ label: string }>(
        `select unnest(enum_range(null::public.${type}))::text as label`,
      );
      expect(rows.map(({ label }) => label)).toEqual(expected);
    });
  });

  describe("the triggers of the database", () => {
    const one = async (text: string, ...parameters: unknown[]): Promise<Columns> => {
      const { rows } = await sql.query<Columns>(text, parameters);
      return rows[0] ?? {};
    };
    const leadRow = (id: string) =>
      one("select *, booked_at >= now() - interval '1 minute' as just from public.lead where id = $1", id);
    const instanceRow = (id: string) => one("select * from public.follow_up_instance where id = $1", id);
    const named = (name: string) => String(ids.get(name));

    it("stamps when a lead becomes booked, once, and forgets it when the booking ends", async () => {
      const leadId = await addLead(sql, named("here"));
      expect(await leadRow(leadId)).toMatchObject({ is_booked: false, booked_at: null });
      await sql.query("update public.lead set status = 'meeting-booked', booked_at = '2001-01-01' where id = $1", [
        leadId,
      ]);
      const booked = await leadRow(leadId);
      expect(booked).toMatchObject({ is_booked: true, just: true });
      await addAppointment(sql, leadId);
      await sql.query("update public.lead set booked_at = null where id = $1", [leadId]);
      expect(await leadRow(leadId)).toMatchObject({ booked_at: booked["booked_at"] });
      await sql.query("update public.lead set status = 'qualified' where id = $1", [leadId]);
      expect(await leadRow(leadId)).toMatchObject({ is_booked: true, booked_at: booked["booked_at"] });
      await sql.query("delete from public.appointment where lead_id = $1", [leadId]);
      expect(await leadRow(leadId)).toMatchObject({ is_booked: false, booked_at: null, booked_until: null });
    });

    it("does not take the status for a booking after a missed meeting, until it has said something else or a meeting is confirmed", async () => {
      const leadId = await addLead(sql, named("here"), { status: "meeting-booked", missed_at: new Date() });
      const say = (status: string) => sql.query("update public.lead set status = $2 where id = $1", [leadId, status]);
      expect(await leadRow(leadId)).toMatchObject({ is_booked: false, booked_at: null });
      await say("meeting-booked");
      expect(await leadRow(leadId)).toMatchObject({ is_booked: false });
      await say("qualified");
      await say("meeting-booked");
      expect(await leadRow(leadId)).toMatchObject({ is_booked: true, just: true, missed_at: null });
      await sql.query("update public.lead set status = 'qualified', missed_at = now() where id = $1", [leadId]);
      expect(await leadRow(leadId)).toMatchObject({ is_booked: false, missed_at: expect.any(Date) });
      await addAppointment(sql, leadId);
      expect(await leadRow(leadId)).toMatchObject({ is_booked: true, missed_at: null });
    });

    it.each(["new", "qualified", "meeting-requested"])(
      "takes a status that becomes meeting-booked for a booking, after a missed meeting: from %s",
      async (status) => {
        const leadId = await addLead(sql, named("here"), { status, missed_at: new Date() });
        const instanceId = await addInstance(sql, leadId, named("chase"));
        await sql.query("update public.lead set status = 'meeting-booked' where id = $1", [leadId]);
        expect(await leadRow(leadId)).toMatchObject({ is_booked: true, just: true, missed_at: null });
        expect(await instanceRow(instanceId)).toMatchObject({ lead_booked: true, orphan_since: expect.any(Date) });
      },
    );

    it.each([
      ["and sets missed_at itself", "status = 'meeting-booked', missed_at = now()", false],
      ["and writes missed_at back as it was", "status = 'meeting-booked', missed_at = missed_at", true],
      [
        "and writes all columns, as a mapper does",
        "status = 'meeting-booked', missed_at = missed_at, booked_at = booked_at",
        true,
      ],
      ["and clears missed_at", "status = 'meeting-booked', missed_at = null", true],
    ])("let a statement that sets the status decide: it books %s", async (_, assignment, booked) => {
      const leadId = await addLead(sql, named("here"), { missed_at: new Date() });
      await sql.query(`update public.lead set ${assignment} where id = $1`, [leadId]);
      expect(await leadRow(leadId)).toMatchObject({ is_booked: booked });
    });

    it("takes a row that is inserted as meeting-booked for a booking, upserts too", async () => {
      const inserted = await addLead(sql, named("here"), { status: "meeting-booked", external_id: "upserted" });
      expect(await leadRow(inserted)).toMatchObject({ is_booked: true, just: true });
      await sql.query("update public.lead set status = 'qualified', missed_at = now() where id = $1", [inserted]);
      expect(await leadRow(inserted)).toMatchObject({ is_booked: false });
      const upsert = () =>
        sql.query(
          `insert into public.lead (workspace_id, external_id, status) values ($1, 'upserted', 'meeting-booked')
       on conflict (workspace_id, external_id) do update set status = excluded.status`,
          [named("here")],
        );
      await upsert();
      expect(await leadRow(inserted)).toMatchObject({ is_booked: true, missed_at: null });
      await sql.query("update public.lead set missed_at = now() where id = $1", [inserted]);
      await upsert();
      expect(await leadRow(inserted)).toMatchObject({ is_booked: false, missed_at: expect.any(Date) });
    });

    it("keep the end of the latest meeting after two concurrent bookings of one lead", async () => {
      const leadId = await addLead(sql, named("here"));
      const first = await openTransaction(sql);
      await addAppointment(first, leadId, { ends_at: new Date("2100-02-01T00:00:00Z") });
      const second = addAppointment(sql, leadId, { ends_at: new Date("2100-03-01T00:00:00Z") });
      await untilBlockedBy(sql, first.pid);
      await first.commit();
      await second;
      expect(await leadRow(leadId)).toMatchObject({ booked_until: new Date("2100-03-01T00:00:00Z") });
    });

    it.each([
      ["deleted", "delete from public.appointment where id = $1"],
      ["cancelled", "update public.appointment set status = 'cancelled' where id = $1"],
      ["moved to another lead", "update public.appointment set lead_id = $2 where id = $1"],
    ])("keep a booking that commits while another meeting of the lead is %s", async (what, statement) => {
      const leadId = await addLead(sql, named("here"));
      const leaves = await addAppointment(sql, leadId, { ends_at: new Date("2100-02-01T00:00:00Z") });
      const booking = await openTransaction(sql);
      await addAppointment(booking, leadId, { ends_at: new Date("2100-03-01T00:00:00Z") });
      const other = what.startsWith("moved") ? [await addLead(sql, named("here"))] : [];
      const left = sql.query(statement, [leaves, ...other]);
      await untilBlockedBy(sql, booking.pid);
      await booking.commit();
      await left;
      expect(await leadRow(leadId)).toMatchObject({ booked_until: new Date("2100-03-01T00:00:00Z"), is_booked: true });
      for (const id of other)
        expect(await leadRow(id)).toMatchObject({ booked_until: new Date("2100-02-01T00:00:00Z") });
    });

    it("stamps since when an instance chases a booked lead: from the booking or its own revival, whichever is later", async () => {
      const { leadId, instanceId } = await addFollowedLead(sql, named("here"), named("chase"));
      const change = (assignment: string) =>
        sql.query(`update public.follow_up_instance set ${assignment} where id = $1`, [instanceId]);
      const orphanSince = async () => (await instanceRow(instanceId))["orphan_since"];
      expect(await orphanSince()).toBeNull();
      await sql.query("update public.lead set status = 'meeting-booked' where id = $1", [leadId]);
      const booked = await orphanSince();
      expect(booked).toBeInstanceOf(Date);
      await change("status = 'paused', paused_reason = 'manual', next_step_due = null, orphan_since = '2001-01-01'");
      expect(await orphanSince()).toEqual(booked);
      await change("status = 'cancelled', paused_reason = null");
      expect(await orphanSince()).toBeNull();
      await change("status = 'active', next_step_due = now()");
      expect(Number(await orphanSince())).toBeGreaterThan(Number(booked));
      await sql.query("update public.lead set status = 'qualified' where id = $1", [leadId]);
      expect(await orphanSince()).toBeNull();
    });

    it("clear a hold with its state, and schedule a recheck of a pause that can end by itself", async () => {
      const hold = { hold_reason: "window", held_since: new Date() };
      const { instanceId } = await addFollowedLead(sql, named("here"), named("chase"), { instance: hold });
      const pause =
        "update public.follow_up_instance set status = 'paused', paused_reason = $2, next_step_due = null where id = $1";
      await sql.query(pause, [instanceId, "lead_snoozed"]);
      expect(await instanceRow(instanceId)).toMatchObject({
        hold_reason: null,
        held_since: null,
        recheck_at: expect.any(Date),
      });
      const byHand = await addFollowedLead(sql, named("here"), named("chase"));
      await sql.query(pause, [byHand.instanceId, "manual"]);
      expect(await instanceRow(byHand.instanceId)).toMatchObject({ recheck_at: null });
    });

    it.each([
      ["email = 'new@example.test'", true],
      ["enrichment_status = 'failed'", true],
      ["snoozed_until = null", true],
      ["first_name = 'Eve'", false],
      ["status = 'meeting-booked'", false],
    ])("looks again at a pause when the lead changes in a way that may end it: %s", async (assignment, looks) => {
      const ahead = new Date("2099-01-01T00:00:00Z");
      const lead = { snoozed_until: ahead, enrichment_status: "pending" };
      const instance = { status: "paused", paused_reason: "lead_snoozed", recheck_at: ahead };
      const { leadId, instanceId } = await addFollowedLead(sql, named("here"), named("chase"), { lead, instance });
      await sql.query(`update public.lead set ${assignment} where id = $1`, [leadId]);
      const { recheck_at: recheckAt } = await instanceRow(instanceId);
      expect(Number(recheckAt) < Number(ahead)).toBe(looks);
    });

    it("makes keys that are UUIDs of version 7 and grow with time", async () => {
      const { rows } = await sql.query<{ id: string }>("select public.uuid_v7() as id from generate_series(1, 100)");
      for (const { id } of rows) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-/);
      const milliseconds = rows.map(({ id }) => Number.parseInt(id.replace("-", "").slice(0, 12), 16));
      expect(milliseconds).toEqual([...milliseconds].sort((a, b) => a - b));
      expect(Math.abs(Date.now() - Number(milliseconds[0]))).toBeLessThan(60_000);
    });

    it("follows a lead into its copies on the instances, and back", async () => {
      const { leadId, instanceId } = await addFollowedLead(sql, named("here"), named("chase"));
      const second = await addInstance(sql, leadId, named("other"));
      for (const [status, booked] of [
        ["meeting-booked", true],
        ["qualified", false],
      ] as const) {
        await sql.query("update public.lead set status = $2 where id = $1", [leadId, status]);
        expect(await instanceRow(instanceId)).toMatchObject({ lead_booked: booked });
        expect(await instanceRow(second)).toMatchObject({ lead_booked: booked });
      }
    });
  });
});

describe("a function of the database", () => {
  let empty: TestDatabase;
  beforeAll(async () => {
    empty = await createDatabase();
  });
  afterAll(() => empty.drop());

  /** The functions whose bodies resolve names with the caller's search_path. */
  async function dependingOnTheCaller(): Promise<readonly string[]> {
    const client = new pg.Client({ connectionString: empty.url });
    await client.connect();
    const { rows } = await client.query<{ name: string }>(`
      select proname as name from pg_proc
       where pronamespace = 'public'::regnamespace and prosqlbody is null
         and not coalesce('search_path=public, pg_temp' = any(proconfig), false)
       order by proname`);
    await client.end();
    return rows.map(({ name }) => name);
  }

  it("means the same under every search_path, and one that would not is found", async () => {
    expect(await dependingOnTheCaller()).toEqual([]);
    const planted = new pg.Client({ connectionString: empty.url });
    await planted.connect();
    await planted.query(
      "create function planted() returns bigint language sql as 'select count(*) from lead'; " +
        "create function bound() returns bigint language sql return (select count(*) from lead)",
    );
    await planted.end();
    expect(await dependingOnTheCaller()).toEqual(["planted"]);
  });
});
