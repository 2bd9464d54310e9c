import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { Browser, Page } from "playwright-core";
import type { BusEvent } from "../../lib/inbound/translation.ts";
import { type UnsubscribeKeys, unsubscribeToken, withNextKey } from "../../lib/inbound/unsubscribe-link.ts";
import type { WebhookPorts } from "../../lib/platform/route.ts";
import { Unavailable } from "../../lib/platform/unavailable.ts";
import { answerRequest } from "../../lib/platform/webhook-routes.ts";
import { launchBrowser } from "../support/browser.ts";
import { long } from "../support/long.ts";

const NOW = new Date("2026-12-01T09:00:00Z");
const [workspaceId, touch] = ["0190f0f0-0000-7000-8000-0000000000aa", "0190f0f0-0000-7000-8000-000000000001"] as const;
const ids = { workspaceId, touchId: touch };
const keys: UnsubscribeKeys = { current: "the current key, which is long enough", former: [] };
const token = unsubscribeToken(ids, keys.current);
const forged = unsubscribeToken(ids, "a long key of another stage");
const AT = NOW.toISOString();
const OPT_OUT = {
  type: "lead.opted_out",
  detail: { workspaceId, eventId: `unsubscribe:${touch}:${AT}`, occurredAt: AT, lead: { touch } },
};

let facts: BusEvent[];
let logged: string[];
beforeEach(() => {
  facts = [];
  logged = [];
});

const bus: WebhookPorts["bus"] = {
  put(given) {
    facts.push(...given);
    return Promise.resolve();
  },
};
const failing = (message: string) => () => Promise.reject(new Unavailable(message));

interface Sent {
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Requests the link as an HTTP API passes it on. */
async function request(method: string, text: string, ports: Partial<WebhookPorts> = {}, { body, headers }: Sent = {}) {
  const log = (event: string, fields: object) => logged.push(event + JSON.stringify(fields));
  const event = { rawPath: `/unsubscribe/${text}`, requestContext: { http: { method } }, body, headers };
  const unsubscribeKeys = () => Promise.resolve(keys);
  const secrets = () => Promise.resolve(undefined);
  const given = { bus, secrets, unsubscribeKeys, now: () => NOW, log: { info: log, error: log }, ...ports };
  return (await answerRequest(event, given)).answer;
}

describe("the unsubscribe link", () => {
  it("changes nothing by GET and HEAD, and opts out by POST", async () => {
    expect(await request("GET", token)).toMatchObject({ statusCode: 200, body: expect.stringContaining("<button") });
    expect(await request("HEAD", token)).toMatchObject({ statusCode: 200, body: "" });
    expect(facts).toEqual([]);
    const posted = await request("POST", token);
    expect(posted).toMatchObject({ statusCode: 200, body: expect.stringContaining("You are unsubscribed") });
    expect(Object.keys(posted.headers)).not.toContain("set-cookie");
    expect(facts).toEqual([OPT_OUT]);
  });

  it.each([
    ["List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"],
    [
      '--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
      "multipart/form-data; boundary=x",
    ],
    ["List-Unsubscribe=One-Click", "text/plain"],
    ["{", "application/json"],
    ["", undefined],
  ])("opts out whatever the body is: %j", async (body, type) => {
    const headers = type === undefined ? {} : { "Content-Type": type };
    expect(await request("POST", token, {}, { body, headers })).toMatchObject({ statusCode: 200 });
    expect(facts).toEqual([OPT_OUT]);
  });

  it.each(["GET", "HEAD", "POST"])(
    "is not found if its token is forged or cut, or without a key: %s",
    async (method) => {
      for (const text of [forged, token.slice(0, -1), `${token}=`, token.toLowerCase(), "%00"]) {
        expect(await request(method, text)).toMatchObject({ statusCode: 404 });
      }
      expect(await request(method, token, { unsubscribeKeys: undefined })).toMatchObject({ statusCode: 404 });
      expect(facts).toEqual([]);
      expect((await request(method, token)).statusCode).toBe(200);
    },
  );

  it("may be tried again if the bus or the keys are unavailable", async () => {
    const failed = await request("POST", token, { bus: { put: failing("the event bus did not answer") } });
    expect(failed).toMatchObject({ statusCode: 503, headers: { "retry-after": "60" } });
    expect(failed.body).toContain("Try again</button>");
    for (const method of ["GET", "HEAD", "POST"]) {
      expect(await request(method, token, { unsubscribeKeys: failing("no secret") })).toMatchObject({
        statusCode: 503,
      });
    }
    expect(facts).toEqual([]);
    expect(logged.filter((line) => line.includes('"outcome":"unavailable"'))).toHaveLength(4);
  });

  it("works at once with a key that is younger than the cached copy", async () => {
    const rotated = withNextKey(keys, "the next key, which is also long enough", NOW);
    const ages: (number | undefined)[] = [];
    const unsubscribeKeys = (maxAgeMs?: number) => {
      ages.push(maxAgeMs);
      return Promise.resolve(maxAgeMs === undefined ? keys : rotated);
    };
    const next = unsubscribeToken(ids, rotated.current);
    expect(await request("POST", next, { unsubscribeKeys })).toMatchObject({ statusCode: 200 });
    expect(await request("POST", token, { unsubscribeKeys })).toMatchObject({ statusCode: 200 });
    // Forged tokens ask for a copy of the last ten seconds, so they cause at most one call in ten seconds.
    expect(await request("POST", forged, { unsubscribeKeys })).toMatchObject({ statusCode: 404 });
    expect(ages).toEqual([undefined, 10_000, undefined, undefined, 10_000]);
    expect(facts).toHaveLength(2);
  });

  it("shows nothing of the request, runs no script, and is neither stored nor indexed", async () => {
    for (const [method, text] of [
      ["GET", token],
      ["POST", token],
      ["GET", "<b>x<b>"],
    ] as const) {
      const { headers, body } = await request(method, text);
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
    expect(logged.join()).not.toContain(token.slice(0, 20));
  });
});

describe("the page in a browser", () => {
  let browser: Browser;
  let url: string;
  let broken = false;
  const server = createServer(async ({ method = "", url: path = "" }, response) => {
    const ports = broken ? { bus: { put: failing("the event bus did not answer") } } : {};
    const { statusCode, headers, body } = await request(method, path.split("/").at(-1) ?? "", ports);
    response.writeHead(statusCode, headers).end(body);
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

  long.it("works by keyboard, in both colours, 320 pixels wide, and for screen readers", async () => {
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
    expect(facts).toEqual([OPT_OUT, OPT_OUT]);
  });
});
