import * as z from "zod";
import { GUARDRAIL_LIMITS, guardrailLimits } from "./guardrail.ts";
import { storedInstant, storedInstantOrNull } from "./rows.ts";
import { execute, many, one, type Queryable, type Sql, sql } from "./sql.ts";

const workspaceRow = z.object({
  id: z.guid(),
  name: z.string(),
  timeZone: z.string(),
  pausedAt: storedInstantOrNull,
  /** A label of `GUARDRAIL_REASONS`, or an unknown one of a newer database; null while paused: a person paused it. */
  pausedReason: z.string().nullable(),
  createdAt: storedInstant,
});
export type WorkspaceRow = z.infer<typeof workspaceRow>;

/** The workspaces with this id or name, or all; at most `limit`, by name. Names are not unique. */
export async function readWorkspaces(
  db: Queryable,
  { idOrName, limit }: { readonly idOrName: string | null; readonly limit: number },
): Promise<WorkspaceRow[]> {
  return await many(db, workspaceRow)`
    select workspace.id, workspace.name, workspace.time_zone as "timeZone", workspace.paused_at as "pausedAt",
           workspace.paused_reason::text as "pausedReason", workspace.created_at as "createdAt"
      from workspace
     where ${idOrName}::text is null or workspace.id::text = lower(${idOrName}) or workspace.name = ${idOrName}
     order by workspace.name, workspace.id
     limit ${limit}`;
}

const countedRow = z.object({ id: z.guid(), leads: z.int(), liveInstances: z.int() });

/** The workspaces with the numbers of their leads and live instances, which are counted. */
export async function withCounts<Row extends { readonly id: string }>(
  db: Queryable,
  workspaces: readonly Row[],
): Promise<(Row & z.infer<typeof countedRow>)[]> {
  const counted = await many(db, countedRow)`
    select workspace.id, (select count(*)::int from lead where workspace_id = workspace.id) as leads,
           (select count(*)::int from follow_up_instance where workspace_id = workspace.id and live) as "liveInstances"
      from workspace where id = any(${workspaces.map(({ id }) => id)}::uuid[])`;
  const counts = new Map(counted.map((row) => [row.id, row]));
  return workspaces.flatMap((workspace) => {
    const row = counts.get(workspace.id);
    return row ? [{ ...workspace, ...row }] : [];
  });
}

/** Settings as they are stored. They may break a rule that `workspaces apply` checks. */
export const storedSettings = z.object({
  name: z.string(),
  timeZone: z.string(),
  sendWindow: z.object({ days: z.array(z.int()), start: z.string(), end: z.string() }),
  holidays: z.object({
    country: z.string().nullable(),
    region: z.string().nullable(),
    own: z.array(z.string()),
    working: z.array(z.string()),
  }),
  dailyCap: z.int().nullable(),
  gapMinutes: z.int(),
  ghostedAfterDays: z.int(),
  availabilityMaxAgeMinutes: z.int(),
  emailFrom: z.string(),
  guardrail: guardrailLimits,
  digest: z.object({
    time: z.string(),
    email: z.string().nullable(),
    webhookUrl: z.string().nullable(),
    muted: z.boolean(),
  }),
});
export type StoredSettings = z.infer<typeof storedSettings>;

/** Times are local, as HH:MM; days count from 1, Monday. */
export async function readWorkspaceSettings(db: Queryable, id: string): Promise<StoredSettings | undefined> {
  const [settings] = await many(db, storedSettings)`
    select name, time_zone as "timeZone",
           json_build_object('days', ${listOf(sql`window_days`)}, 'start', to_char(window_start, 'HH24:MI'),
                             'end', to_char(window_end, 'HH24:MI')) as "sendWindow",
           json_build_object('country', holiday_country, 'region', holiday_region, 'own', ${listOf(sql`own_holidays`)},
                             'working', ${listOf(sql`working_dates`)}) as holidays,
           daily_cap as "dailyCap", gap_minutes as "gapMinutes", ghosted_after_days as "ghostedAfterDays",
           availability_max_age_minutes as "availabilityMaxAgeMinutes",
           email_from as "emailFrom", ${GUARDRAIL_LIMITS} as guardrail,
           json_build_object('time', to_char(digest_time, 'HH24:MI'), 'email', digest_email,
                             'webhookUrl', digest_webhook_url, 'muted', digest_muted) as digest
      from workspace where id = ${id}::uuid`;
  return settings;
}

/** The items of an array, which a row that was written by SQL may nest, or mix with nulls. */
const listOf = (array: Sql): Sql => sql`
  coalesce((select json_agg(item order by place) from unnest(${array}) with ordinality as list (item, place)
             where item is not null), '[]')`;

