import * as z from "zod";
import type { TouchDetails } from "../run/channel-ports.ts";
import { LEAD_TEXTS, leadTexts } from "./columns.ts";
import { many, type Queryable } from "./sql.ts";

const detailsRow = z.object({
  touchId: z.guid(),
  attempt: z.int(),
  workspaceName: z.string(),
  sequenceId: z.guid(),
  sequenceName: z.string(),
  stepKey: z.string(),
  stepPosition: z.int(),
  lead: z.object(leadTexts),
});

/** The details of touches that are `sending`, by touch id. Lead, names and position are those of now. */
export async function readDetails(
  db: Queryable,
  touchIds: readonly string[],
): Promise<ReadonlyMap<string, TouchDetails>> {
  const rows = await many(db, detailsRow)`
    select touch.id as "touchId", touch.attempts as attempt, workspace.name as "workspaceName",
           sequence.id as "sequenceId", sequence.name as "sequenceName",
           step.key as "stepKey", step.position as "stepPosition",
           json_build_object(${LEAD_TEXTS}) as lead
      from touch
      join workspace on workspace.id = touch.workspace_id
      join lead on lead.workspace_id = touch.workspace_id and lead.id = touch.lead_id
      join follow_up_step as step on step.id = touch.step_id
      join follow_up_sequence as sequence on sequence.id = step.sequence_id
     where touch.id = any(${[...touchIds]}::uuid[])`;
  return new Map(rows.map((row) => [row.touchId, detailsOf(row)]));
}

const detailsOf = (row: z.infer<typeof detailsRow>): TouchDetails => ({
  attempt: row.attempt,
  workspaceName: row.workspaceName,
  lead: row.lead,
  sequence: { id: row.sequenceId, name: row.sequenceName },
  step: { key: row.stepKey, position: row.stepPosition },
});
