import { randomUUID } from "node:crypto";
import { expect, it } from "@jest/globals";
import { answerQuestion } from "../../lib/operate/requests.ts";
import { addAppointment, addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });

const ask = async (question: string, input: object = {}) =>
  JSON.parse(JSON.stringify(await answerQuestion(sql, { question, input })));

it("shows the promise of a run, and the same numbers as its report", async () => {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId);
  const { leadId } = await addFollowedLead(sql, workspaceId, chase.id);
  await addAppointment(sql, leadId);
  const report = await runner.run();
  const { answer } = await ask("runs show");
  expect(answer).toMatchObject({
    id: report.runId,
    success: true,
    timedOut: false,
    errors: 0,
    slowestSeconds: report.backstop?.slowestSeconds,
    completed: 1,
    sent: 0,
    backlog: 0,
    durationMs: report.durationMs,
  });
  expect(answer.slowestSeconds).toBeGreaterThan(0);
  expect(answer.report).toEqual(JSON.parse(JSON.stringify(report)));
  expect(await ask("runs show", { run: report.runId })).toMatchObject({ answer: { id: report.runId } });
});

const addRun = async (columns: { at: string; deadline?: string; report?: object; success?: boolean }) => {
  const { rows } = await sql.query<{ id: string }>(
    `insert into run (trigger, request_id, started_at, deadline_at, finished_at, success, report)
     values ('schedule', 'r', $1, $2, $3, $4, $5) returning id`,
    [
      columns.at,
      columns.deadline ?? columns.at,
      columns.success === undefined ? null : columns.at,
      columns.success ?? null,
      columns.report ?? null,
    ],
  );
  return rows[0]?.id;
};

it("lists the newest first, page by page, and each run once", async () => {
  const ids = [];
  // Two start at the same instant.
  for (const at of ["2026-03-01T09:00Z", "2026-03-01T09:01Z", "2026-03-01T09:01Z", "2026-03-01T09:02Z"])
    ids.push(await addRun({ at, success: true, report: {} }));
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const { answer } = await ask("runs list", { limit: 1, ...(after && { after }) });
    seen.push(...answer.runs.map(({ id }: { id: string }) => id));
    after = answer.next;
  } while (after);
  expect(seen.toSorted()).toEqual(ids.toSorted());
  expect(seen[0]).toBe(ids[3]);
  expect(seen[3]).toBe(ids[0]);
});

it("distinguishes a run that died from one in progress, and reads reports of any shape", async () => {
  await addRun({ at: "2026-03-01T09:00Z" });
  await addRun({ at: "2026-03-01T09:01Z", deadline: "2100-01-01T00:00Z" });
  await addRun({ at: "2026-03-01T09:02Z", success: false, report: { errors: ["one", "two"], reason: "locked" } });
  await addRun({ at: "2026-03-01T09:03Z", success: false, report: { errors: "x", backstop: { slowestSeconds: "y" } } });
  const { answer } = await ask("runs list");
  expect(answer.runs).toMatchObject([
    { errors: 0, slowestSeconds: null },
    { success: false, errors: 2, reason: "locked", slowestSeconds: null },
    { success: null, timedOut: false },
    { success: null, timedOut: true },
  ]);
});

it("refuses an unknown run, and says if there was none", async () => {
  expect(await ask("runs show")).toMatchObject({ code: "not_found", message: "there was no run yet" });
  expect(await ask("runs show", { run: randomUUID() })).toMatchObject({ code: "not_found" });
  expect(await ask("runs list")).toMatchObject({ answer: { runs: [], next: null } });
});
