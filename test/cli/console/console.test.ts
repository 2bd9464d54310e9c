import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { type Console, startConsole } from "../../../cli/console/server.ts";
import { operatorOn } from "../../../cli/operator.ts";
import { answerQuestion } from "../../../lib/operate/requests.ts";
import { launchBrowser } from "../../support/browser.ts";
import { addFollowedLead, addSequence, addTouch, addWorkspace } from "../../support/factories.ts";
import { long } from "../../support/long.ts";
import { useDatabase } from "../../support/use-database.ts";

const { sql } = await useDatabase();

const HOSTILE = `<script>document.title = "owned"</script><img src=x onerror=alert(1)>`;
let opened: Console;
let browser: Browser;
let workspaceId: string;
let leadId: string;

beforeAll(async () => {
  workspaceId = await addWorkspace(sql, { name: `Harbour ${HOSTILE}` });
  const chase = await addSequence(sql, workspaceId, {
    name: `Chase ${HOSTILE}`,
    steps: [{}, { delay_minutes: 1_440 }],
  });
  const followed = await addFollowedLead(sql, workspaceId, chase.id, {
    lead: { first_name: "Ada", last_name: HOSTILE, company: HOSTILE, email: "ada@example.test" },
  });
  leadId = followed.leadId;
  opened = await startConsole(operatorOn(sql), 0);
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser.close();
  await opened.close();
});

/** One session for all pages: the printed address works once. */
let session: Awaited<ReturnType<Browser["newContext"]>> | undefined;

async function open(path: string, colorScheme: "light" | "dark" = "light"): Promise<Page> {
  session ??= await signedIn();
  const page = await session.newPage();
  page.setDefaultTimeout(10_000);
  await page.emulateMedia({ colorScheme });
  await page.setViewportSize({ width: 400, height: 800 });
  await page.goto(new URL(path, opened.url).href);
  return page;
}

