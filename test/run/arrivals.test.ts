import { beforeEach, describe, expect, it } from "@jest/globals";
import type { DeliveryQueue } from "../../lib/run/channel-ports.ts";
import { deliverMessages } from "../../lib/run/deliver-messages.ts";
import type { FollowUpStore } from "../../lib/run/store-ports.ts";
import { addAppointment, addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { accept, leftClaimed, SETTINGS, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });
let workspaceId: string;
let sequenceId: string;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  sequenceId = (await addSequence(sql, workspaceId)).id;
});

const NOON = Date.parse("2030-01-07T12:00:00Z");
const at = (hours: number) => new Date(NOON + hours * 60 * 60_000);
const clockAt = (hours: number) => ({ now: () => Promise.resolve(at(hours)) });
const addDue = () => addFollowedLead(sql, workspaceId, sequenceId);

/** An event for the given lead. */
type Arrives = (leadId: string) => Promise<unknown>;

/** The real store; calls `happens` after the named method, until it once does not return false. */
function after<Name extends "claimDue" | "reschedule" | "settle" | "claimAgain">(
  name: Name,
  happens: () => Promise<unknown>,
) {
  const { store } = runner.ports;
  const done = store[name] as (...given: unknown[]) => Promise<unknown>;
  let happened = false;
  const andThen = async (...given: unknown[]) => {
    const answer = await done.apply(store, given);
    if (!happened) happened = (await happens()) !== false;
    return answer;
  };
  return { store: { ...store, [name]: andThen } as FollowUpStore };
}

/** Adds a lead whose first attempt failed with a transient error. */
async function addFailed(): Promise<string> {
  const { leadId } = await addDue();
  runner.channel.answer = () => ({ kind: "retry", reason: "smtp_451" });
  await runner.run({}, clockAt(0));
  expect(runner.channel.sent).toHaveLength(1);
  runner.channel.answer = accept;
  return leadId;
}

/** More touches than the first group of the second claim holds; the first claim only fills the concurrency limit. */
const TWO_GROUPS = 300;

async function oneOfTheSecondGroup(): Promise<string> {
  const { rows } = await sql.query<{ lead_id: string }>("select lead_id from touch where status = 'claimed' limit 1");
  expect(runner.channel.sent.length).toBeGreaterThan(0);
  return rows[0]?.lead_id ?? "";
}

/** Each brings a lead to a point, triggers the event there, and runs until the touch is sent. Returns the lead's id. */
const POINTS: Readonly<Record<string, (arrives: (leadId: string) => Promise<void>) => Promise<string>>> = {
  "between claim and start": async (arrives) => {
    const { leadId } = await addDue();
    await runner.run({}, { ...clockAt(0), store: leftClaimed(after("claimDue", () => arrives(leadId)).store) });
    return leadId;
  },

  "between one group and the start of the next": async (arrives) => {
    for (let number = 0; number < TWO_GROUPS; number++) await addDue();
    let leadId = "";
    const happens = async () => {
      leadId = await oneOfTheSecondGroup();
      if (leadId === "") return false;
      return arrives(leadId);
    };
    await runner.run({}, { ...clockAt(0), ...after("settle", happens) });
    return leadId;
  },

  "between a repeated decision and the second start": async (arrives) => {
    const { leadId } = await addDue();
    const shut = async () => {
      await sql.query("update touch set send_until = claimed_at");
    };
    const { claimDue } = leftClaimed(after("claimDue", shut).store);
    const { store } = after("reschedule", () => arrives(leadId));
    await runner.run({}, { ...clockAt(0), store: { ...store, claimDue } });
    await runner.run({}, clockAt(0.1));
    return leadId;
  },

  "between an attempt that failed and the run of the next": async (arrives) => {
    const leadId = await addFailed();
    await arrives(leadId);
    await runner.run({}, clockAt(2));
    return leadId;
  },

  "between the taking up of a failed touch and its start": async (arrives) => {
    const leadId = await addFailed();
    await runner.run({}, { ...clockAt(2), ...after("claimAgain", () => arrives(leadId)) });
    return leadId;
  },

  "between the queue and the consumer": async (arrives) => {
    const { leadId } = await addDue();
    const bodies: string[] = [];
    const enqueue: DeliveryQueue["enqueue"] = (touchIds) => {
      bodies.push(JSON.stringify({ touchIds }));
      return Promise.resolve({ refused: [], faults: [] });
    };
    await runner.run({}, { ...clockAt(0), queue: { enqueue } });
    await arrives(leadId);
    const messages = bodies.map((body, index) => ({ messageId: String(index), body }));
    await deliverMessages(messages, { remainingMs: () => 60_000 }, { ...runner.ports, ...clockAt(0) }, SETTINGS);
    return leadId;
  },
};

const set =
  (assignment: string, ...values: unknown[]): Arrives =>
  (leadId) =>
    sql.query(`update lead set ${assignment} where id = $1`, [leadId, ...values]);

const cancelled = (reason: string) => ({ status: "cancelled", reason });

const ARRIVALS: Readonly<Record<string, readonly [arrives: Arrives, expected: { status: string; reason: string }]>> = {
  "a booking": [set("status = 'meeting-booked'"), cancelled("meeting_booked")],
  "a confirmed appointment": [(leadId) => addAppointment(sql, leadId), cancelled("meeting_booked")],
  "an opt-out": [set("opted_out_at = now()"), cancelled("opted_out")],
  "a blacklisting": [set("status = 'blacklisted'"), cancelled("blacklisted")],
  "a reply": [set("last_inbound_at = $2", at(1)), cancelled("lead_replied")],
  "a reply that was a minute on its way": [set("last_inbound_at = $2", at(-1 / 60)), cancelled("lead_replied")],
  "a pause of the workspace": [
    () => sql.query("update workspace set paused_at = now()"),
    { status: "claimed", reason: "workspace_paused" },
  ],
};

describe.each(Object.entries(POINTS))("%s", (_, bringTo) => {
  const comeTo = async (arrives: Arrives) => {
    let arrived = 0;
    const leadId = await bringTo(async (lead) => {
      runner.channel.sent.length = 0;
      arrived += 1;
      await arrives(lead);
    });
    expect(arrived).toBe(1);
    const { rows } = await sql.query("select status, reason from touch where lead_id = $1", [leadId]);
    return { touches: rows, sent: runner.channel.sent.filter((touch) => touch.leadId === leadId).length };
  };

  it.each(Object.entries(ARRIVALS))("%s cancels the touch, with a reason", async (_, [arrives, left]) => {
    expect(await comeTo(arrives)).toEqual({ touches: [left], sent: 0 });
  });

  it("counts as sent even if nothing arrives", async () => {
    expect(await comeTo(() => Promise.resolve())).toEqual({ touches: [{ status: "sent", reason: null }], sent: 1 });
  });
});