/** Adds a workspace. Returns its id. */
export async function createWorkspace(db: Queryable, settings: StoredSettings): Promise<string> {
  const { sendWindow, holidays, guardrail, digest } = settings;
  const { id } = await one(db, z.object({ id: z.guid() }))`
    insert into workspace (name, time_zone, window_days, window_start, window_end, holiday_country, holiday_region,
                           own_holidays, working_dates, daily_cap, gap_minutes, ghosted_after_days,
                           availability_max_age_minutes, email_from,
                           guardrail_bounced_percent, guardrail_bounced_at_least, guardrail_complained_percent,
                           guardrail_complained_at_least, digest_time, digest_email, digest_webhook_url, digest_muted)
    values (${settings.name}, ${settings.timeZone}, ${sendWindow.days}::smallint[], ${sendWindow.start}::time,
            ${sendWindow.end}::time, ${holidays.country}, ${holidays.region}, ${holidays.own}::date[],
            ${holidays.working}::date[],
            ${settings.dailyCap}, ${settings.gapMinutes}, ${settings.ghostedAfterDays},
            ${settings.availabilityMaxAgeMinutes}, ${settings.emailFrom},
            ${guardrail.bouncedPercent}, ${guardrail.bouncedAtLeast}, ${guardrail.complainedPercent},
            ${guardrail.complainedAtLeast}, ${digest.time}::time, ${digest.email}, ${digest.webhookUrl}, ${digest.muted})
    returning id`;
  return id;
}

export async function updateWorkspace(db: Queryable, id: string, settings: StoredSettings): Promise<void> {
  const { sendWindow, holidays, guardrail, digest } = settings;
  await execute(db)`
    update workspace
       set name = ${settings.name}, time_zone = ${settings.timeZone}, window_days = ${sendWindow.days}::smallint[],
           window_start = ${sendWindow.start}::time, window_end = ${sendWindow.end}::time,
           holiday_country = ${holidays.country}, holiday_region = ${holidays.region},
           own_holidays = ${holidays.own}::date[], working_dates = ${holidays.working}::date[],
           daily_cap = ${settings.dailyCap},
           gap_minutes = ${settings.gapMinutes}, ghosted_after_days = ${settings.ghostedAfterDays},
           availability_max_age_minutes = ${settings.availabilityMaxAgeMinutes}, email_from = ${settings.emailFrom},
           guardrail_bounced_percent = ${guardrail.bouncedPercent},
           guardrail_bounced_at_least = ${guardrail.bouncedAtLeast},
           guardrail_complained_percent = ${guardrail.complainedPercent},
           guardrail_complained_at_least = ${guardrail.complainedAtLeast},
           digest_time = ${digest.time}::time, digest_email = ${digest.email}, digest_webhook_url = ${digest.webhookUrl}, digest_muted = ${digest.muted}
     where id = ${id}::uuid`;
}

/** Makes other writers of the workspace wait until the transaction ends. */
export async function lockWorkspace(db: Queryable, id: string): Promise<void> {
  await execute(db)`select from workspace where id = ${id}::uuid for no key update`;
}

/** Makes other transactions that give a workspace this name wait until the transaction ends. */
export async function lockWorkspaceName(db: Queryable, name: string): Promise<void> {
  await execute(db)`select pg_advisory_xact_lock(hashtext('backstop.workspace-name'), hashtext(${name}))`;
}

/** Pauses a workspace at that instant, or resumes it with null. Returns whether that changed anything. */
export async function setPaused(db: Queryable, workspaceId: string, at: Date | null): Promise<boolean> {
  const changed = await execute(db)`
    update workspace set paused_at = ${at}::timestamptz
     where id = ${workspaceId}::uuid and (paused_at is null) = (${at}::timestamptz is not null)`;
  return changed === 1;
}

const switchedRow = z.object({ name: z.string(), changed: z.boolean() });
/** A workspace that is or was paused, and whether this call changed that. */
export type SwitchedWorkspace = z.infer<typeof switchedRow>;

/** Pauses all workspaces at that instant. Those that were paused already keep their time. Locks them in the order of ids. */
export async function pauseAll(db: Queryable, at: Date): Promise<readonly SwitchedWorkspace[]> {
  return await many(db, switchedRow)`
    with found as materialized (select id, name, paused_at from workspace order by id for no key update),
    paused as (
      update workspace set paused_at = ${at}::timestamptz from found
       where workspace.id = found.id and found.paused_at is null)
    select name, paused_at is null as changed from found order by name`;
}

/** Resumes the workspaces that an order with this name paused. Returns all that were paused. */
export async function resumeAll(db: Queryable, orderName: string): Promise<readonly SwitchedWorkspace[]> {
  return await many(db, switchedRow)`
    with found as materialized (
      select id, name, paused_reason is null
             and paused_at in (select placed_at from placed_order where name = ${orderName}) as together
        from workspace where paused_at is not null order by id for no key update),
    resumed as (
      update workspace set paused_at = null from found where workspace.id = found.id and found.together)
    select name, together as changed from found order by name`;
}

/** The own senders of leads, the most frequent first. Reads all leads. */
export async function readLeadSenders(db: Queryable, limit: number): Promise<readonly string[]> {
  const rows = await many(db, z.object({ sender: z.string() }))`
    select sender_email as sender from lead where sender_email is not null
     group by 1 order by count(*) desc, 1 limit ${limit}`;
  return rows.map(({ sender }) => sender);
}

/** The senders of all workspaces, each once: `Ada <ada@example.com>`. */
export async function readSenders(db: Queryable): Promise<readonly string[]> {
  const rows = await many(db, z.object({ sender: z.string() }))`
    select distinct email_from as sender from workspace order by 1`;
  return rows.map(({ sender }) => sender);
}
