import type { NotificationKind } from "../domain/labels.ts";
import { empty, execute, type Queryable, raw, type Sql, sql } from "./sql.ts";

interface DigestEvents {
  /** A kind, or an expression for it. */
  readonly kind: NotificationKind | Sql;
  /** The one column that describes the event. Which one a kind needs is a law of the table. */
  readonly column: "lead_id" | "touch_id" | "count" | "detail";
  readonly value: Sql;
  readonly workspaceId?: Sql;
  /** A FROM clause with what follows it. One event per row; without it, one event. */
  readonly from?: Sql;
  /** The time of receipt: the digest of an earlier time may already be closed. */
  readonly now: Date;
}

/** A statement that inserts events for the next digest. */
export const insertDigestEvents = ({ kind, column, value, workspaceId, from = empty, now }: DigestEvents): Sql => sql`
      insert into notification_event (workspace_id, kind, ${raw(column)}, occurred_at)
      select ${workspaceId ?? sql`workspace_id`}, ${typeof kind === "string" ? raw(`'${kind}'`) : kind}, ${value}, ${now} ${from}`;

/** Same, with one event per touch of `from`, which has the columns `id` and `workspace_id`. */
export const insertTouchEvents = (kind: DigestEvents["kind"], now: Date, from: Sql): Sql =>
  insertDigestEvents({ kind, column: "touch_id", value: sql`id`, from, now });

/** Queues one event per lead for the next digest. */
export async function insertLeadEvents(
  db: Queryable,
  kind: "meeting_booked" | "lead_replied",
  {
    workspaceId,
    leadIds,
    now,
  }: { readonly workspaceId: string; readonly leadIds: readonly string[]; readonly now: Date },
): Promise<void> {
  const leads = { workspaceId: sql`${workspaceId}::uuid`, value: sql`unnest(${[...leadIds]}::uuid[])` };
  await execute(db)`${insertDigestEvents({ ...leads, kind, column: "lead_id", now })}`;
}
