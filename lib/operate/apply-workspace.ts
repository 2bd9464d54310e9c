import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import type { Queryable } from "../store/sql.ts";
import {
  createWorkspace,
  lockWorkspace,
  lockWorkspaceName,
  readWorkspaceSettings,
  readWorkspaces,
  storedSettings,
  updateWorkspace,
} from "../store/workspaces.ts";
import { activeSequences, adviceAnswer, adviceOnTimes } from "./advice.ts";
import { order, question, Refused } from "./operation.ts";
import {
  changedSettings,
  settingFault,
  settingFaults,
  settingsToChange,
  type WorkspaceSettings,
  workspaceSettings,
} from "./workspace-settings.ts";
import { theWorkspace, workspaceName } from "./workspaces.ts";

/** `workspaces plan`: what `workspaces apply` would change. */
export const planWorkspace = question({
  name: "workspaces plan",
  summary: "Shows what applying settings would change.",
  input: z.strictObject({
    /** The workspace to change; null: the one with the name in the settings, or a new one. */
    workspace: workspaceName.nullable(),
    settings: settingsToChange,
  }),
  answer: z.object({
    workspaceId: z.guid().nullable(),
    /** Null if the workspace is new. */
    before: storedSettings.nullable(),
    after: storedSettings,
    /** Why `after` cannot be applied. */
    faults: z.array(settingFault),
    /** Steps of its sequences that the new send times would let expire. It prevents nothing. */
    advice: adviceAnswer,
  }),
  async run(db, { workspace, settings }, now) {
    const found = await toChange(db, workspace, settings.name);
    const before = found ? ((await readWorkspaceSettings(db, found)) ?? null) : null;
    const after = changedSettings(before, settings);
    const faults = [...(await settingFaults(after, now))];
    const advice =
      found && faults.length === 0 ? await adviceOnTimes(await activeSequences(db, found), after, now) : [];
    return { workspaceId: found, before, after, faults, advice };
  },
});

async function toChange(db: Queryable, workspace: string | null, name: string): Promise<string | null> {
  if (workspace !== null) return (await theWorkspace(db, workspace)).id;
  const named = await readWorkspaces(db, { idOrName: name, limit: 1 });
  return named.length === 0 ? null : (await theWorkspace(db, name)).id;
}

/** `workspaces apply`: stores settings that were reviewed, and creates the workspace if `workspaceId` is null. */
export const applyWorkspace = order({
  name: "workspaces apply",
  summary: "Creates a workspace or changes its settings.",
  input: z.strictObject({
    workspaceId: z.guid().nullable(),
    /** The settings that the person saw before the change. */
    before: storedSettings.nullable(),
    after: workspaceSettings,
  }),
  answer: z.object({ workspaceId: z.guid(), name: z.string(), created: z.boolean(), changed: z.boolean() }),
  async run(db, { workspaceId, before, after }, { at }) {
    const { name } = after;
    await requireValid(after, at);
    if (name !== before?.name) await requireFreeName(db, name);
    if (workspaceId === null) {
      const id = await createWorkspace(db, after);
      return { workspaceId: id, answer: { workspaceId: id, name, created: true, changed: true } };
    }
    await lockWorkspace(db, workspaceId);
    const current = await readWorkspaceSettings(db, workspaceId);
    if (!current) throw new Refused("not_found", `there is no workspace ${workspaceId}`);
    requireReviewed(current, before);
    const changed = !isDeepStrictEqual(current, after);
    if (changed) await updateWorkspace(db, workspaceId, after);
    return { workspaceId, answer: { workspaceId, name, created: false, changed } };
  },
});

async function requireValid(settings: WorkspaceSettings, now: Date): Promise<void> {
  const faults = await settingFaults(settings, now);
  if (faults.length === 0) return;
  const texts = faults.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Refused("invalid_input", `the settings are invalid: ${texts.join("; ")}`);
}

/** Names are not unique in the table. Two orders that give the same name wait for each other. */
async function requireFreeName(db: Queryable, name: string): Promise<void> {
  await lockWorkspaceName(db, name);
  const [other] = await readWorkspaces(db, { idOrName: name, limit: 1 });
  if (other) throw new Refused("changed", `there is a workspace "${name}" (${other.id}) now: review the changes again`);
}

function requireReviewed(current: WorkspaceSettings, before: WorkspaceSettings | null): void {
  const keys = Object.keys(current) as (keyof WorkspaceSettings)[];
  const differing = keys.filter((key) => !isDeepStrictEqual(current[key], before?.[key]));
  if (differing.length === 0) return;
  const what = differing.join(", ");
  throw new Refused("changed", `${current.name} changed since you reviewed it (${what}): review the changes again`);
}
