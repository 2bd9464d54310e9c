import { randomUUID } from "node:crypto";
import type pg from "pg";
import { TOUCH_STATUSES } from "../../lib/domain/labels.ts";

/** A pool, or a client inside a transaction. */
export interface Sql {
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<Row>>;
}

/** Values by the database's column name. Factories supply defaults for omitted columns. */
export type Columns = Readonly<Record<string, unknown>>;

/** Long due at any current time. */
export const LONG_AGO = new Date("2020-01-06T09:00:00Z");
/** Not due at any current time. */
export const FAR_AHEAD = new Date("2100-01-04T09:00:00Z");

/** Adds a workspace. By default it is always open, so that no test depends on the hour. */
export const addWorkspace = (sql: Sql, columns: Columns = {}): Promise<string> =>
  insert(sql, "workspace", {
    name: "Harbour Homes",
    email_from: "Hana <hana@harbour.test>",
    window_days: [1, 2, 3, 4, 5, 6, 7],
    window_start: "00:00",
    window_end: "24:00",
    ...columns,
  });

export interface Sequence {
  readonly id: string;
  /** The ids of its steps, in order. */
  readonly steps: readonly string[];
}

/** Adds a sequence; by default with one e-mail. Each step is due a day after the previous one. */
export async function addSequence(
  sql: Sql,
  workspaceId: string,
  { steps = [{}], ...columns }: Columns & { readonly steps?: readonly Columns[] } = {},
): Promise<Sequence> {
  const id = await insert(sql, "follow_up_sequence", {
    workspace_id: workspaceId,
    name: randomUUID(),
    trigger_on: "no_response",
    ...columns,
  });
  const stepIds: string[] = [];
  for (const [index, step] of steps.entries()) {
    const owner = { workspace_id: workspaceId, sequence_id: id, position: index + 1 };
    stepIds.push(await insert(sql, "follow_up_step", { ...owner, ...STEP, ...step }));
  }
  return { id, steps: stepIds };
}

const STEP = {
  delay_minutes: 24 * 60,
  channel: "email",
  subject: "For {{ lead.first_name }}",
  body: "Hello {{ lead.first_name }}, shall we talk?",
};

let leads = 0;

/** Adds a lead that every channel can reach, with a unique address and number. */
export function addLead(sql: Sql, workspaceId: string, columns: Columns = {}): Promise<string> {
  leads += 1;
  return insert(sql, "lead", {
    workspace_id: workspaceId,
    first_name: "Ada",
    email: `ada-${leads}@example.test`,
    phone: `+4930${123_456 + leads}`,
    status: "qualified",
    ...columns,
  });
}

const STATES: Readonly<Record<string, Columns>> = {
  active: { next_step_due: LONG_AGO },
  paused: { paused_reason: "manual" },
  completed: { completed_at: LONG_AGO, completed_reason: "out_of_steps" },
};

/** Adds an instance that is long due. `lead_booked` and `post_booking` are copied from lead and sequence by default. */
export function addInstance(sql: Sql, leadId: string, sequenceId: string, columns: Columns = {}): Promise<string> {
  const status = columns["status"] ?? "active";
  return insert(
    sql,
    "follow_up_instance",
    { lead_id: leadId, sequence_id: sequenceId, status, ...STATES[String(status)], ...columns },
    {
      workspace_id: "select workspace_id from public.lead where id = $1",
      lead_booked: "select is_booked from public.lead where id = $1",
      post_booking: "select is_post_booking from public.follow_up_sequence where id = $2",
    },
  );
}

const TOUCH_STATES: Readonly<Record<string, Columns>> = {
  claimed: { next_attempt_at: FAR_AHEAD, recheck_at: FAR_AHEAD, send_until: FAR_AHEAD },
  sending: { recheck_at: FAR_AHEAD },
  sent: { sent_at: LONG_AGO },
  rejected: { decided_at: LONG_AGO, decided_by: "Hana" },
};

/** Adds a touch of this step; by default claimed. */
export function addTouch(sql: Sql, instanceId: string, stepId: string, columns: Columns = {}): Promise<string> {
  const status = columns["status"] ?? "claimed";
  return insert(
    sql,
    "touch",
    {
      instance_id: instanceId,
      step_id: stepId,
      channel: "email",
      status,
      body: "Hello Ada, shall we talk?",
      claimed_at: LONG_AGO,
      ...TOUCH_STATES[String(status)],
      ...columns,
    },
    {
      workspace_id: "select workspace_id from public.follow_up_instance where id = $1",
      lead_id: "select lead_id from public.follow_up_instance where id = $1",
      generation: "select generation from public.follow_up_instance where id = $1",
    },
  );
}

