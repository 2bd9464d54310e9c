import { expect, it } from "@jest/globals";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { addWorkspace } from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

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
