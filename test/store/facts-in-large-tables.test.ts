import { beforeAll, expect, it } from "@jest/globals";
import * as z from "zod";
import { many, rehearsing } from "../../lib/store/sql.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, type Columns, LONG_AGO } from "../support/factories.ts";
import { hoursAgo, tell } from "../support/facts.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();
let workspaceId: string;
const references: Record<string, Columns> = {};

const MANY = 20_000;

beforeAll(async () => {
  workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
  const client = await sql.connect();
  await client.query("set session_replication_role = replica");
  await client.query(
    `insert into lead (workspace_id, email, phone, normalised_email, normalised_phone, opted_in_at)
     select $1, email, phone, email, phone, now()
       from (select 'lead-' || n || '@many.test' as email, '+4930' || 100000 + n as phone
               from generate_series(1, $2::int) as n) as one`,
    [workspaceId, MANY],
  );
  await client.query("set session_replication_role = origin");
  await client.query("analyze lead");
  client.release();
  const chase = await addSequence(sql, workspaceId);
  const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id);
  const sent = { status: "sent", last_attempt_at: LONG_AGO };
  const touch = await addTouch(sql, instanceId, chase.steps[0] ?? "", sent);
  await sql.query(
    "update touch set recipient_hash = suppression_hash(workspace_id, 'lead-7@many.test') where id = $1",
    [touch],
  );
  const email = { email: "Lead-8@many.test" };
  Object.assign(references, { touch: { touch }, id: { id: leadId }, email, phone: { phone: "030 100009" } });
});

const scanRow = z.object({ read: z.coerce.number() });

it.each(
  [
    ["lead.opted_out", {}],
    ["lead.complained", {}],
    ["lead.opted_in", {}],
    ["lead.bounced", { kind: "permanent" }],
    ["lead.bounced", { kind: "transient" }],
    ["lead.replied", {}],
  ].flatMap(([type, detail]) => ["touch", "id", "email", "phone"].map((name) => [type, name, detail] as const)),
)("%s by %s reads no table of leads whole", async (type, name, detail) => {
  await rehearsing(sql, async (db) => {
    const event = { workspaceId, eventId: "one", occurredAt: hoursAgo(1), lead: references[name] };
    const outcome = await tell(db, String(type), { ...event, ...Object(detail) });
    expect(["applied", "stale"]).toContain(outcome.outcome);
    const [scan] = await many(db, scanRow)`
      select seq_tup_read as read from pg_stat_xact_user_tables where relname = 'lead'`;
    expect(scan?.read).toBe(0);
  });
});