/** Adds a touch that was sent to the address or number that its lead has now. */
export async function addSentTouch(
  sql: Sql,
  instanceId: string,
  stepId: string,
  columns: Columns = {},
): Promise<string> {
  const touchId = await addTouch(sql, instanceId, stepId, { status: "sent", ...columns });
  await sql.query(
    `update touch
        set recipient_hash = suppression_hash(
              lead.workspace_id, case when touch.channel = 'sms' then normalised_phone else normalised_email end)
       from lead where lead.id = touch.lead_id and touch.id = $1`,
    [touchId],
  );
  return touchId;
}

/** Adds a confirmed meeting in the far future. */
export const addAppointment = (sql: Sql, leadId: string, columns: Columns = {}): Promise<string> =>
  insert(
    sql,
    "appointment",
    {
      lead_id: leadId,
      external_id: randomUUID(),
      status: "confirmed",
      starts_at: FAR_AHEAD,
      ends_at: new Date(FAR_AHEAD.getTime() + 3_600_000),
      last_event_at: LONG_AGO,
      ...columns,
    },
    { workspace_id: "select workspace_id from public.lead where id = $1" },
  );

/** Adds a lead with one instance. */
export async function addFollowedLead(
  sql: Sql,
  workspaceId: string,
  sequenceId: string,
  { lead = {}, instance = {} }: { readonly lead?: Columns; readonly instance?: Columns } = {},
): Promise<{ readonly leadId: string; readonly instanceId: string }> {
  const leadId = await addLead(sql, workspaceId, lead);
  return { leadId, instanceId: await addInstance(sql, leadId, sequenceId, instance) };
}

/** Adds a workspace with rows of every kind that no run may change. Returns its id. */
export async function addBystanders(sql: Sql): Promise<string> {
  const workspaceId = await addWorkspace(sql, { name: "Bystanders" });
  const chase = await addSequence(sql, workspaceId, { steps: TOUCH_STATUSES.map(() => ({})) });
  const prepare = await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
  for (const status of ["paused", "completed", "cancelled"]) {
    await addFollowedLead(sql, workspaceId, chase.id, { instance: { status } });
  }
  const later = { next_step_due: FAR_AHEAD };
  const { instanceId, leadId } = await addFollowedLead(sql, workspaceId, chase.id, { instance: later });
  for (const [index, status] of TOUCH_STATUSES.entries()) {
    await addTouch(sql, instanceId, chase.steps[index] ?? "", { status });
  }
  await addAppointment(sql, leadId, { status: "cancelled" });
  const booked = await addLead(sql, workspaceId);
  await addAppointment(sql, booked);
  await addInstance(sql, booked, prepare.id, later);
  return workspaceId;
}

/** All rows of the workspace by table, as text that also changes when a row is rewritten. */
export async function rowsOf(sql: Sql, workspaceId: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const rows: Record<string, readonly string[]> = {};
  for (const table of ["lead", "follow_up_sequence", "follow_up_step", "follow_up_instance", "touch", "appointment"]) {
    rows[table] = await asText(sql, table, "where workspace_id = $1", [workspaceId]);
  }
  return rows;
}

/** All rows of the database by table, as text that also changes when a row is rewritten. */
export async function everyRow(sql: Sql): Promise<Readonly<Record<string, readonly string[]>>> {
  const tables = await sql.query<{ name: string }>(
    "select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1",
  );
  const rows: Record<string, readonly string[]> = {};
  for (const { name } of tables.rows) rows[name] = await asText(sql, name, "", []);
  return rows;
}

async function asText(sql: Sql, table: string, where: string, values: unknown[]): Promise<readonly string[]> {
  const { rows } = await sql.query<{ text: string }>(
    `select row.xmin || ' ' || row.ctid || ' ' || row as text from public."${table}" as row ${where} order by 1`,
    values,
  );
  return rows.map(({ text }) => text);
}

/** `looked` maps columns to queries that read them from other rows; $1 and $2 are the first two of `columns`. */
async function insert(
  sql: Sql,
  table: string,
  columns: Columns,
  looked: Readonly<Record<string, string>> = {},
): Promise<string> {
  const lookedUp = Object.entries(looked).filter(([name]) => !(name in columns));
  const names = [...Object.keys(columns), ...lookedUp.map(([name]) => name)];
  const values = [
    ...Object.keys(columns).map((_, index) => `$${index + 1}`),
    ...lookedUp.map(([, query]) => `(${query})`),
  ];
  const { rows } = await sql.query<{ id: string }>(
    `insert into public.${table} (${names.join(", ")}) values (${values.join(", ")}) returning id`,
    Object.values(columns),
  );
  const [row] = rows;
  if (!row) throw new Error(`nothing was inserted into ${table}`);
  return row.id;
}
