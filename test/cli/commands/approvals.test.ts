import { beforeEach, describe, expect, it } from "@jest/globals";
import { type EndedProgram, startProgram } from "../../support/child-process.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace, everyRow } from "../../support/factories.ts";
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
  it("lists the touches of a workspace that need approval, without a text or an address", async () => {
    const { code, stdout } = await backstop("approvals", "list", "--workspace", workspaceId);
    expect(code).toBe(0);
    expect(stdout).toContain(waiting.touchId);
    expect(stdout).toMatch(
      /step 1 of "Chase .*" in Harbour Homes, email\n.*created 2020-01-06T09:00Z\n +expires never/,
    );
    expect(stdout).not.toMatch(/Ada|shall we talk/);
    const elsewhere = await backstop("approvals", "list", "--workspace", await addWorkspace(sql));
    expect(elsewhere).toMatchObject({ code: 0, stdout: "No touch needs approval.\n" });
  });

  it("shows the text, and approves it by its fingerprint", async () => {
    const shown = await backstop("approvals", "show", waiting.touchId);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain("\n\nSubject: For Ada\n\nHello Ada, shall we talk?\n\nFingerprint: ");
    const fingerprint = fingerprintIn(shown.stdout);
    const approve = () =>
      backstop("approvals", "approve", waiting.touchId, "--fingerprint", fingerprint, "--by", "Hana");
    expect(await approve()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Approved .*next run/) });
    expect(await statusOf("touch", waiting.touchId)).toBe("claimed");
    expect(await statusOf("follow_up_instance", waiting.instanceId)).toBe("active");
    expect(await approve()).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/refused: .*already/) });
  });

  it("refuses a text that has changed since it was shown, then shows the new text", async () => {
    const { stdout } = await backstop("approvals", "show", waiting.touchId);
    await sql.query("update lead set first_name = 'Grace' where id = $1", [waiting.leadId]);
    const words = ["approvals", "approve", waiting.touchId, "--fingerprint", fingerprintIn(stdout), "--by", "Hana"];
    expect(await backstop(...words)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/has changed.*approvals show/),
    });
    expect(await statusOf("touch", waiting.touchId)).toBe("awaiting_approval");
    expect((await backstop("approvals", "show", waiting.touchId)).stdout).toContain("Hello Grace");
  });

  it("rejects with a reason and a name", async () => {
    const words = ["approvals", "reject", waiting.touchId, "--reason", "too pushy", "--by", "Hana"];
    expect(await backstop(...words)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Rejected /) });
    expect(await statusOf("touch", waiting.touchId)).toBe("rejected");
    expect(await backstop("approvals", "show", waiting.touchId)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/is rejected: it was already/),
    });
  });

  it.each([
    [["show"], /missing required argument 'touch'/],
    [["show", "x"], /Expected a UUID/],
    [["approve", "0190f0f0-0000-7000-8000-000000000001", "--by", "Hana"], /required option '--fingerprint/],
    [["approve", "0190f0f0-0000-7000-8000-000000000001", "--fingerprint", "5f0c"], /64 hexadecimal digits/],
    [["reject", "0190f0f0-0000-7000-8000-000000000001", "--reason", " ", "--by", "Hana"], /must not be empty/],
  ])("reports a missing or invalid argument, with code 64: %j", async (words, message) => {
    const ended = await backstop("approvals", ...words);
    expect(ended).toMatchObject({ code: 64, stdout: "", stderr: expect.stringMatching(message) });
  });

  it("reports a touch that does not exist", async () => {
    const ended = await backstop("approvals", "show", "0190f0f0-0000-7000-8000-000000000001");
    const message = expect.stringMatching(/^backstop: there is no touch 0190f0f0.*approvals list/m);
    expect(ended).toMatchObject({ code: 1, stdout: "", stderr: message });
  });
});

describe("reopen", () => {
  const reopen = () => backstop("reopen", waiting.instanceId, "--reason", "a test booking", "--by", "Hana");

  it("reopens an ended instance, and explain shows who did it and why", async () => {
    await sql.query("update touch set status = 'cancelled', reason = 'meeting_booked' where id = $1", [
      waiting.touchId,
    ]);
    await sql.query(
      "update follow_up_instance set status = 'completed', completed_at = now(), completed_reason = 'meeting_booked', paused_reason = null where id = $1",
      [waiting.instanceId],
    );
    const { code, stdout } = await reopen();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Reopened .*step 1, due 20.*generation 2\.\n$/);
    const explained = (await backstop("explain", waiting.instanceId)).stdout;
    expect(explained).toMatch(
      /Reopened:\n {2}20.* by Hana: "a test booking"; it was completed \(meeting_booked\).*step 1/,
    );
    expect(explained).toMatch(/1 +│ 1 +│ email +│ cancelled/);
  });

  it("reports the reason of a refusal, with code 1, and changes nothing", async () => {
    const before = await everyRow(sql);
    expect(await reopen()).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/it has not ended/) });
    expect(await everyRow(sql)).toEqual(before);
  });

  it("requires a reason and a name, and has a help text", async () => {
    expect(await backstop("reopen", waiting.instanceId)).toMatchObject({
      code: 64,
      stderr: expect.stringMatching(/required option '--reason/),
    });
    expect((await backstop("reopen", "--help")).stdout).toMatch(/^Usage: backstop reopen .*Exits with 1.*Example:/s);
  });
});
