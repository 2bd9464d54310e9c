import { expect, it } from "@jest/globals";
import { answerQuestion } from "../../lib/operate/requests.ts";
import {
  addAppointment,
  addBystanders,
  addFollowedLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
} from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

const DAY_1 = "2026-03-02T09:00:00Z";
const DAY_2 = "2026-03-03T09:00:00Z";
const BETWEEN = "2026-03-02T15:00:00Z";
const AFTER = "2026-03-04T09:00:00Z";

it("counts each reply, booking, opt-out and undeliverable address once, at the last message before it", async () => {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [{}, {}] });
  const sentTo = async (lead: Columns, days = [DAY_1, DAY_2]) => {
    const instance = { status: "completed" };
    const followed = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance });
    for (const [index, sent_at] of days.entries()) {
      const touchId = await addTouch(sql, followed.instanceId, chase.steps[index] ?? "", { status: "sent", sent_at });
      await sql.query(
        `update touch set recipient_hash = suppression_hash(workspace_id, (select normalised_email from lead where id = touch.lead_id)) where id = $1`,
        [touchId],
      );
    }
    return followed;
  };
  await sentTo({ first_inbound_at: BETWEEN, last_inbound_at: AFTER });
  await sentTo({ first_inbound_at: AFTER, last_inbound_at: AFTER });
  await sentTo({ first_inbound_at: "2026-03-01T09:00:00Z", last_inbound_at: AFTER });
  const { leadId } = await sentTo({});
  await addAppointment(sql, leadId);
  await sentTo({ opted_out_at: BETWEEN });
  await sentTo({ email: "gone@example.test" }, [DAY_1]);
  await sql.query(
    `insert into suppression (workspace_id, hash, reason, kind, since, source)
     values ($1, suppression_hash($1, 'gone@example.test'), 'undeliverable', 'email', $2, 'test')`,
    [workspaceId, AFTER],
  );
  const other = await addFollowedLead(sql, workspaceId, chase.id);
  await addTouch(sql, other.instanceId, chase.steps[0] ?? "", { status: "failed" });
  await addTouch(sql, other.instanceId, chase.steps[1] ?? "", { status: "unknown" });
  await addBystanders(sql);

  const replied = await answerQuestion(sql, { question: "funnel", input: { workspace: workspaceId } });
  const none = { delivered: 0, complained: 0 };
  const first = { ...none, replied: 1, booked: 0, optedOut: 1, undeliverable: 1, failed: 1, unknown: 0 };
  const second = { ...none, replied: 1, booked: 1, optedOut: 0, undeliverable: 0, failed: 0, unknown: 1 };
  expect(replied).toMatchObject({
    outcome: "answered",
    answer: {
      steps: [
        { sequence: "Chase", version: 1, position: 1, channel: "email", sent: 6, ...first },
        { sequence: "Chase", version: 1, position: 2, channel: "email", sent: 5, ...second },
      ],
    },
  });
});

it("counts what the provider reports at the message that it concerns, however late", async () => {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [{}, {}] });
  const optedOut = { email: "spam@example.test", opted_out_at: AFTER };
  const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, {
    lead: optedOut,
    instance: { status: "completed" },
  });
  const delivered = { status: "sent", delivered_at: BETWEEN };
  const touches = [
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { ...delivered, sent_at: DAY_1, complained_at: AFTER }),
    await addTouch(sql, instanceId, chase.steps[1] ?? "", { ...delivered, sent_at: DAY_2, bounced_at: AFTER }),
  ];
  await sql.query(
    "update touch set recipient_hash = suppression_hash(workspace_id, 'spam@example.test') where id = any($1)",
    [touches],
  );
  await sql.query(
    `insert into suppression (workspace_id, hash, reason, kind, since, source)
     values ($1, suppression_hash($1, 'spam@example.test'), 'undeliverable', 'email', $2, 'test')`,
    [workspaceId, AFTER],
  );
  const answered = await answerQuestion(sql, { question: "funnel", input: { workspace: workspaceId } });
  expect(answered).toMatchObject({
    answer: {
      steps: [
        { position: 1, sent: 1, delivered: 1, optedOut: 1, undeliverable: 0, complained: 1 },
        { position: 2, sent: 1, delivered: 1, optedOut: 0, undeliverable: 1, complained: 0 },
      ],
    },
  });
});
