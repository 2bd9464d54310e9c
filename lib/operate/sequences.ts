import * as z from "zod";
import type { WrittenSequence } from "../domain/written-sequence.ts";
import type { Queryable } from "../store/sql.ts";
import {
  findStoredSequences,
  readSequences,
  type StoredSequence,
  sequenceSummary,
  storedStep,
} from "../store/stored-sequences.ts";
import { question, Refused } from "./operation.ts";
import { MAX_LISTED } from "./page.ts";
import { theOrOnlyWorkspace, workspaceName } from "./workspaces.ts";

/** Names a sequence of a workspace: its id or its name. */
export const sequenceName = z.string().trim().min(1).max(1_000);

/** May be left out if there is only one workspace. */
const ofWorkspace = { workspace: workspaceName.optional() };

/** A sequence as it is stored. Its texts may be older than the checks of today. */
export const storedSequence = z.object({
  name: z.string(),
  triggerOn: z.string(),
  active: z.boolean(),
  steps: z.array(storedStep).readonly(),
});

/** A copy with the types of inputs, whose arrays are mutable. */
export const writable = ({ steps, ...head }: WrittenSequence) => ({
  ...head,
  steps: steps.map((step) => ({ ...step, allow: [...step.allow] })),
});

/** `sequences list`: by name, at most 1,000. */
export const listSequences = question({
  name: "sequences list",
  summary: "Lists the sequences of a workspace with their steps and the leads in them.",
  input: z.strictObject(ofWorkspace),
  answer: z.object({
    workspaceId: z.guid(),
    workspace: z.string(),
    sequences: z.array(sequenceSummary),
  }),
  async run(db, { workspace }) {
    const { id, name } = await theOrOnlyWorkspace(db, workspace);
    return { workspaceId: id, workspace: name, sequences: await readSequences(db, id, MAX_LISTED) };
  },
});

/** `sequences show`: the latest version of one sequence. */
export const showSequence = question({
  name: "sequences show",
  summary: "Shows the steps and texts of a sequence.",
  input: z.strictObject({ ...ofWorkspace, sequence: sequenceName }),
  answer: z.object({ id: z.guid(), version: z.int(), sequence: storedSequence }),
  async run(db, { workspace, sequence }) {
    const { id: workspaceId, name } = await theOrOnlyWorkspace(db, workspace);
    const { id, version, written } = await theSequence(db, { workspaceId, workspace: name, idOrName: sequence });
    if (!written) throw new Refused("not_found", `the sequence "${sequence}" has no steps`);
    return { id, version, sequence: written };
  },
});

interface Named {
  readonly workspaceId: string;
  readonly workspace: string;
  readonly idOrName: string;
}

/** The one sequence of a workspace with this id or name. Refuses an unknown name, and lists the known ones. */
export async function theSequence(db: Queryable, { workspaceId, workspace, idOrName }: Named): Promise<StoredSequence> {
  const [found] = await findStoredSequences(db, workspaceId, { idOrName });
  if (found) return found;
  const known = (await readSequences(db, workspaceId, 20)).map(({ name }) => name).join(", ") || "none";
  throw new Refused("not_found", `there is no sequence "${idOrName}" in ${workspace}; there are ${known}`);
}

/** A file has at most 256 KiB, which JSON may double. A page stays below the 6 MB of a Lambda answer. */
const PAGE = 10;

/** `sequences export`: ten at a time, by name. Leaves out sequences without steps. */
export const exportSequences = question({
  name: "sequences export",
  summary: "Returns the sequences of a workspace as they are written in files.",
  input: z.strictObject({
    ...ofWorkspace,
    /** `next` of the page before. */
    after: z.string().nullable().default(null),
  }),
  answer: z.object({ sequences: z.array(storedSequence), next: z.string().nullable() }),
  async run(db, { workspace, after }) {
    const { id } = await theOrOnlyWorkspace(db, workspace);
    const stored = await findStoredSequences(db, id, { after, limit: PAGE });
    const sequences = stored.flatMap(({ written }) => written ?? []);
    return { sequences, next: stored.length < PAGE ? null : (stored.at(-1)?.name ?? null) };
  },
});
