import { beforeEach, describe, expect, it } from "@jest/globals";
import { startProgram } from "../../support/child-process.ts";
import {
  addFollowedLead,
  addSequence,
  addTouch,
  addWorkspace,
  everyRow,
  type Sequence,
} from "../../support/factories.ts";
import { useDatabase } from "../../support/use-database.ts";

const { database, sql } = await useDatabase();
let workspaceId: string;
let chase: Sequence;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql, { gap_minutes: 90, daily_cap: 7 });
  chase = await addSequence(sql, workspaceId, {
    name: `Chase ${workspaceId}`,
    steps: [{}, { channel: "sms", subject: null }],
  });
});

const explain = (id: string) =>
  startProgram("cli/main.ts", ["explain", id], { environment: { NO_COLOR: "1", DATABASE_URL: database.url } }).ended;

describe("explain", () => {
  it("shows the touches, the decision and its data, without a name or an address", async () => {
    const lead = { last_outbound_at: new Date(Date.now() - 30 * 60_000), time_zone: "Asia/Tokyo" };
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance: { position: 2 } });
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { status: "failed", reason: "smtp_550" });
    const before = await everyRow(sql);

    const { code, stdout } = await explain(instanceId);

    expect(code).toBe(0);
    expect(stdout).toMatch(/at step 2: active, next step due 2020-01-06T09:00Z/);
    expect(stdout).toMatch(/1 +│ email +│ failed \(smtp_550/);
    expect(stdout).toMatch(/passed +The send window is open where the lead lives\./);
    expect(stdout).toMatch(/decides +gap_kept: .*, checked again 20/);
    expect(stdout).toMatch(/time zone +Asia\/Tokyo \(lead\)/);
    expect(stdout).toMatch(/gap 90 min/);
    expect(stdout).toMatch(/daily cap +0 of 7 used/);
    expect(stdout).not.toMatch(/Ada|ada-\d+@example|\+4930/);
    expect(await everyRow(sql)).toEqual(before);
  });

  it("shows why an instance ended, and that nothing more is sent", async () => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, { instance: { status: "completed" } });
    const { stdout } = await explain(instanceId);
    expect(stdout).toMatch(/completed \(out_of_steps\)/);
    expect(stdout).toMatch(/No step has been claimed yet\.\n\nThe instance has ended/);
  });

  it("reads infinity timestamps as long ago", async () => {
    const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, {
      instance: { next_step_due: "infinity" },
    });
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { next_attempt_at: "infinity" });
    expect(await explain(instanceId)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/active, next step due 1970-01-01T00:00Z/),
    });
  });

  it("reports an unknown instance and an invalid id", async () => {
    const missing = "0190f0f0-0000-7000-8000-000000000001";
    expect(await explain(missing)).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(missing) });
    expect(await explain("x")).toMatchObject({ code: 64, stderr: expect.stringContaining("Expected a UUID") });
  });
});
