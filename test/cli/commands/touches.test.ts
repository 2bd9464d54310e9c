import { expect } from "@jest/globals";
import { startProgram } from "../../support/child-process.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace } from "../../support/factories.ts";
import { long } from "../../support/long.ts";
import { useDatabase } from "../../support/use-database.ts";

const { database, sql } = await useDatabase();

const backstop = (...words: string[]) =>
  startProgram("cli/main.ts", words, { environment: { NO_COLOR: "1", DATABASE_URL: database.url } }).ended;
const signed = ["--by", "Hana", "--reason", "seen in the log"];

long.it("lists, settles and retries touches, shows how many first, and lists runs", async () => {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { name: "Chase" });
  const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, {
    instance: { status: "completed" },
    lead: { email: "ada@example.test" },
  });
  const touchId = await addTouch(sql, instanceId, chase.steps[0] ?? "", { status: "unknown", reason: "sender_died" });
  const status = async () => (await sql.query("select status from touch where id = $1", [touchId])).rows[0]?.status;

  const { stdout: listed } = await backstop("touches", "list");
  for (const shown of [touchId, "unknown", "sender_died", "days", "Ada", "ada@example.test", "Chase", "step 1, email"])
    expect(listed).toContain(shown);
  expect(await backstop("touches", "settle", touchId, "failed", ...signed)).toMatchObject({
    code: 0,
    stdout: `The touch ${touchId} is failed.\n`,
  });
  const plan = "Failed touches of Harbour Homes:\n       1  settled_by_person  would be sent again\n";
  expect(await backstop("touches", "retry", "--dry-run")).toMatchObject({ code: 0, stdout: plan });
  expect(await status()).toBe("failed");
  expect(await backstop("touches", "retry", ...signed)).toMatchObject({
    code: 1,
    stdout: plan,
    stderr: expect.stringContaining("--yes"),
  });
  expect(await status()).toBe("failed");
  expect(await backstop("touches", "retry", "--yes", ...signed)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/1 touches are claimed again/),
  });
  expect(await status()).toBe("claimed");
  expect(await backstop("runs", "list")).toMatchObject({ code: 0, stdout: "There was no run yet.\n" });
});
