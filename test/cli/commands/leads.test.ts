import { expect } from "@jest/globals";
import { startProgram } from "../../support/child-process.ts";
import { addFollowedLead, addSequence, addWorkspace, FAR_AHEAD } from "../../support/factories.ts";
import { long } from "../../support/long.ts";
import { useDatabase } from "../../support/use-database.ts";

const { database, sql } = await useDatabase({ empty: true });

const run = (...words: string[]) =>
  startProgram("cli/main.ts", ["leads", ...words], { environment: { NO_COLOR: "1", DATABASE_URL: database.url } })
    .ended;
const signed = ["--by", "Hana", "--reason", "asked by phone"];

long.it("stops a lead that is named by its address, shows what an erasure deletes, and erases it", async () => {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { name: "Chase" });
  const lead = { email: "ada@example.test" };
  const { leadId } = await addFollowedLead(sql, workspaceId, chase.id, {
    lead,
    instance: { next_step_due: FAR_AHEAD },
  });
  expect(await run("stop", "Ada@example.test", ...signed)).toMatchObject({
    code: 0,
    stdout: "Ended 1 sequences and cancelled 0 unsent messages. Automation is off.\n",
  });
  expect(await run("erase", "ada@example.test", "--dry-run")).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(new RegExp(`^Lead ${leadId} in Harbour Homes\n(.*\n)* {2}lead 1\nDry run: nothing`)),
  });
  expect(await run("erase", "ada@example.test", "--yes", ...signed)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("Erased: deleted 2 rows and ended 0 sequences."),
  });
  expect(await run("snooze", leadId, "--days", "3", ...signed)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("refused (not_found)"),
  });
});
