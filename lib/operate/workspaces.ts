import * as z from "zod";
import { SWEEP_WINDOWS } from "../domain/labels.ts";
import { sweepText } from "../domain/sweeps.ts";
import { readSweeps } from "../store/connection-sweeps.ts";
import type { Queryable } from "../store/sql.ts";
import {
  readWorkspaceSettings,
  readWorkspaces,
  storedSettings,
  type WorkspaceRow,
  withCounts,
} from "../store/workspaces.ts";
import { isoInstant, question, Refused } from "./operation.ts";
import { MAX_LISTED } from "./page.ts";

/** How a person names a workspace: its id or its name. */
export const workspaceName = z.string().trim().min(1).max(200);

const summary = z.object({
  id: z.guid(),
  name: z.string(),
  timeZone: z.string(),
  pausedAt: isoInstant.nullable(),
  /** Null while paused: a person paused it. */
  pausedReason: z.string().nullable(),
  leads: z.int(),
  liveInstances: z.int(),
  createdAt: isoInstant,
});

/** The comparison with one window of a booking tool. */
const sweepAnswer = z.object({
  tool: z.string(),
  window: z.enum(SWEEP_WINDOWS),
  /** Begin of the latest sweep that read everything; without one, of the first. */
  since: isoInstant,
  fault: z.string().nullable(),
  text: z.string(),
});

/** `workspaces list`: by name, at most 1,000. */
export const listWorkspaces = question({
  name: "workspaces list",
  summary: "Lists the workspaces with their leads and live instances.",
  input: z.strictObject({}),
  answer: z.object({ workspaces: z.array(summary) }),
  run: async (db) => ({
    workspaces: await withCounts(db, await readWorkspaces(db, { idOrName: null, limit: MAX_LISTED })),
  }),
});

/** `workspaces show`: the settings of one workspace, which may be left out if there is only one. */
export const showWorkspace = question({
  name: "workspaces show",
  summary: "Shows the settings of a workspace.",
  input: z.strictObject({ workspace: workspaceName.optional() }),
  answer: summary.extend(storedSettings.shape).extend({ sweeps: z.array(sweepAnswer) }),
  async run(db, { workspace }, now) {
    const [found] = await withCounts(db, [await theOrOnlyWorkspace(db, workspace)]);
    const settings = found && (await readWorkspaceSettings(db, found.id));
    if (!settings) throw new Refused("not_found", "the workspace was removed just now");
    const sweeps = await readSweeps(db, { workspaceId: found.id, now });
    return { ...found, ...settings, sweeps: sweeps.map((sweep) => ({ ...sweep, text: sweepText(sweep, now) })) };
  },
});

/** The one workspace with this id or name, or the only one. Refuses a missing choice, and lists the workspaces. */
export async function theOrOnlyWorkspace(db: Queryable, idOrName: string | undefined): Promise<WorkspaceRow> {
  if (idOrName !== undefined) return await theWorkspace(db, idOrName);
  const [only, ...others] = await readWorkspaces(db, { idOrName: null, limit: 20 });
  if (only && others.length === 0) return only;
  if (!only) throw new Refused("not_found", "there is no workspace yet: create one with workspaces apply");
  throw new Refused(
    "ambiguous",
    `there are several workspaces: select one of ${named([only, ...others])}, with --workspace`,
  );
}

/** The one workspace with this id or name. Refuses an unknown or ambiguous name, and lists the candidates. */
export async function theWorkspace(db: Queryable, idOrName: string): Promise<WorkspaceRow> {
  const [found, ...others] = await readWorkspaces(db, { idOrName, limit: MAX_LISTED });
  if (found && others.length === 0) return found;
  if (found) {
    throw new Refused(
      "ambiguous",
      `several workspaces are called "${idOrName}": use an id of ${named([found, ...others])}`,
    );
  }
  const known = await readWorkspaces(db, { idOrName: null, limit: 20 });
  throw new Refused("not_found", `there is no workspace "${idOrName}"; there are ${named(known) || "none"}`);
}

/** The id of the workspace with this id or name; null, for all workspaces, without one. Refuses as `theWorkspace`. */
export const workspaceIdOf = async (db: Queryable, idOrName: string | undefined): Promise<string | null> =>
  idOrName === undefined ? null : (await theWorkspace(db, idOrName)).id;

const named = (workspaces: readonly WorkspaceRow[]): string =>
  workspaces.map(({ id, name }) => `${name} (${id})`).join(", ");
