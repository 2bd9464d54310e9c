import { randomUUID } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { DAY_MS } from "../../lib/domain/time-zone.ts";
import { applyWorkspace, planWorkspace } from "../../lib/operate/apply-workspace.ts";
import { answerQuestion, carryOutOrder } from "../../lib/operate/requests.ts";
import { addWorkspace, everyRow } from "../support/factories.ts";
import { openTransaction, until } from "../support/transactions.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

const SENDER = "Hana <hana@harbour.example>";
const NEW = { name: "Harbour Homes", emailFrom: SENDER };

const ask = (settings: object, workspace: string | null = null) =>
  answerQuestion(sql, { question: planWorkspace.name, input: { workspace, settings } });

async function planned(settings: object, workspace: string | null = null) {
  const replied = await ask(settings, workspace);
  if (replied.outcome === "refused") throw new Error(replied.message);
  return planWorkspace.answer.parse(replied.answer);
}

const apply = (input: object) =>
  carryOutOrder(sql, { order: applyWorkspace.name, input, orderId: randomUUID(), by: "Hana", reason: "set-up" }, null);

async function applied(settings: object, workspace: string | null = null) {
  const { faults, advice: _, ...reviewed } = await planned(settings, workspace);
  expect(faults).toEqual([]);
  return await apply(reviewed);
}

const rowOf = async (name: string) => (await sql.query("select * from workspace where name = $1", [name])).rows[0];
const workspaces = async () => (await sql.query("select * from workspace order by id")).rows;

