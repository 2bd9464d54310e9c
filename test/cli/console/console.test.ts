import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import { type Console, startConsole } from "../../../cli/console/server.ts";
import { operatorOn } from "../../../cli/operator.ts";
import { launchBrowser } from "../../support/browser.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../../support/factories.ts";
import { useDatabase } from "../../support/use-database.ts";

const { sql } = await useDatabase();

const HOSTILE = `<script>document.title = "owned"</script><img src=x onerror=alert(1)>`;
let opened: Console;
let browser: Browser;
let leadId: string;

beforeAll(async () => {
  const workspaceId = await addWorkspace(sql, { name: `Harbour ${HOSTILE}` });
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
  it.each(["/", "/leads?text=ada", "/lead?id=LEAD", "/nothing"])(
    "%s is accessible and needs no scrolling sideways",
    async (path) => {
      const page = await open(path.replace("LEAD", leadId), colours);
      expect(await faultsOf(page)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(400);
      await page.close();
    },
  );
});

it("is used by keyboard: a search, a result, a story", async () => {
  const page = await open("/");
  await page.getByLabel("Find a lead").focus();
  await page.keyboard.type("ada@example.test");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/leads/);
  await page.getByRole("link", { name: /^Ada/ }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/lead\?/);
  expect(await page.getByRole("main").innerText()).toContain("goes at the earliest");
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
    backstop: { slowestSeconds: 71.5, completedCount: 3 },
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
  expect(await page.getByText("Worst of the last 1 runs: 71.5 s. Target: at most 60 s.").count()).toBe(1);
  expect(await page.locator("svg .late").count()).toBe(1);
  await page.getByText("The runs as a table").click();
  expect(await page.getByRole("cell", { name: "71.5" }).count()).toBe(1);
  expect(await faultsOf(page)).toEqual([]);
  await page.close();
});

it("draws the forecast, and says the same in a table", async () => {
  const page = await open("/");
  expect(await page.getByRole("img", { name: /Touches per day/ }).count()).toBe(1);
  await page.getByText("As a table", { exact: true }).click();
  expect(await page.getByRole("cell", { name: "1 email" }).count()).toBe(2);
  await page.close();
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

  it("that changes something is rejected, and every answer forbids scripts and frames", async () => {
    expect((await get("/", {}, "POST")).status).toBe(405);
    const { headers } = await get("/style.css");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  });
});
