import * as z from "zod";
import { FIELD_NAME } from "../domain/lead-fields.ts";
import { unknownFieldsOf } from "../store/lead-fields.ts";
import { faultsOfSteps, faultText, SequenceRefused, writtenSequence } from "../store/sequence-to-save.ts";
import { planSequences, upsertSequences } from "../store/sequences.ts";
import { adviceAnswer, adviceOn } from "./advice.ts";
import { order, question, Refused } from "./operation.ts";
import { storedSequence } from "./sequences.ts";
import { theOrOnlyWorkspace, workspaceName } from "./workspaces.ts";

/** Completely valid, and each name once. */
const sequencesToApply = z
  .array(writtenSequence)
  .min(1)
  .superRefine((given, context) => {
    const names = new Set<string>();
    for (const [index, sequence] of given.entries()) {
      const faults = faultsOfSteps(sequence).map((fault) => `${sequence.name}: ${faultText(fault)}`);
      if (names.has(sequence.name)) faults.push(`${sequence.name}: another sequence has the same name`);
      names.add(sequence.name);
      for (const message of faults) context.addIssue({ code: "custom", path: [index], message });
    }
  });

/** Custom fields that the texts may read although no lead has them yet. */
const newFields = z.array(z.string().regex(FIELD_NAME)).default([]);

/** `sequences plan`: what `sequences apply` would change. */
export const planApplySequences = question({
  name: "sequences plan",
  summary: "Shows what applying sequences would change.",
  input: z.strictObject({
    /** May be left out if there is only one workspace. */
    workspace: workspaceName.optional(),
    sequences: sequencesToApply,
    newFields,
  }),
  answer: z.object({
    workspaceId: z.guid(),
    workspace: z.string(),
    /** The custom fields in the texts that no lead of the workspace has: one message each. Applying is refused then. */
    unknownFields: z.array(z.string()),
    /** One for each sequence, in the same order. */
    plans: z.array(
      z.object({
        /** The latest version; null if the sequence is new. */
        before: storedSequence.nullable(),
        version: z.int(),
        /** Leads in the sequence; counted only if the change depends on it, else 0. */
        inside: z.int(),
        fingerprint: z.string().nullable(),
      }),
    ),
    /** Effects that the authors may not expect. It prevents nothing. */
    advice: adviceAnswer,
  }),
  async run(db, { workspace, sequences: given, newFields: added }, now) {
    const { id, name } = await theOrOnlyWorkspace(db, workspace);
    const plans = await planSequences(db, id, given);
    return {
      workspaceId: id,
      workspace: name,
      unknownFields: [...(await unknownFieldsOf(db, id, given, added))],
      plans: plans.map(({ stored, inside, fingerprint }) => ({
        before: stored?.written ?? null,
        version: stored?.version ?? 0,
        inside,
        fingerprint,
      })),
      advice: await adviceOn(db, id, given, now),
    };
  },
});

/** `sequences apply`: stores sequences that were reviewed, all or none. */
export const applySequences = order({
  name: "sequences apply",
  summary: "Changes the sequences of a workspace to match the files.",
  input: z.strictObject({
    workspaceId: z.guid(),
    sequences: sequencesToApply,
    newFields,
    /** The `fingerprint` of each plan that the person saw, in the same order. */
    seen: z.array(z.string().nullable()),
  }),
  answer: z.object({
    workspaceId: z.guid(),
    saved: z.array(z.object({ id: z.guid(), name: z.string(), version: z.int() })),
  }),
  async run(db, { workspaceId, sequences: given, newFields: added, seen }) {
    if (seen.length !== given.length) throw new Refused("invalid_input", "seen: must have one entry for each sequence");
    try {
      const saved = await upsertSequences(db, workspaceId, given, {
        seen: seen.map((fingerprint) => ({ fingerprint })),
        newFields: added,
      });
      const named = saved.map(({ id, version }, index) => ({ id, name: given[index]?.name ?? "", version }));
      return { workspaceId, answer: { workspaceId, saved: named } };
    } catch (thrown) {
      throw thrown instanceof SequenceRefused ? new Refused("not_applied", thrown.faults.join("; ")) : thrown;
    }
  },
});
