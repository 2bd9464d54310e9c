import { expect, it } from "@jest/globals";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

const ask = async (input: object = {}) =>
  JSON.parse(JSON.stringify(await answerQuestion(sql, { question: "due", input }))).answer;

it("counts live sequences by workspace, state and reason, and those that are due", async () => {
  const workspaceId = await addWorkspace(sql, { name: "Harbour Homes" });
  const other = await addWorkspace(sql, { name: "Other" });
  for (const owner of [workspaceId, other]) {
    const chase = await addSequence(sql, owner, { name: "Chase", steps: [{}] });
    for (const instance of [
      { next_step_due: "2020-01-01" },
      { next_step_due: "2040-01-01" },
      { next_step_due: "2040-01-02", hold_reason: "holiday", held_since: "2020-01-01" },
      { status: "paused", paused_reason: "lead_replied" },
    ])
      await addFollowedLead(sql, owner, chase.id, { instance });
  }
  expect(await ask({ workspace: "Harbour Homes" })).toEqual({
    groups: [
      { status: "active", reason: null, instances: 2, due: 1, first: "2020-01-01T00:00:00.000Z" },
      { status: "active", reason: "holiday", instances: 1, due: 0, first: "2040-01-02T00:00:00.000Z" },
      { status: "paused", reason: "lead_replied", instances: 1, due: 0, first: null },
    ].map((group) => ({ ...group, workspaceId, workspace: "Harbour Homes" })),
  });
  expect((await ask()).groups).toHaveLength(6);
});
