import { randomUUID } from "node:crypto";
import { expect, it } from "@jest/globals";
import { answerQuestion, carryOutOrder } from "../../lib/operate/requests.ts";
import { addAppointment, addFollowedLead, addSequence, addWorkspace, everyRow } from "../support/factories.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });

const list = async (input: object = {}) =>
  JSON.parse(JSON.stringify(await answerQuestion(sql, { question: "tasks list", input }))).answer.tasks;

const done = async (task: string) =>
  JSON.parse(
    JSON.stringify(
      await carryOutOrder(
        sql,
        { order: "tasks done", input: { task }, orderId: randomUUID(), by: "Hana", reason: "called" },
        null,
      ),
    ),
  );

/** A lead with an open task, which a touch created. */
async function aTask(name: string) {
  const workspaceId = await addWorkspace(sql, { name });
  const step = { channel: "task", subject: "Call {{ lead.first_name }}", body: "About the flat." };
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [step, {}] });
  const { leadId, instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { lead: { last_name: "Byron" } });
  const { rows: touches } = await sql.query<{ id: string }>(
    `insert into touch (workspace_id, instance_id, lead_id, step_id, generation, channel, status, body, claimed_at, sent_at)
     values ($1, $2, $3, $4, 1, 'task', 'sent', 'About the flat.', now(), now()) returning id`,
    [workspaceId, instanceId, leadId, chase.steps[0]],
  );
  const { rows } = await sql.query<{ id: string }>(
    `insert into task (workspace_id, touch_id, lead_id, title, notes)
     values ($1, $2, $3, 'Call Ada', 'About the flat.') returning id`,
    [workspaceId, touches[0]?.id, leadId],
  );
  return { taskId: rows[0]?.id ?? "", leadId, workspaceId };
}

it("lists the open tasks of a workspace with lead and notes, and marks one as done, once", async () => {
  const { taskId, leadId, workspaceId } = await aTask("One");
  const other = await aTask("Other");
  expect(await list({ workspace: "One" })).toMatchObject([
    { id: taskId, leadId, leadName: "Ada Byron", title: "Call Ada", notes: "About the flat.", position: 1 },
  ]);
  expect((await list()).map(({ id }: { id: string }) => id)).toEqual([taskId, other.taskId]);
  expect(await done(taskId)).toEqual({ outcome: "answered", answer: { taskId, changed: true } });
  expect(await done(taskId)).toMatchObject({ answer: { changed: false } });
  expect((await list()).map(({ id }: { id: string }) => id)).toEqual([other.taskId]);
  const { rows } = await sql.query("select workspace_id, placed_by from placed_order");
  expect(rows).toEqual(Array(2).fill({ workspace_id: workspaceId, placed_by: "Hana" }));
});

it("refuses a task that a booking cancelled, and one that does not exist, and changes nothing", async () => {
  const { taskId, leadId } = await aTask("One");
  await addAppointment(sql, leadId);
  await runner.run();
  const before = await everyRow(sql);
  expect(await list()).toEqual([]);
  expect(await done(taskId)).toMatchObject({ code: "cancelled" });
  expect(await done(randomUUID())).toMatchObject({ code: "not_found" });
  expect(await everyRow(sql)).toEqual(before);
});
