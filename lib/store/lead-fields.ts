import * as z from "zod";
import { unknownFields } from "../domain/field-lint.ts";
import type { WrittenSequence } from "../domain/written-sequence.ts";
import { faultText } from "./sequence-to-save.ts";
import { execute, many, type Queryable } from "./sql.ts";

/** The names of the custom fields in a workspace, sorted. Reads one index range, however many leads there are. */
export async function readFieldNames(db: Queryable, workspaceId: string): Promise<readonly string[]> {
  const rows = await many(db, z.object({ name: z.string() }))`
    select name from lead_field where workspace_id = ${workspaceId}::uuid order by name`;
  return rows.map(({ name }) => name);
}

/** Adds names before a lead has them, so that sequences may use them. Idempotent. */
export async function addFieldNames(db: Queryable, workspaceId: string, names: readonly string[]): Promise<void> {
  await execute(db)`select from add_lead_fields(${workspaceId}::uuid, ${[...names]}::text[])`;
}

/** The custom fields in the texts of sequences that neither the workspace nor `added` has, one message each. */
export async function unknownFieldsOf(
  db: Queryable,
  workspaceId: string,
  sequences: readonly WrittenSequence[],
  added: readonly string[] = [],
): Promise<readonly string[]> {
  const known = [...(await readFieldNames(db, workspaceId)), ...added];
  return sequences.flatMap(({ name, steps }) =>
    steps.flatMap((step, index) =>
      unknownFields(step, known).map(
        ({ part, message }) => `${name}: ${faultText({ path: ["steps", index, part], message })}`,
      ),
    ),
  );
}
