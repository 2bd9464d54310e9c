import { describe, expect, it } from "@jest/globals";
import { onPool } from "../../lib/store/sql.ts";
import {
  addFollowedLead,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  LONG_AGO,
} from "../support/factories.ts";
import { aMeeting, hoursAgo, tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { useRunner } from "../support/run.ts";
import { INVALID_ZONES, VALID_ZONES } from "../support/zones.ts";

const { sql, runner } = await useRunner({ empty: true });

/** A digest sender that accepts everything and sends nothing. */
const accepting = { send: () => Promise.resolve({ kind: "accepted", providerId: "digest" } as const) };
const run = () => runner.run({}, { digests: { email: accepting, webhook: accepting } });

const one = async (statement: string, ...values: unknown[]) => (await sql.query<Columns>(statement, values)).rows[0];

/** Adds a workspace with all that depends on its zone: a cap, a digest, a due step, a retry, an expired approval. */
async function addBusyWorkspace(columns: Columns) {
  const workspaceId = await addWorkspace(sql, { daily_cap: 5, digest_email: "team@example.test", ...columns });
  const { id, steps } = await addSequence(sql, workspaceId, {
    steps: [{}, { needs_approval: true }, { delay_minutes: 3 * 1440 }],
  });
  const due = await addFollowedLead(sql, workspaceId, id);
  const retried = await addFollowedLead(sql, workspaceId, id, {
    instance: { position: 2, next_step_due: "2100-01-01" },
  });
  const undecided = { next_attempt_at: LONG_AGO, recheck_at: LONG_AGO, send_until: null };
  await addTouch(sql, retried.instanceId, steps[0] ?? "", undecided);
  const waiting = await addFollowedLead(sql, workspaceId, id, {
    instance: { status: "paused", paused_reason: "awaiting_approval", position: 2 },
  });
  const expired = { status: "awaiting_approval", expires_at: LONG_AGO, recheck_at: LONG_AGO };
  await addTouch(sql, waiting.instanceId, steps[1] ?? "", expired);
  await sql.query(
    "insert into notification_event (workspace_id, kind, lead_id, occurred_at) values ($1, 'lead_replied', $2, $3)",
    [workspaceId, due.leadId, hoursAgo(30)],
  );
  await sql.query("update workspace set next_digest_at = $2 where id = $1", [workspaceId, hoursAgo(1)]);
  return { workspaceId, ...due };
}

const storable = (zones: readonly string[]) => zones.filter((zone) => !zone.includes("\0"));

describe("an invalid time zone in the table", () => {
  long.it(
    "of any workspace or lead holds its own steps with a named reason, and the healthy tenant is served",
    async () => {
      const healthy = await addBusyWorkspace({});
      const held: { instanceId: string; workspaceId: string; reason: string; detail: string }[] = [];
      for (const zone of storable(INVALID_ZONES)) {
        const { workspaceId, instanceId } = await addBusyWorkspace({ time_zone: zone });
        const detail = `workspace ${workspaceId}: time_zone is not a time zone`;
        held.push({ instanceId, workspaceId, reason: "invalid_time_zone", detail });
      }
      const mixed = await addWorkspace(sql);
      const { id } = await addSequence(sql, mixed, { steps: [{}, { delay_minutes: 3 * 1440 }] });
      for (const zone of storable(INVALID_ZONES)) {
        const { instanceId, leadId } = await addFollowedLead(sql, mixed, id, { lead: { time_zone: zone } });
        const detail = `lead ${leadId}: time_zone is not a time zone`;
        held.push({ instanceId, workspaceId: mixed, reason: "invalid_time_zone", detail });
      }

      const report = await run();

      expect(report).toMatchObject({ success: true, errors: [], results: { claimed: 1, held: held.length } });
      expect(report.results?.reasons).toEqual({ ready: 1, invalid_time_zone: held.length });
      const byId = (a: { instanceId: string }, b: { instanceId: string }) => (a.instanceId < b.instanceId ? -1 : 1);
      const problems = report.results?.problems ?? [];
      expect(problems).toHaveLength(Math.min(50, held.length));
      expect([...held].sort(byId)).toEqual(expect.arrayContaining([...problems].sort(byId)));
      expect(report.notificationDigests).toMatchObject({
        sent: storable(INVALID_ZONES).length + 1,
        failed: 0,
        unknown: 0,
      });
      expect(runner.channel.sentTo(healthy.workspaceId)).toHaveLength(2);
      expect(runner.channel.sent).toHaveLength(2);
      expect(report.recovered).toMatchObject({ delivery: { sent: 1, deferred: storable(INVALID_ZONES).length } });
      const { rows } = await sql.query(
        "select distinct reason from touch where status = 'claimed' and workspace_id <> $1",
        [healthy.workspaceId],
      );
      expect(rows).toEqual([{ reason: "invalid_time_zone" }]);
      const told = JSON.stringify([report, runner.lines]);
      for (const zone of INVALID_ZONES.filter((text) => text.trim().length > 4)) expect(told).not.toContain(zone);
    },
  );

  it("holds nothing if the zone is valid", async () => {
    const mixed = await addWorkspace(sql);
    const { id } = await addSequence(sql, mixed, { steps: [{}, { delay_minutes: 3 * 1440 }] });
    for (const zone of VALID_ZONES) {
      await addFollowedLead(sql, mixed, id, { lead: { time_zone: zone } });
      await addBusyWorkspace({ time_zone: zone });
    }
    const report = await run();
    expect(report).toMatchObject({ success: true, results: { claimed: 2 * VALID_ZONES.length, held: 0 } });
  });

  it("goes out with the next decision after the repair", async () => {
    const { workspaceId, instanceId } = await addBusyWorkspace({ time_zone: "IST" });
    await run();
    expect(runner.channel.sent).toEqual([]);
    await sql.query("update workspace set time_zone = 'Asia/Kolkata' where id = $1", [workspaceId]);
    await sql.query("update follow_up_instance set next_step_due = now() where id = $1", [instanceId]);
    await run();
    expect(runner.channel.sent).toHaveLength(1);
  });
});

describe("a fact about a lead with an invalid time zone", () => {
  const db = () => onPool(runner.ports.database.pool);

  it.each(["PST", "", "\u221202:00"])(
    "that books stops what chases it, though it cannot be reckoned when the next one starts: %j",
    async (zone) => {
      const workspaceId = await addWorkspace(sql, { time_zone: "IST" });
      const chase = await addSequence(sql, workspaceId);
      await addSequence(sql, workspaceId, { trigger_on: "meeting_selected", steps: [{ delay_minutes: 5 * 1440 }] });
      const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { lead: { time_zone: zone } });
      const about = { workspaceId, occurredAt: hoursAgo(0), lead: { id: leadId } };
      const booked = { ...about, eventId: "b", meeting: aMeeting("m") };
      expect(await tell(db(), "meeting.booked", booked)).toMatchObject({
        outcome: "applied",
        ended: 1,
        started: 1,
        warnings: [`lead ${leadId}: time_zone is not a time zone; its steps are held`],
      });
      expect(await one("select status from follow_up_instance where id = $1", instanceId)).toEqual({
        status: "completed",
      });
      expect(await tell(db(), "lead.opted_out", { ...about, eventId: "o" })).toMatchObject({ outcome: "applied" });
    },
  );

  it("that enrols gives that lead the verdict, and enters the others", async () => {
    const workspaceId = "0a000000-0000-7000-8000-00000000000a";
    await addWorkspace(sql, { id: workspaceId });
    await addSequence(sql, workspaceId, { name: "Tomorrow", steps: [{ delay_minutes: 1440 }] });
    const leads = Array.from({ length: 500 }, (_, place) => ({
      email: `p${place}@example.test`,
      timeZone: place % 100 === 7 ? "IST" : "Europe/Berlin",
    }));
    const about = { workspaceId, eventId: "e", occurredAt: hoursAgo(0), sequence: { name: "Tomorrow" } };
    const outcome = await tell(db(), "lead.enrolled", { ...about, leads });
    expect(outcome).toMatchObject({ outcome: "applied", started: 495 });
    const verdicts = "verdicts" in outcome ? (outcome.verdicts ?? []) : [];
    expect(verdicts[7]).toMatch(/^invalid: timeZone: is not a time zone/);
    expect(new Set(verdicts).size).toBe(2);
    expect(JSON.stringify(outcome)).not.toContain("IST");
  });

  it("warns at each enrolment until the fact brings a valid zone", async () => {
    const workspaceId = await addWorkspace(sql);
    const { id } = await addSequence(sql, workspaceId, { steps: [{ delay_minutes: 1440 }] });
    await addLead(sql, workspaceId, { time_zone: "PST", email: "pst@example.test" });
    const about = { workspaceId, sequence: { id } };
    const enrol = (eventId: string, ...leads: object[]) =>
      tell(db(), "lead.enrolled", { ...about, eventId, occurredAt: hoursAgo(0), leads });
    expect(await enrol("1", { email: "pst@example.test" }, { email: "new@example.test" })).toMatchObject({
      started: 1,
      verdicts: ["invalid: time_zone of the lead is not a time zone", "enrolled"],
    });
    const repaired = { email: "pst@example.test", timeZone: "America/Los_Angeles" };
    expect(await enrol("2", repaired)).toMatchObject({ started: 1, verdicts: ["enrolled"] });
  });
});
