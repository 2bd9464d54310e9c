import { beforeEach, describe, expect, it } from "@jest/globals";
import { type EndedProgram, startProgram } from "../../support/child-process.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace } from "../../support/factories.ts";
import { long } from "../../support/long.ts";
import { useDatabase } from "../../support/use-database.ts";

const { database, sql } = await useDatabase();
let workspaceId: string;
let waiting: { readonly touchId: string; readonly instanceId: string; readonly leadId: string };

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  waiting = await aWaitingTouch();
});

async function aWaitingTouch() {
  const steps = [{ needs_approval: true }, {}];
  const chase = await addSequence(sql, workspaceId, { name: `Chase ${workspaceId}`, steps });
  const instance = { status: "paused", paused_reason: "awaiting_approval" };
  const lead = await addFollowedLead(sql, workspaceId, chase.id, { instance });
  const touch = { status: "awaiting_approval", subject: "For Ada" };
  return { ...lead, touchId: await addTouch(sql, lead.instanceId, chase.steps[0] ?? "", touch) };
}

const backstop = (...words: readonly string[]): Promise<EndedProgram> =>
  startProgram("cli/main.ts", words, { environment: { NO_COLOR: "1", DATABASE_URL: database.url } }).ended;

const fingerprintIn = (stdout: string) => /^Fingerprint: ([0-9a-f]{64})$/m.exec(stdout)?.[1] ?? "";

async function statusOf(table: "touch" | "follow_up_instance", id: string): Promise<string | undefined> {
  const { rows } = await sql.query<{ status: string }>(`select status from ${table} where id = $1`, [id]);
  return rows[0]?.status;
}

describe("approvals", () => {
  const signed = ["--by", "Hana", "--reason", "reads well"];

  long.it("lists what needs approval, shows recipient and text, and approves it by its fingerprint", async () => {
    const { code, stdout } = await backstop("approvals", "list", "--workspace", workspaceId);
    expect(code).toBe(0);
    expect(stdout).toContain(waiting.touchId);
    expect(stdout).toMatch(/step 1 of "Chase/);
    expect(stdout).not.toContain("shall we talk");
    const unread = await backstop("approvals", "approve", waiting.touchId, ...signed);
    expect(unread).toMatchObject({ code: 1, stderr: expect.stringMatching(/no terminal.*--fingerprint/) });
    expect(unread.stdout).toMatch(
      /\n\nTo: Ada, ada-.*\n\nSubject: For Ada\n\nHello Ada, shall we talk\?\n\nFingerprint: /,
    );
    const fingerprint = fingerprintIn(unread.stdout);
    const approve = () => backstop("approvals", "approve", waiting.touchId, "--fingerprint", fingerprint, ...signed);
    expect(await approve()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Approved .*next run/) });
    expect(await statusOf("touch", waiting.touchId)).toBe("claimed");
    expect(await approve()).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/refused .*already/) });
  });

  it("reports invalid arguments, with code 64", async () => {
    const ended = await backstop("approvals", "approve", waiting.touchId, "--fingerprint", "5f0c", ...signed);
    expect(ended).toMatchObject({ code: 64, stdout: "", stderr: expect.stringMatching(/64 hexadecimal digits/) });
  });
});

long.it("reopens a sequence by the names of lead and sequence, and reports a refusal", async () => {
  const words = ["reopen", waiting.leadId, `Chase ${workspaceId}`, "--reason", "a test booking", "--by", "Hana"];
  expect(await backstop(...words)).toMatchObject({ code: 1, stderr: expect.stringMatching(/it has not ended/) });
  await sql.query("update touch set status = 'cancelled', reason = 'meeting_booked' where id = $1", [waiting.touchId]);
  await sql.query(
    "update follow_up_instance set status = 'completed', completed_at = now(), completed_reason = 'meeting_booked', paused_reason = null where id = $1",
    [waiting.instanceId],
  );
  const { code, stdout } = await backstop(...words);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Reopened "Chase .*step 1, due 20.*generation 2\.\n$/);
  const { stdout: story } = await backstop("leads", "show", waiting.instanceId);
  expect(story).toMatch(/sequence reopened "Chase .*", step 1 \(a test booking, by Hana\)/);
});
