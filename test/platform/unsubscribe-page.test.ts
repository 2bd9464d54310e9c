import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import {
  type TouchOfLink,
  type UnsubscribeKeys,
  unsubscribeToken,
  withNextKey,
} from "../../lib/inbound/unsubscribe-token.ts";
import { type UnsubscribePorts, unsubscribePage } from "../../lib/platform/unsubscribe-page.ts";
import { launchBrowser } from "../support/browser.ts";

const NOW = new Date("2026-12-01T09:00:00Z");
const touch = { workspaceId: "0190f0f0-0000-7000-8000-0000000000aa", touchId: "0190f0f0-0000-7000-8000-000000000001" };
const keys: UnsubscribeKeys = { current: "the current key, which is long enough", former: [] };
const token = unsubscribeToken(touch, keys.current);
const forged = unsubscribeToken(touch, "a key of somebody else, which is long");

let optOuts: TouchOfLink[];
let logged: string[];
beforeEach(() => {
  optOuts = [];
  logged = [];
});

const answering = (ports: Partial<UnsubscribePorts> = {}) =>
  unsubscribePage({
    keys: () => Promise.resolve(keys),
    optOut: (of) => {
      optOuts.push(of);
      return Promise.resolve();
    },
    now: () => NOW,
    log: { info: (event) => logged.push(event), error: (event, fields) => logged.push(event + JSON.stringify(fields)) },
    ...ports,
  });
const failing = (message: string) => () => Promise.reject(new Error(message));

describe("the unsubscribe link", () => {
  it("changes nothing by GET and HEAD, and opts out by POST", async () => {
    const answer = answering();
    expect(await answer("GET", token)).toMatchObject({ status: 200, body: expect.stringContaining("<button") });
    expect(await answer("HEAD", token)).toMatchObject({ status: 200, body: "" });
    expect(optOuts).toEqual([]);
    const posted = await answer("POST", token);
    expect(posted).toMatchObject({ status: 200, body: expect.stringContaining("You are unsubscribed") });
    expect(Object.keys(posted.headers)).not.toContain("set-cookie");
    expect(optOuts).toEqual([touch]);
  });

  it.each(["GET", "HEAD", "POST"])("is not found if its token is forged or cut: %s", async (method) => {
    for (const text of [forged, token.slice(0, -1), `${token}=`, token.toLowerCase(), "", "%00"]) {
      expect(await answering()(method, text)).toMatchObject({ status: 404 });
    }
    expect(optOuts).toEqual([]);
    expect((await answering()(method, token)).status).toBe(200);
  });

  it("takes no other method", async () => {
    const { status, headers } = await answering()("PUT", token);
    expect([status, headers["allow"], optOuts]).toEqual([405, "GET, HEAD, POST", []]);
  });

  it("may be tried again if the opt-out could not be reported, or the keys could not be read", async () => {
    const failed = await answering({ optOut: failing("bus of ada@example.com") })("POST", token);
    expect(failed).toMatchObject({ status: 503, headers: { "retry-after": "60" } });
    expect(failed.body).toContain("Try again</button>");
    for (const method of ["GET", "POST"]) {
      expect(await answering({ keys: failing("secret swordfish") })(method, token)).toMatchObject({ status: 503 });
    }
    expect(optOuts).toEqual([]);
    expect(logged).toHaveLength(3);
    expect(logged.join()).not.toMatch(/swordfish|ada@/);
  });

  it("works at once with a key that is younger than the cached copy", async () => {
    const rotated = withNextKey(keys, "the next key, which is also long enough", NOW);
    const ages: (number | undefined)[] = [];
    const cached = (maxAgeMs?: number) => {
      ages.push(maxAgeMs);
      return Promise.resolve(maxAgeMs === undefined ? keys : rotated);
    };
    const answer = answering({ keys: cached });
    expect(await answer("POST", unsubscribeToken(touch, rotated.current))).toMatchObject({ status: 200 });
    expect(await answer("POST", token)).toMatchObject({ status: 200 });
    // Forged tokens ask for a copy of the last ten seconds, so they cause at most one call in ten seconds.
    expect(await answer("POST", forged)).toMatchObject({ status: 404 });
    expect(ages).toEqual([undefined, 10_000, undefined, undefined, 10_000]);
    expect(optOuts).toEqual([touch, touch]);
  });

  it("shows nothing of the request, runs no script, and is neither stored nor indexed", async () => {
    for (const [method, text] of [
      ["GET", token],
      ["POST", token],
      ["GET", "<b>x</b>"],
      ["PUT", token],
    ] as const) {
      const { headers, body } = await answering()(method, text);
      expect(body).not.toContain(text);
      expect(headers).toMatchObject({
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-robots-tag": "noindex, nofollow",
        "content-security-policy": expect.stringMatching(
          /^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'/,
        ),
      });
    }
  });
});

describe("the page in a browser", () => {
  let browser: Browser;
  let url: string;
  let broken = false;
  const answer = answering({
    optOut: (of) => {
      if (broken) return Promise.reject(new Error("no bus"));
      optOuts.push(of);
      return Promise.resolve();
    },
  });
  const server = createServer(async (request, response) => {
    const { status, headers, body } = await answer(request.method ?? "", request.url?.split("/").at(-1) ?? "");
    response.writeHead(status, headers).end(body);
  });

  beforeAll(async () => {
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === "object" && address?.port}/unsubscribe/`;
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser.close();
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });

  it("works by keyboard, in both colours, 320 pixels wide, and for screen readers", async () => {
    const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    const check = async (page: Page, title: string) => {
      expect(await page.title()).toBe(title);
      // Evaluated through the debugger, so that the page's own policy stays as it is.
      const { violations } = (await page.evaluate(`${AXE}; axe.run()`)) as { violations: readonly { id: string }[] };
      expect(violations.map(({ id }) => id)).toEqual([]);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(320);
      expect(await page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth")).toBe("512px");
    };
    const context = await browser.newContext();
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await context.newPage();
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width: 320, height: 600 });
      page.setDefaultTimeout(10_000);
      await page.goto(url + token);
      await check(page, "Unsubscribe");
      broken = true;
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.waitForSelector("text=Try again");
      await check(page, "This did not work");
      broken = false;
      await page.click("button");
      await page.waitForSelector("text=You are unsubscribed");
      await check(page, "You are unsubscribed");
      await page.goto(url + forged);
      await check(page, "This link does not work");
      await page.close();
    }
    expect(optOuts).toEqual([touch, touch]);
  });
});
