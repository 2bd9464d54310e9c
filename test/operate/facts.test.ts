import { describe, expect, it } from "@jest/globals";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { takeInEvent } from "../../lib/operate/take-in-event.ts";
import { addFollowedLead, addSequence, addWorkspace, type Columns, everyRow } from "../support/factories.ts";
import { bodyOf, hoursAgo } from "../support/facts.ts";
import { operatorOn } from "../support/orders.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });
const { give } = operatorOn(sql);

const ask = async (input: object) =>
  JSON.parse(JSON.stringify(await answerQuestion(sql, { question: "facts", input }))).answer.groups;

it("counts facts by type, outcome and warning, of the last days and one workspace", async () => {
  const [one, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
  const add = (workspaceId: string, eventId: string, outcome: object, daysAgo = 0) =>
    sql.query(
      `insert into intake_event (workspace_id, event_id, detail_type, occurred_at, received_at, outcome)
       values ($1, $2, 'lead.replied', now(), now() - $3 * interval '1 day', $4)`,
      [workspaceId, eventId, daysAgo, outcome],
    );
  const warned = { outcome: "applied", warnings: ["occurredAt: is in the future"] };
  await add(one, "1", { outcome: "applied" });
  await add(one, "2", warned);
  await add(one, "3", warned);
  await add(one, "4", { outcome: "stale", warnings: null }, 3);
  await add(other, "1", {});
  const group = { type: "lead.replied", outcome: "applied" };
  expect(await ask({ workspace: "One" })).toEqual([
    { ...group, warning: "occurredAt: is in the future", facts: 2 },
    { ...group, warning: null, facts: 1 },
  ]);
  expect(await ask({ workspace: "One", days: 7 })).toHaveLength(3);
  expect(await ask({ workspace: "Other" })).toEqual([{ ...group, outcome: "unknown", warning: null, facts: 1 }]);
});

describe("the order `intake`", () => {
  const anEvent = (type: string, detail: Columns): Record<string, unknown> =>
    JSON.parse(bodyOf(type, { eventId: "1", occurredAt: hoursAgo(1), ...detail }));

  it("applies an event once, by its event id, and records it with its workspace and lead", async () => {
    const workspaceId = await addWorkspace(sql);
    const chase = await addSequence(sql, workspaceId);
    const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
    const event = anEvent("meeting.booked", { workspaceId, lead: { id: leadId }, meeting: { id: "phone-1" } });
    const { outcomes } = await give(takeInEvent, event);
    expect(outcomes).toMatchObject([{ outcome: "applied", ended: 1, warnings: [expect.stringContaining("meeting")] }]);
    expect(await give(takeInEvent, event)).toEqual({ outcomes: [{ outcome: "duplicate" }] });
    const recorded = await sql.query("select workspace_id, lead_id, placed_by from placed_order where name = 'intake'");
    expect(recorded.rows).toEqual(Array(2).fill({ workspace_id: workspaceId, lead_id: leadId, placed_by: "Hana" }));
  });

  it.each([
    ["an unknown fact", "lead.vanished", {}, "there is no detail-type"],
    [
      "an unknown workspace",
      "lead.replied",
      { lead: { email: "ada@example.test" } },
      "workspaceId: there is no workspace",
    ],
    ["nobody", "lead.replied", { lead: {} }, "detail: lead: "],
  ])("refuses %s, and changes nothing", async (_, type, detail, why) => {
    const before = await everyRow(sql);
    const workspaceId = "0e000000-0000-4000-8000-000000000000";
    await expect(give(takeInEvent, anEvent(type, { workspaceId, ...detail }))).rejects.toThrow(`event_refused: ${why}`);
    expect(await everyRow(sql)).toEqual(before);
  });
});
