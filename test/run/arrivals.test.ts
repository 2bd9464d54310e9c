import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { deliverMessages } from "../../lib/run/deliver-messages.ts";
import type { FollowUpStore } from "../../lib/run/ports.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { addWorkspaceWithDue } from "../support/due.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, LONG_AGO, type Sequence } from "../support/factories.ts";
import { accept, openPool, openRunner, type Runner, SETTINGS } from "../support/run.ts";

let database: TestDatabase;
let sql: pg.Pool;
let runner: Runner;
let workspaceId: string;
let chase: Sequence;

beforeAll(async () => {
  database = await createDatabase();
  sql = openPool(database.url);
  runner = openRunner(database.url);
});
beforeEach(async () => {
  await sql.query("truncate workspace, run cascade");
  runner.channel.sent.length = 0;
  runner.channel.answer = accept;
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
});
afterAll(async () => {
  await runner.close();
  await sql.end();
  await database.drop();
});

type Happens = () => Promise<unknown>;

const NOW = new Date("2030-01-07T12:00:00Z");
const MINUTE_MS = 60_000;
const minutesLater = (minutes: number) => new Date(NOW.getTime() + minutes * MINUTE_MS);
const runAt = (now: Date, store: Partial<FollowUpStore> = {}) =>
  runner.run({}, { now: () => Promise.resolve(now), store: { ...runner.ports.store, ...store } });

/** The method of the real store, and what happens elsewhere right after the first time that it is done. */
function then<Method extends keyof FollowUpStore>(method: Method, happens: Happens): Partial<FollowUpStore> {
  let happened = false;
  const real = runner.ports.store[method] as (...given: unknown[]) => Promise<unknown>;
  const wrapped = async (...given: unknown[]) => {
    const answer = await real.call(runner.ports.store, ...given);
    if (!happened) await happens();
    happened = true;
    return answer;
  };
  return { [method]: wrapped };
}

async function addDueLead(next_step_due: Date = LONG_AGO): Promise<string> {
  return (await addFollowedLead(sql, workspaceId, chase.id, { instance: { next_step_due } })).leadId;
}

interface Arrival {
  readonly name: string;
  readonly statement: string;
  readonly status: "cancelled" | "claimed";
  readonly reason: string;
}

const cancels = (name: string, statement: string, reason: string): Arrival => ({
  name,
  statement,
  status: "cancelled",
  reason,
});
const setLead = (assignment: string) => `update lead set ${assignment} where id = $1`;

const ARRIVALS: readonly Arrival[] = [
  cancels("a booking", setLead("status = 'meeting-booked'"), "meeting_booked"),
  cancels(
    "an appointment",
    `insert into appointment (workspace_id, lead_id, external_id, status, starts_at, ends_at, event_time)
     select workspace_id, id, 'arrives', 'confirmed', '2031-01-01', '2031-01-02', now() from lead where id = $1`,
    "meeting_booked",
  ),
  cancels("an opt-out", setLead("opted_out_at = now()"), "opted_out"),
  cancels("a blacklisting", setLead("status = 'blacklisted'"), "blacklisted"),
  cancels("a reply", setLead(`last_inbound_at = '${minutesLater(1).toISOString()}'`), "lead_replied"),
  cancels(
    "a reply of some minutes ago",
    setLead(`last_inbound_at = '${minutesLater(-10).toISOString()}'`),
    "lead_replied",
  ),
  {
    name: "a pause of the workspace",
    statement: "update workspace set paused_at = now() where id = (select workspace_id from lead where id = $1)",
    status: "claimed",
    reason: "workspace_paused",
  },
];

/** The id of the lead whom it concerns, once everything was done that would reach the lead were it not for the arrival. */
type Point = (arrive: (leadId: string) => Promise<unknown>) => Promise<string>;

const POINTS: Readonly<Record<string, Point>> = {
  "between claim and send": async (arrive) => {
    const leadId = await addDueLead();
    await runAt(
      NOW,
      then("claimDue", () => arrive(leadId)),
    );
    return leadId;
  },
  "between one group's send and that of the next": async (arrive) => {
    await addWorkspaceWithDue(sql, 60);
    const leadId = await addDueLead(new Date(LONG_AGO.getTime() + 3_600_000));
    await runAt(
      NOW,
      then("settle", () => arrive(leadId)),
    );
    expect(runner.channel.sent.filter((touch) => touch.leadId !== leadId)).toHaveLength(60);
    return leadId;
  },
  "between a failed attempt and the next": async (arrive) => {
    const leadId = await addDueLead();
    runner.channel.answer = () => ({ kind: "retry", reason: "provider_is_busy" });
    await runAt(NOW);
    expect(runner.channel.sent).toHaveLength(1);
    runner.channel.answer = accept;
    runner.channel.sent.length = 0;
    await arrive(leadId);
    await runAt(minutesLater(60));
    return leadId;
  },
  "between being decided on anew and being sent": async (arrive) => {
    const leadId = await addDueLead();
    const shut = "update touch set send_until = '2029-01-01' where status = 'claimed'";
    await runAt(NOW, {
      ...then("claimDue", () => sql.query(shut)),
      ...then("reschedule", () => arrive(leadId)),
    });
    return leadId;
  },
  "between being taken up and being sent": async (arrive) => {
    const completed = { instance: { status: "completed" } };
    const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id, completed);
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { next_attempt_at: LONG_AGO, look_again_at: LONG_AGO });
    await runAt(
      NOW,
      then("takeUp", () => arrive(leadId)),
    );
    return leadId;
  },
  "between the queue and its consumer": async (arrive) => {
    const leadId = await addDueLead();
    const handedOver: string[] = [];
    const enqueue = async (touchIds: readonly string[]) => {
      handedOver.push(...touchIds);
      return { refused: [], faults: [] };
    };
    const now = () => Promise.resolve(NOW);
    await runner.run({}, { now, queue: { enqueue } });
    await arrive(leadId);
    const message = { messageId: "one", body: JSON.stringify({ touchIds: handedOver }) };
    await deliverMessages([message], { remainingMs: () => 60_000 }, { ...runner.ports, now }, SETTINGS);
    return leadId;
  },
};

const touchesOf = async (leadId: string) =>
  (await sql.query("select status::text, reason from touch where lead_id = $1", [leadId])).rows;
const sentTo = (leadId: string) => runner.channel.sent.filter((touch) => touch.leadId === leadId);

describe.each(Object.entries(POINTS))("%s", (_, point) => {
  it.each(ARRIVALS)("$name keeps the touch", async ({ statement, status, reason }) => {
    const leadId = await point((id) => sql.query(statement, [id]));
    expect(sentTo(leadId)).toEqual([]);
    expect(await touchesOf(leadId)).toEqual([
      status === "claimed" ? expect.objectContaining({ status }) : { status, reason },
    ]);
  });

  it("nothing arrives, and the touch goes", async () => {
    const leadId = await point(() => Promise.resolve());
    expect(sentTo(leadId)).toHaveLength(1);
    expect(await touchesOf(leadId)).toEqual([{ status: "sent", reason: null }]);
  });
});

it("a reply that had been answered before the claim keeps no touch", async () => {
  const lead = { last_inbound_at: minutesLater(-20), last_outbound_at: minutesLater(-10) };
  const { leadId } = await addFollowedLead(sql, workspaceId, chase.id, { lead });
  await runAt(NOW);
  expect(sentTo(leadId)).toHaveLength(1);
});
