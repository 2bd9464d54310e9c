import * as z from "zod";
import { many, type Queryable } from "./sql.ts";

export const factCount = z.object({
  type: z.string(),
  outcome: z.string(),
  /** The fault that it names; null without a warning. */
  warning: z.string().nullable(),
  facts: z.int(),
});

interface FactQuery {
  readonly workspaceId: string | null;
  readonly since: Date;
  readonly limit: number;
}

/** Facts that were received since then, by type, outcome and warning, the most frequent first. */
export async function countFacts(db: Queryable, query: FactQuery): Promise<z.infer<typeof factCount>[]> {
  const { workspaceId, since, limit } = query;
  return await many(db, factCount)`
    select detail_type as type, coalesce(outcome ->> 'outcome', 'unknown') as outcome, warning, count(*)::int as facts
      from intake_event
      left join lateral jsonb_array_elements_text(
        case jsonb_typeof(outcome -> 'warnings') when 'array' then outcome -> 'warnings' end) as warning on true
     where received_at >= ${since} and (${workspaceId}::uuid is null or workspace_id = ${workspaceId}::uuid)
     group by 1, 2, 3
     order by facts desc, 1, 2, 3 nulls first
     limit ${limit}`;
}
