import { randomUUID } from "node:crypto";
import { expect, it } from "@jest/globals";
import { carryOutOrder } from "../../lib/operate/requests.ts";
import {
  addAppointment,
  addFollowedLead,
  addInstance,
  addSequence,
  addWorkspace,
  everyRow,
} from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

const reopen = async (input: object) =>
  JSON.parse(
    JSON.stringify(
      await carryOutOrder(
        sql,
        { order: "reopen", input, orderId: randomUUID(), by: "Hana", reason: "a test booking" },
        null,
      ),
    ),
  );

const ENDED = { status: "completed", completed_reason: "meeting_booked" };

async function aStoppedLead() {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [{}, {}] });
  const lead = await addFollowedLead(sql, workspaceId, chase.id, {
    instance: ENDED,
    lead: { email: "ada@example.test" },
  });
  return { ...lead, workspaceId, sequenceId: chase.id };
}

it("reopens a sequence by the address of the lead and the name of the sequence", async () => {
  const { instanceId, leadId, workspaceId } = await aStoppedLead();
  const { answer } = await reopen({ lead: "Ada@example.test", sequence: "Chase" });
  expect(answer).toMatchObject({ instanceId, generation: 2, position: 1 });
  const { rows } = await sql.query("select status, generation from follow_up_instance where id = $1", [instanceId]);
  expect(rows).toEqual([{ status: "active", generation: 2 }]);
  const reopening = await sql.query("select lead_id, reason, reopened_by from reopening");
  expect(reopening.rows).toEqual([{ lead_id: leadId, reason: "a test booking", reopened_by: "Hana" }]);
  const { rows: orders } = await sql.query("select workspace_id, answer from placed_order");
  expect(orders).toMatchObject([{ workspace_id: workspaceId }]);
  expect(JSON.stringify(orders)).not.toContain("ada@");
});

it("reopens the latest of several ended instances", async () => {
  const { leadId, sequenceId } = await aStoppedLead();
  const latest = await addInstance(sql, leadId, sequenceId, ENDED);
  const { answer } = await reopen({ lead: leadId, sequence: "Chase" });
  expect(answer.instanceId).toBe(latest);
});

it("refuses and changes nothing if the lead is booked, the sequence is live, or the lead was never in it", async () => {
  const { leadId, workspaceId } = await aStoppedLead();
  await addSequence(sql, workspaceId, { name: "Other" });
  expect(await reopen({ lead: leadId, sequence: "Other" })).toMatchObject({ code: "not_found" });
  await addAppointment(sql, leadId);
  const before = await everyRow(sql);
  expect(await reopen({ lead: leadId, sequence: "Chase" })).toMatchObject({ code: "meeting_booked" });
  expect(await everyRow(sql)).toEqual(before);
  await sql.query("delete from appointment");
  expect(await reopen({ lead: leadId, sequence: "Chase" })).toMatchObject({ outcome: "answered" });
  expect(await reopen({ lead: leadId, sequence: "Chase" })).toMatchObject({ code: "is_live" });
});
