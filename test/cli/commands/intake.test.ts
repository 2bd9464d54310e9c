import { fileURLToPath } from "node:url";
import { beforeAll, expect } from "@jest/globals";
import { openDatabase } from "../../../lib/store/connect.ts";
import { loadDemo } from "../../../prisma/demo/load-demo.ts";
import { startProgram } from "../../support/child-process.ts";
import { long } from "../../support/long.ts";
import { useDatabase } from "../../support/use-database.ts";

const { database } = await useDatabase();

beforeAll(async () => {
  const loading = openDatabase({ connectionString: database.url });
  await loadDemo(loading, { leads: 100, seed: 1 });
  await loading.close();
});

async function intake(file: string) {
  const environment = { DATABASE_URL: database.url };
  const { code, stdout, stderr } = await startProgram(
    "cli/main.ts",
    ["intake", fileURLToPath(new URL(`../../../${file}`, import.meta.url))],
    { environment },
  ).ended;
  return { code, stderr, outcome: stdout === "" ? null : JSON.parse(stdout) };
}

long.it("applies each example once, and prints the outcome", async () => {
  const enrolled = { outcome: "applied", verdicts: ["enrolled", "enrolled"] };
  expect(await intake("events/intake/lead.enrolled.json")).toMatchObject({ code: 0, outcome: enrolled });
  const booked = { outcome: "applied", ended: 1, started: 1 };
  expect(await intake("events/intake/meeting.booked.json")).toMatchObject({ code: 0, outcome: booked });
  expect(await intake("events/intake/meeting.booked.json")).toMatchObject({ outcome: { outcome: "duplicate" } });
});

long.it("reports why an event is refused, and a missing file", async () => {
  const refused = { outcome: "refused", reason: "touchId: not_found" };
  expect(await intake("events/intake/touch.rejected.json")).toMatchObject({ code: 1, outcome: refused });
  const missing = await intake("nowhere.json");
  expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("the file does not exist")]);
});
