import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "@jest/globals";
import { startProgram } from "../../support/child-process.ts";
import { addWorkspace, everyRow } from "../../support/factories.ts";
import { long } from "../../support/long.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { useDatabase } from "../../support/use-database.ts";

const { database, sql } = await useDatabase({ empty: true });

const run = (...words: string[]) =>
  startProgram("cli/main.ts", ["workspaces", ...words], {
    environment: { NO_COLOR: "1", DATABASE_URL: database.url },
  }).ended;
const signed = ["--by", "Hana", "--reason", "set-up"];

long.it("shows the settings first, creates the workspace from a file, and applying its export is a no-op", async () => {
  const file = join(await temporaryFolder(), "harbour.yaml");
  await writeFile(file, "name: Harbour Homes\nsender: hana@harbour.example\ndailyCap: 5\nholidays: { country: IN }\n");
  expect(await run("apply", file, "--yes")).toMatchObject({
    code: 64,
    stderr: expect.stringMatching(/--by .*--reason/),
  });
  const dryRun = await run("apply", file, "--dry-run");
  expect(dryRun).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Harbour Homes: new\n(.*\n)* {2}\+ dailyCap: 5\n/),
  });
  expect(dryRun.stderr).toMatch(/Warning: the data of IN is poor: /);
  expect((await everyRow(sql))["workspace"] ?? []).toEqual([]);
  expect(await run("apply", file, "--yes", ...signed)).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/Created Harbour Homes \(/),
  });

  const { stdout: exported } = await run("export", "Harbour Homes");
  await writeFile(file, exported);
  expect(await run("apply", file, "--yes", ...signed)).toMatchObject({ code: 0, stdout: "Harbour Homes: no change\n" });
  await writeFile(file, exported.replace("dailyCap: 5", "dailyCap: -1"));
  expect(await run("apply", file, "--yes", ...signed)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/harbour\.yaml:\d+:1: dailyCap: .*\n.*nothing was applied: correct the 1 errors/),
  });
});

long.it("pauses and resumes one workspace or all, and asks which", async () => {
  await addWorkspace(sql);
  expect(await run("pause", ...signed)).toMatchObject({ code: 64, stderr: expect.stringMatching(/which workspace\?/) });
  expect((await run("pause", "--all", ...signed)).stdout).toBe("1 paused:\n  Harbour Homes\n0 paused already.\n");
  expect((await run("pause", "Harbour Homes", ...signed)).stdout).toBe("Harbour Homes was paused already.\n");
  expect((await run("resume", "--all", ...signed)).stdout).toMatch(/^1 resumed:\n {2}Harbour Homes\n0 still paused/);
});
