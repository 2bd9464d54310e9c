import { applyMessages } from "../../lib/run/apply-messages.ts";
import type { Database } from "../../lib/store/connect.ts";
import { intakeStore } from "../../lib/store/facts/apply-fact.ts";
import type { Sql } from "./factories.ts";
import { aMeeting, bodyOf, hoursAgo } from "./facts.ts";
import type { TenantCopy } from "./whole-tenant.ts";

interface Message {
  readonly messageId: string;
  readonly body: string;
}

/** Applies the facts of all tenants in one batch. Returns their outcomes by tenant and fact type. */
export async function takeInFactsOf(
  database: Database,
  sql: Sql,
  tenants: readonly TenantCopy[],
): Promise<ReadonlyMap<string, Record<string, string>>> {
  const messages: Message[] = [];
  for (const tenant of tenants) messages.push(...(await factsOf(sql, tenant)));
  const became = new Map(tenants.map(({ id }): [string, Record<string, string>] => [id, {}]));
  const tell = (event: string, { messageId, reason, fault }: Record<string, unknown>) => {
    const [workspaceId = "", type] = String(messageId ?? "").split(" ");
    const outcomes = became.get(workspaceId);
    if (type && outcomes) outcomes[type] = [event, reason, fault].filter((part) => part !== undefined).join(" ");
  };
  await applyMessages(messages, {
    ...intakeStore(database),
    deadLetters: { keep: () => Promise.resolve() },
    log: { info: tell, error: tell },
  });
  return became;
}

/** The facts of one tenant. Facts that stop a lead name it by its id. */
async function factsOf(sql: Sql, { id: workspaceId, leads }: TenantCopy): Promise<readonly Message[]> {
  const { rows } = await sql.query<{ touchId: string; fingerprint: string }>(
    `select id as "touchId", fingerprint from touch where workspace_id = $1 and lead_id = $2`,
    [workspaceId, leads.get("approved")],
  );
  const about = (role: string) => ({ eventId: `fact ${role}`, lead: { id: leads.get(role) } });
  const details = {
    "lead.opted_out": about("opts out"),
    "lead.replied": about("replies"),
    "lead.contacted": { ...about("is called"), channel: "call" },
    "lead.snoozed": { ...about("sleeps"), until: null },
    "meeting.booked": { ...about("books"), meeting: aMeeting("new", 2_000) },
    "touch.approved": { eventId: "fact approved", by: "Hana", ...rows[0] },
    "lead.enrolled": {
      eventId: "fact enrolled",
      sequence: { name: "Chase" },
      leads: [{ externalId: "enrols" }, { externalId: "new" }],
      restart: true,
    },
  };
  return Object.entries(details).map(([type, detail]) => ({
    messageId: `${workspaceId} ${type}`,
    body: bodyOf(type, { workspaceId, occurredAt: hoursAgo(1), ...detail }),
  }));
}
