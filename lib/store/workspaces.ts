import * as z from "zod";
import { instant, instantOrNull } from "./rows.ts";
import { execute, many, type Queryable } from "./sql.ts";

const workspaceRow = z.object({
  id: z.guid(),
  name: z.string(),
  timeZone: z.string(),
  pausedAt: instantOrNull,
  leads: z.int(),
  liveInstances: z.int(),
  createdAt: instant,
});
export type WorkspaceRow = z.infer<typeof workspaceRow>;

/** The workspaces with this id or name, or all; at most `limit`, by name. Names are not unique. */
export async function readWorkspaces(
  db: Queryable,
  { idOrName, limit }: { readonly idOrName: string | null; readonly limit: number },
): Promise<WorkspaceRow[]> {
  return await many(db, workspaceRow)`
    select workspace.id, workspace.name, workspace.time_zone as "timeZone", workspace.paused_at as "pausedAt",
           (select count(*)::int from lead where workspace_id = workspace.id) as leads,
           (select count(*)::int from follow_up_instance where workspace_id = workspace.id and live) as "liveInstances",
           workspace.created_at as "createdAt"
      from workspace
     where ${idOrName}::text is null or workspace.id::text = lower(${idOrName}) or workspace.name = ${idOrName}
     order by workspace.name, workspace.id
     limit ${limit}`;
}

const settingsRow = z.object({
  sendWindow: z.object({ days: z.array(z.int()), start: z.string(), end: z.string() }),
  holidays: z.object({ country: z.string().nullable(), region: z.string().nullable(), own: z.array(z.string()) }),
  dailyCap: z.int().nullable(),
  gapMinutes: z.int(),
  ghostedAfterDays: z.int(),
  emailFrom: z.string(),
  digest: z.object({
    time: z.string(),
    email: z.string().nullable(),
    webhookUrl: z.string().nullable(),
    muted: z.boolean(),
  }),
});
export type WorkspaceSettings = z.infer<typeof settingsRow>;

/** Times are local, as HH:MM; days count from 1, Monday. */
export async function readWorkspaceSettings(db: Queryable, id: string): Promise<WorkspaceSettings | undefined> {
  const [settings] = await many(db, settingsRow)`
    select json_build_object('days', window_days, 'start', to_char(window_start, 'HH24:MI'),
                             'end', to_char(window_end, 'HH24:MI')) as "sendWindow",
           json_build_object('country', holiday_country, 'region', holiday_region, 'own', own_holidays) as holidays,
           daily_cap as "dailyCap", gap_minutes as "gapMinutes", ghosted_after_days as "ghostedAfterDays",
           email_from as "emailFrom",
           json_build_object('time', to_char(digest_time, 'HH24:MI'), 'email', digest_email,
                             'webhookUrl', digest_webhook_url, 'muted', digest_muted) as digest
      from workspace where id = ${id}::uuid`;
  return settings;
}

/** Pauses a workspace at that instant, or resumes it with null. Returns whether that changed anything. */
export async function setPaused(db: Queryable, workspaceId: string, at: Date | null): Promise<boolean> {
  const changed = await execute(db)`
    update workspace set paused_at = ${at}::timestamptz
     where id = ${workspaceId}::uuid and (paused_at is null) = (${at}::timestamptz is not null)`;
  return changed === 1;
}
