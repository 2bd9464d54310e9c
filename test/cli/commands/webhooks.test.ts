import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, expect, it } from "@jest/globals";
import { type RunningProgram, startProgram } from "../../support/child-process.ts";
import { addLead, addWorkspace } from "../../support/factories.ts";
import { useDatabase } from "../../support/use-database.ts";

const { database, sql } = await useDatabase();
let program: RunningProgram;
let workspaceId: string;
/** The first output of the command. */
let printed: string;

beforeAll(async () => {
  workspaceId = await addWorkspace(sql);
  await addWorkspace(sql, { name: "Zephyr" });
  await addLead(sql, workspaceId, { email: "ida@example.com" });
  program = startProgram("cli/main.ts", ["webhooks", "--local"], { environment: { DATABASE_URL: database.url } });
  printed = await program.says(/^curl .*\n/m);
});

const found = (pattern: RegExp): string => pattern.exec(printed)?.[1] ?? "";

it("chooses the first workspace by name, and says that there are others", () => {
  expect(printed).toContain(
    "Webhooks of Harbour Homes. Ctrl-C ends. This is the first of 2 workspaces: --workspace chooses another.",
  );
});

it("prints a signed booking that works when it is pasted, and shows what became of it", async () => {
  const { stdout } = await promisify(execFile)("sh", ["-c", found(/^(body=.*\n[\s\S]*?\ncurl .*)$/m)]);
  expect(JSON.parse(stdout)).toEqual({ accepted: 1 });
  await program.says(/meeting\.booked: applied; .*\ncalendly: 200 accepted\n/);
  const { rows } = await sql.query("select is_booked from lead where workspace_id = $1", [workspaceId]);
  expect(rows).toEqual([{ is_booked: true }]);
});

it("accepts posted facts with the printed token, refuses others, and shows why a fact is not applied", async () => {
  const url = found(/(http:\S+\/facts\/\S+)/);
  const post = (token: string, body: string) =>
    fetch(url, { method: "POST", headers: { authorization: `Bearer ${token}` }, body });
  const fact = {
    type: "touch.approved",
    eventId: "1",
    occurredAt: "2026-11-20T09:00:00Z",
    touchId: workspaceId,
    by: "Hana",
  };
  const body = JSON.stringify({ ...fact, fingerprint: "0".repeat(64) });
  const token = found(/bearer token +(\S+)/);
  expect([(await post("wrong", body)).status, (await post(token, body)).status]).toEqual([401, 200]);
  await program.says(/touch\.approved: refused: touchId: not_found\nfacts: 200 accepted\n/);
  const tooLarge = await post(token, " ".repeat(1024 * 1024 + 1));
  expect([tooLarge.status, (await fetch(url)).status, (await fetch(new URL("/", url))).status]).toEqual([
    413, 405, 404,
  ]);
});

it("ends with Ctrl-C", async () => {
  program.process.kill("SIGINT");
  expect(await program.ended).toMatchObject({ code: 130 });
});