describe("workspaces apply", () => {
  it("creates a workspace with the defaults of the table for what the settings leave out", async () => {
    expect(await applied(NEW)).toMatchObject({ outcome: "answered", answer: { created: true, name: "Harbour Homes" } });
    await sql.query("insert into workspace (name, email_from) values ('Plain', $1)", [SENDER]);
    const ours = await rowOf("Harbour Homes");
    expect(ours).toEqual({ ...(await rowOf("Plain")), id: ours.id, name: ours.name, created_at: ours.created_at });
  });

  it("stores every setting, and reads it back unchanged", async () => {
    const settings = {
      ...NEW,
      timeZone: "Europe/Berlin",
      sendWindow: { days: [1, 6], start: "22:00", end: "24:00" },
      holidays: { country: "DE", region: "BY", own: ["2026-12-24"], working: ["2026-10-03"] },
      dailyCap: 5,
      gapMinutes: 90,
      ghostedAfterDays: 3,
      availabilityMaxAgeMinutes: 45,
      guardrail: { bouncedPercent: 2.5, bouncedAtLeast: 20, complainedPercent: 0.1, complainedAtLeast: 5 },
      digest: { time: "06:30", email: "team@harbour.example", webhookUrl: "https://hooks.example/x", muted: true },
    };
    await applied(settings);
    const again = await planned(settings);
    expect(again.before).toEqual(settings);
    expect(again.after).toEqual(settings);
  });

  it("changes what is given, removes what is null, and leaves everything else and every other workspace as it is", async () => {
    await addWorkspace(sql, { name: "Other", daily_cap: 7, digest_email: "other@x.example" });
    await applied({ ...NEW, dailyCap: 5, gapMinutes: 60, digest: { email: "team@x.example", time: "07:00" } });
    const [other, before] = await workspaces();
    await applied({ name: NEW.name, dailyCap: null, digest: { time: "09:00" } });
    expect(await workspaces()).toEqual([other, { ...before, daily_cap: null, digest_time: "09:00:00" }]);
  });

  it("refuses settings that changed since they were shown, and names what changed", async () => {
    await applied({ ...NEW, dailyCap: 5 });
    const { faults: _, advice: __, ...reviewed } = await planned({ name: NEW.name, gapMinutes: 60 });
    await applied({ name: NEW.name, dailyCap: 6 });
    const before = await everyRow(sql);
    const refused = await apply(reviewed);
    expect(refused).toMatchObject({
      outcome: "refused",
      code: "changed",
      message: expect.stringMatching(/\(dailyCap\)/),
    });
    expect(await everyRow(sql)).toEqual(before);
    expect(await applied({ name: NEW.name, gapMinutes: 60 })).toMatchObject({ outcome: "answered" });
  });

  it("creates one workspace if two people apply the same new file at the same time", async () => {
    const { faults: _, advice: __, ...reviewed } = await planned(NEW);
    const holder = await openTransaction(sql);
    await holder.query("select pg_advisory_xact_lock(hashtext('backstop.workspace-name'), hashtext($1))", [NEW.name]);
    const both = Promise.all([apply(reviewed), apply(reviewed)]);
    await until("both wait", async () => {
      const { rows } = await sql.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      );
      return rows.length === 2 ? true : undefined;
    });
    await holder.query("rollback");
    const outcomes = (await both).map((replied) => ("code" in replied ? replied.code : replied.outcome));
    expect(outcomes.sort()).toEqual(["answered", "changed"]);
    expect(await workspaces()).toHaveLength(1);
  });

  it("renames a workspace that is selected, but never to a name that another has", async () => {
    await applied(NEW);
    const id = (await rowOf(NEW.name)).id;
    await addWorkspace(sql, { name: "Taken" });
    const taken = await applied({ name: "Taken" }, NEW.name);
    expect(taken).toMatchObject({ outcome: "refused", message: expect.stringMatching(/there is a workspace "Taken"/) });
    expect(await applied({ name: "Harbour" }, NEW.name)).toMatchObject({
      answer: { workspaceId: id, name: "Harbour" },
    });
    expect((await rowOf("Harbour")).id).toBe(id);
  });

  it("refuses an ambiguous name, and creates nothing for a selected workspace that does not exist", async () => {
    await addWorkspace(sql, { name: "Twin" });
    await addWorkspace(sql, { name: "Twin" });
    expect(await ask({ name: "Twin" })).toMatchObject({ outcome: "refused", code: "ambiguous" });
    expect(await ask(NEW, "Nowhere")).toMatchObject({ outcome: "refused", code: "not_found" });
  });

  it("reports all values that no run could use together, each by its path, and an order with them writes nothing", async () => {
    const { faults, advice: _, ...plan } = await planned({ name: "New", holidays: { country: "Germany" } });
    expect(faults.map(({ path }) => path.join("."))).toEqual(["emailFrom", "holidays.country"]);
    const before = await everyRow(sql);
    expect(await apply(plan)).toMatchObject({ outcome: "refused", code: "invalid_input" });
    expect(await everyRow(sql)).toEqual(before);
    expect((await planned({ ...NEW, holidays: { country: "DE", region: "BY" } })).faults).toEqual([]);
  });

  it.each([
    ["a region without a country", { holidays: { region: "BY" } }, "holidays.region"],
    ["a region of another country", { holidays: { country: "AT", region: "BY" } }, "holidays.region"],
    ["a zone that is ambiguous", { timeZone: "PST" }, "timeZone"],
    ["two senders", { emailFrom: "a@x.example, b@x.example" }, "emailFrom"],
    ["no weekday", { sendWindow: { days: [] } }, "sendWindow.days"],
    ["an hour of one digit", { sendWindow: { start: "9:00" } }, "sendWindow.start"],
    ["a digest after the day", { digest: { time: "24:00" } }, "digest.time"],
    ["a digest by plain http", { digest: { webhookUrl: "http://x.example" } }, "digest.webhookUrl"],
    ["a cap of nothing", { dailyCap: 0 }, "dailyCap"],
    ["a limit above all", { guardrail: { bouncedPercent: 100.5 } }, "guardrail.bouncedPercent"],
    ["a limit of a thousandth", { guardrail: { complainedPercent: 0.001 } }, "guardrail.complainedPercent"],
    ["a date that does not exist", { holidays: { own: ["2026-02-30"] } }, "holidays.own.0"],
    ["a name with the form of an id", { name: randomUUID() }, "name"],
  ])("does not take %s", async (_what, change, path) => {
    const replied = await ask({ ...NEW, ...change });
    const found = replied.outcome === "refused" ? replied.message : JSON.stringify(replied.answer);
    expect(found).toMatch(replied.outcome === "refused" ? `settings.${path}: ` : JSON.stringify(path.split(".")));
  });

  it("does not take a window that no day of the next year opens", async () => {
    const nextSundays = Array.from({ length: 60 }, (_, week) => {
      const day = new Date(Date.now() + week * 7 * DAY_MS);
      return new Date(day.getTime() - day.getUTCDay() * DAY_MS).toISOString().slice(0, 10);
    });
    const sundays = { ...NEW, sendWindow: { days: [7] } };
    expect((await planned({ ...sundays, holidays: { own: nextSundays } })).faults).toMatchObject([
      { path: ["sendWindow"] },
    ]);
    expect((await planned({ ...sundays, holidays: { own: nextSundays.slice(0, 40) } })).faults).toEqual([]);
  });
});
