import pg from "pg";
import * as z from "zod";
import { type LoadedDatabase, MESSAGE } from "../database.ts";
import { at } from "../figures.ts";
import { PROVIDER_ID } from "./follow-ups.ts";

/**
 * The ceiling: the most that the database can do. It writes the same rows under the same constraints as the engine,
 * but reads, decides and renders nothing outside the database. One statement claims a batch of one workspace: it
 * advances the instances, updates their leads and inserts touches as sending. A second statement marks them as sent.
 */
export async function sendAtCeiling({ url }: LoadedDatabase, options: CeilingOptions): Promise<void> {
  const clients = Array.from({ length: options.connections }, () => new pg.Client({ connectionString: url }));
  try {
    await Promise.all(clients.map((client) => client.connect()));
    const workspaces = await workspaceIds(at(clients, 0));
    await Promise.all(clients.map((client) => sendWorkspaces(client, workspaces, options.batchSize)));
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

interface CeilingOptions {
  readonly connections: number;
  readonly batchSize: number;
}

async function workspaceIds(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query("select id from workspace");
  return ids.parse(rows).map(({ id }) => id);
}

const ids = z.array(z.object({ id: z.uuid() }));

/** Takes workspaces from the list until it is empty. All connections share the list. */
async function sendWorkspaces(client: pg.Client, workspaces: string[], batchSize: number): Promise<void> {
  for (let id = workspaces.pop(); id !== undefined; id = workspaces.pop()) {
    while ((await sendBatch(client, id, batchSize)) === batchSize);
  }
}

async function sendBatch(client: pg.Client, workspaceId: string, batchSize: number): Promise<number> {
  const values = [workspaceId, batchSize, MESSAGE.subject, MESSAGE.body];
  const { rows } = await client.query({ name: "claim", text: CLAIM, values });
  const touchIds = ids.parse(rows).map(({ id }) => id);
  if (touchIds.length > 0) {
    await client.query({ name: "acknowledge", text: ACKNOWLEDGE, values: [touchIds, PROVIDER_ID] });
  }
  return touchIds.length;
}

const CLAIM = `
  with due as materialized (
    select id, workspace_id, lead_id, sequence_id, version, generation, position
      from follow_up_instance
     where workspace_id = $1 and status = 'active' and (not lead_booked or post_booking) and next_step_due <= now()
     order by next_step_due, id
     limit $2
       for no key update skip locked),
  moved as (
    update follow_up_instance as instance
       set position = due.position + 1, next_step_due = now() + interval '1 day'
      from due
     where instance.id = due.id),
  stamped as (
    update lead set last_outbound_at = now(), last_email_at = now() from due where lead.id = due.lead_id)
  insert into touch (workspace_id, instance_id, lead_id, step_id, generation, channel, status, subject, body, attempts,
                     claimed_at, recheck_at)
  select due.workspace_id, due.id, due.lead_id, step.id, due.generation, step.channel, 'sending', $3, $4, 1, now(),
         now() + interval '15 minutes'
    from due
    join follow_up_step as step on step.sequence_id = due.sequence_id and step.version = due.version
     and step.position = due.position
  returning id`;

const ACKNOWLEDGE = `
  update touch
     set status = 'sent', sent_at = now(), provider_id = $2, recheck_at = null
   where id = any($1) and status = 'sending'`;
