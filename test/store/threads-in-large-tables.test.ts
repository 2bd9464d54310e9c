import { expect, it } from "@jest/globals";
import * as z from "zod";
import { many, rehearsing } from "../../lib/store/sql.ts";
import { startSending } from "../../lib/store/start-sending.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, LONG_AGO } from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();

const MANY = 5_000;

const scanRow = z.object({ read: z.coerce.number() });

it("reads only the mails of its own instance for a thread, also if the statistics are from before the first mail", async () => {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { steps: [{}, {}] });
  const [first = "", second = ""] = chase.steps;
  const lead = { last_outbound_at: LONG_AGO, last_email_at: LONG_AGO };
  const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { lead });
  const earlier = await addTouch(sql, instanceId, first, { status: "sent", last_attempt_at: LONG_AGO });
  const client = await sql.connect();
  await client.query("set session_replication_role = replica");
  await client.query(
    `insert into touch (workspace_id, instance_id, lead_id, step_id, generation, channel, status, body, claimed_at, sent_at)
     select workspace_id, gen_random_uuid(), lead_id, step_id, 1, channel, 'sent', body, claimed_at, sent_at
       from touch cross join generate_series(1, $1::int)`,
    [MANY],
  );
  await client.query("analyze touch");
  await client.query("update touch set provider_id = id::text");
  await client.query("set session_replication_role = origin");
  // A new connection, because its statistics also count what this one has not reported yet.
  client.release(true);
  const due = { next_attempt_at: LONG_AGO, expected_outbound_at: LONG_AGO };
  const touchId = await addTouch(sql, instanceId, second, due);
  await rehearsing(sql, async (db) => {
    const now = new Date();
    const { started } = await startSending(db, [touchId], { now, until: new Date(now.getTime() + 60_000) });
    expect(started).toMatchObject([{ id: touchId, thread: [earlier] }]);
    const [scan] = await many(db, scanRow)`
      select seq_tup_read + idx_tup_fetch as read from pg_stat_xact_user_tables where relname = 'touch'`;
    expect(scan?.read).toBeLessThan(20);
  });
});