async function signedIn() {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(opened.url);
  expect(await page.title()).toBe("Overview · Backstop");
  expect(page.url()).not.toContain("token");
  await page.close();
  return context;
}

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function faultsOf(page: Page): Promise<readonly string[]> {
  // Evaluated through the debugger, so that the page's own policy stays as it is.
  const { violations } = (await page.evaluate(`${AXE}; axe.run()`)) as {
    violations: readonly { id: string; nodes: readonly { html: string }[] }[];
  };
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

describe.each(["light", "dark"] as const)("in %s colours, 400 pixels wide", (colours) => {
  long.it.each(["/", "/leads?text=ada", "/lead?id=LEAD", "/nothing"])(
    "%s is accessible and needs no scrolling sideways",
    async (path) => {
      const page = await open(path.replace("LEAD", leadId), colours);
      expect(await faultsOf(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(400);
      await page.close();
    },
  );
});

long.it("is used by keyboard: a search, a result, a story", async () => {
  const page = await open("/");
  await page.getByLabel("Find a lead").focus();
  await page.keyboard.type("ada@example.test");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/leads/);
  await page.getByRole("link", { name: /^Ada/ }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/lead\?/);
  expect(await page.getByRole("main").innerText()).toContain("goes at the earliest");
  await page.locator("summary").focus();
  await page.keyboard.press("Enter");
  expect(await page.getByRole("main").innerText()).toContain("The lead may be contacted.");
  await page.close();
});

it("shows hostile names as text", async () => {
  for (const path of ["/", "/leads?text=ada", `/lead?id=${leadId}`]) {
    const page = await open(path);
    expect(await page.title()).not.toBe("owned");
    expect(await page.locator("script, img").count()).toBe(0);
    expect(await page.getByRole("main").innerText()).toContain(HOSTILE.slice(0, 8));
    await page.close();
  }
});

it("draws the promise of the runs, the worst and the target, and says the same in a table", async () => {
  const report = {
    success: true,
    backstop: { slowestSeconds: 71.5, sweepAgeSeconds: 290, completedCount: 3 },
    results: null,
    durationMs: 9,
    errors: [],
  };
  await sql.query(
    `insert into run (trigger, request_id, started_at, deadline_at, finished_at, success, report)
     values ('schedule', 'one', now(), now(), now(), true, $1)`,
    [report],
  );
  const page = await open("/");
  expect(await page.getByText("Slowest of the runs shown: 71.5 s. Target: at most 60 s.").count()).toBe(1);
  expect(await page.getByText("Bookings without a webhook are known after at most 5 min.").count()).toBe(1);
  expect(await page.locator("svg .late").count()).toBe(1);
  await page.getByText("The runs as a table").click();
  expect(await page.getByRole("cell", { name: "71.5" }).count()).toBe(1);
  expect(await faultsOf(page)).toEqual([]);
  await page.close();
});

it("measures the promise by the time between runs, as doctor does", async () => {
  await sql.query(
    `insert into run (trigger, request_id, started_at, deadline_at, finished_at, success, report)
     select 'schedule', 'later', at, at, at, true, jsonb_set(report, '{backstop,slowestSeconds}', '200')
       from (select report, started_at + interval '5 minutes' as at from run) as earlier`,
  );
  const page = await open("/");
  expect(await page.getByText("Slowest of the runs shown: 200 s. Target: at most 300 s.").count()).toBe(1);
  expect(await page.locator("svg .late").count()).toBe(0);
  await page.close();
});

it("draws the forecast, and says the same in a table", async () => {
  const page = await open("/");
  expect(await page.getByRole("img", { name: /Touches per day/ }).count()).toBe(1);
  await page.getByText("As a table", { exact: true }).click();
  expect(await page.getByRole("cell", { name: "1 email" }).count()).toBe(2);
  await page.close();
});

describe("approvals", () => {
  const FIRST_NAME = `Grace ${HOSTILE} ${"x".repeat(40)}`;

  async function waiting({ body = "Hello {{ lead.first_name }},\n\n  shall we talk?" } = {}) {
    const steps = [{ needs_approval: true, body }, {}];
    const review = await addSequence(sql, workspaceId, { name: `Review ${randomUUID()} ${HOSTILE}`, steps });
    const lead = { first_name: FIRST_NAME, email: `${randomUUID()}@example.test` };
    const instance = { status: "paused", paused_reason: "awaiting_approval" };
    const { instanceId, leadId: of } = await addFollowedLead(sql, workspaceId, review.id, { instance, lead });
    const touch = { status: "awaiting_approval", subject: "s" };
    return { ...lead, leadId: of, id: await addTouch(sql, instanceId, review.steps[0] ?? "", touch) };
  }

  const decisionOn = async (id: string) =>
    (await sql.query("select status, decided_by, reason from touch where id = $1", [id])).rows[0];

  long.it(
    "lists what waits, shows recipient and text as they would go, and approves it by keyboard, once",
    async () => {
      const touch = await waiting();
      const page = await open("/approvals");
      expect(await faultsOf(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(400);
      expect(await page.getByRole("main").innerText()).toMatch(/waits \d+ days[\s\S]*Harbour <script>/);
      await page.getByRole("link", { name: /email to Grace/ }).focus();
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/approval\?/);
      expect(await faultsOf(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(400);
      expect(await page.locator("script, img").count()).toBe(0);
      expect(await page.getByRole("main").innerText()).toContain(touch.email);
      expect(await page.locator(".text").innerText()).toBe(`Hello ${FIRST_NAME},\n\n  shall we talk?`);
      await page.getByLabel("Your name").first().fill("Hana");
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/approvals$/);
      expect(await page.getByRole("status").innerText()).toMatch(/^Approved/);
      expect(await page.getByRole("main").innerText()).toContain("No text waits");
      expect(await decisionOn(touch.id)).toMatchObject({ status: "claimed", decided_by: "Hana" });
      await page.reload();
      expect(await page.getByRole("status").count()).toBe(0);
      await page.close();
    },
  );

  it("rejects with a reason, and asks for the name once", async () => {
    const touch = await waiting();
    expect((await sendForm("/approval/reject", { touch: touch.id, by: "Hana" })).status).toBe(400);
    const page = await open(`/approval?touch=${touch.id}`);
    expect(await page.getByLabel("Your name").last().inputValue()).toBe("Hana");
    await page.getByRole("button", { name: "Reject" }).click();
    expect(await decisionOn(touch.id)).toMatchObject({ status: "awaiting_approval" });
    await page.getByLabel(/^Reason/).fill("too pushy");
    await page.getByRole("button", { name: "Reject" }).click();
    await page.waitForURL(/\/approvals$/);
    expect(await decisionOn(touch.id)).toMatchObject({ status: "rejected", decided_by: "Hana", reason: "too pushy" });
    await page.goto(new URL(`/lead?id=${touch.leadId}`, opened.url).href);
    expect(await page.getByRole("main").innerText()).toContain("approvals reject (too pushy, by Hana)");
    await page.close();
  });

  long.it("refuses a text that changed since it was shown, shows the new one, and approves that", async () => {
    const touch = await waiting();
    const page = await open(`/approval?touch=${touch.id}`);
    await sql.query("update lead set first_name = 'Ines' where id = $1", [touch.leadId]);
    await page.getByLabel("Your name").first().fill("Hana");
    await page.getByRole("button", { name: "Approve" }).click();
    expect(await page.getByRole("alert").innerText()).toMatch(/changed since you read it, so nothing was approved/);
    expect(await page.locator(".text").innerText()).toContain("Ines");
    expect(await faultsOf(page)).toEqual([]);
    expect(await decisionOn(touch.id)).toMatchObject({ status: "awaiting_approval" });
    await page.getByRole("button", { name: "Approve" }).click();
    await page.waitForURL(/\/approvals$/);
    expect(await decisionOn(touch.id)).toMatchObject({ status: "claimed" });
    await page.close();
  });

  it.each([
    ["{{ lead.company }}", /value that the lead lacks/],
    ["{{ slots }}", /no booking tool reported free times/],
  ])("shows why the text %s cannot be written, and still rejects it", async (body, why) => {
    const touch = await waiting({ body });
    const page = await open(`/approval?touch=${touch.id}`);
    expect(await page.getByRole("alert").innerText()).toMatch(why);
    expect(await page.getByRole("button", { name: "Approve" }).count()).toBe(0);
    await page.getByLabel("Your name").fill("Hana");
    await page.getByLabel(/^Reason/).fill("no company");
    await page.getByRole("button", { name: "Reject" }).click();
    await page.waitForURL(/\/approvals$/);
    expect(await decisionOn(touch.id)).toMatchObject({ status: "rejected" });
    await page.close();
  });

  /** Sends a form as the browser of the session does. */
  async function sendForm(path: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
    session ??= await signedIn();
    const [{ name, value } = { name: "", value: "" }] = await session.cookies();
    return await fetch(new URL(path, opened.url), {
      method: "POST",
      redirect: "manual",
      body: new URLSearchParams(fields),
      headers: { cookie: `${name}=${value}`, origin: new URL(opened.url).origin, ...headers },
    });
  }

  async function shownForm(touch: string) {
    const { answer } = JSON.parse(
      JSON.stringify(await answerQuestion(sql, { question: "approvals show", input: { touch } })),
    );
    return { touch, order: randomUUID(), fingerprint: answer.fingerprint, by: "Hana" };
  }

  it("carries out a form that is sent twice as one order, and refuses another decision on the touch", async () => {
    const { id } = await waiting();
    const form = await shownForm(id);
    const sent = await Promise.all([1, 2].map(() => sendForm("/approval/approve", form)));
    expect(sent.map(({ status, headers }) => [status, headers.get("location")])).toEqual(
      Array(2).fill([303, "/approvals"]),
    );
    expect((await sql.query("select from placed_order where id = $1", [form.order])).rowCount).toBe(1);
    const late = await sendForm("/approval/reject", { touch: id, order: randomUUID(), by: "Ben", reason: "late" });
    expect(late.status).toBe(409);
    expect(await late.text()).toMatch(/already approved or rejected; nothing was changed/);
    expect(await decisionOn(id)).toMatchObject({ status: "claimed", decided_by: "Hana" });
  });

  it("takes no form from another origin, without the session or of an unknown path, and its twin does", async () => {
    const { id } = await waiting();
    const form = await shownForm(id);
    const statusOf = async (headers: Record<string, string>, path = "/approval/approve") =>
      (await sendForm(path, form, headers)).status;
    expect(await statusOf({ origin: "http://127.0.0.1:1" })).toBe(403);
    expect(await statusOf({ origin: "null" })).toBe(403);
    expect(await statusOf({ cookie: "backstop_console=00" })).toBe(401);
    expect(await statusOf({}, "/approvals")).toBe(405);
    expect((await sendForm("/approval/approve", { ...form, by: "x".repeat(20_000) })).status).toBe(413);
    expect((await sendForm("/approval/reject", { ...form, by: " ", reason: " " })).status).toBe(400);
    expect(await decisionOn(id)).toMatchObject({ status: "awaiting_approval" });
    expect(await statusOf({})).toBe(303);
  });
});

describe("a request", () => {
  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(new URL(path, opened.url), { headers, method, redirect: "manual" });

  it("without the session is rejected, also with a token that was used", async () => {
    session ??= await signedIn();
    expect((await get("/")).status).toBe(401);
    expect((await get(opened.url)).status).toBe(401);
    expect((await get("/", { cookie: "backstop_console=00" })).status).toBe(401);
  });

  it("to another host name is rejected, as after DNS rebinding", async () => {
    const statusOf = (host: string) =>
      new Promise((answered) =>
        request(opened.url, { headers: { host } }, (response) => answered(response.resume().statusCode)).end(),
      );
    expect(await statusOf("evil.example")).toBe(421);
    expect(await statusOf(new URL(opened.url).host)).toBe(401);
  });

  it("with an address that is none is rejected, and the console goes on", async () => {
    const answered = await new Promise((answer) =>
      request(opened.url, { path: "//" }, (response) => answer(response.resume().statusCode)).end(),
    );
    expect(answered).toBe(400);
    expect((await get("/style.css")).status).toBe(200);
  });

  it("that changes something is rejected, and every answer forbids scripts and frames", async () => {
    expect((await get("/", {}, "POST")).status).toBe(405);
    const { headers } = await get("/style.css");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  });
});
