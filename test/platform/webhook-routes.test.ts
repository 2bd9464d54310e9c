import { randomUUID } from "node:crypto";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { parseMessage } from "../../lib/inbound/parse-message.ts";
import type { BusEvent } from "../../lib/inbound/translation.ts";
import { storedConnectionSecrets, TOOLS, type Tool } from "../../lib/platform/connection-secrets.ts";
import type { FactBus } from "../../lib/platform/fact-bus.ts";
import { Unavailable } from "../../lib/platform/unavailable.ts";
import { answerRequest } from "../../lib/platform/webhook-routes.ts";
import { anInvitee, calcom, calendly } from "../support/booking-payloads.ts";
import { aRequest, type HttpApiEvent, KEYS, SIGNERS } from "../support/webhook-requests.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const TOKEN = "a-token-of-this-test-1234";
const workspaceId = randomUUID();
const PREFIX = "backstop/dev";
const nameOf = (tool: Tool) => `${PREFIX}/${workspaceId}/${tool}`;

/** Secrets Manager: the texts of secrets by name, and the look-ups. */
let stored: Map<string, string | (() => never)>;
let lookUps: string[];
let onBus: BusEvent[];
let bus: FactBus;
let lines: { readonly level: string; readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[];
/** Time that has passed in the process. */
let passedMs: number;
let secrets: ReturnType<typeof storedConnectionSecrets>;

beforeEach(() => {
  stored = new Map<string, string>(
    TOOLS.map((tool) => [nameOf(tool), JSON.stringify({ signingKeys: [KEYS[tool][0]], bearerTokens: [TOKEN] })]),
  );
  [lookUps, onBus, lines, passedMs] = [[], [], [], 0];
  bus = { put: async (facts) => void onBus.push(...facts) };
  secrets = storedConnectionSecrets(
    PREFIX,
    async (name) => {
      lookUps.push(name);
      const found = stored.get(name);
      return typeof found === "function" ? found() : found;
    },
    now,
  );
});

const now = (): number => Date.now() + passedMs;

async function answer(event: unknown) {
  const log = (level: string) => (name: string, fields: Record<string, unknown>) =>
    void lines.push({ level, event: name, fields });
  const ports = { secrets, bus, now: () => new Date(now()), log: { info: log("info"), error: log("error") } };
  const { answer: given, figures } = await answerRequest(event, ports);
  const metrics = Object.fromEntries(figures.map(({ name, value }) => [name, value]));
  return { ...given, json: JSON.parse(given.body) as Record<string, unknown>, metrics };
}

const PAYLOADS: Readonly<Record<Tool, () => unknown>> = {
  calendly: () => calendly("invitee.created", anInvitee()),
  calcom: () => calcom("BOOKING_CREATED", randomUUID()),
  facts: () => ({
    type: "lead.replied",
    eventId: randomUUID(),
    occurredAt: "2026-11-20T09:00:00Z",
    lead: { email: "ida@example.com" },
  }),
};

interface Signing {
  readonly key?: string;
  readonly at?: Date;
  /** Changes the signed body on its way. */
  readonly changed?: (body: string) => string;
  readonly base64?: boolean;
  readonly headerName?: (name: string) => string;
  readonly payload?: unknown;
}

function signed(tool: Tool, signing: Signing = {}): HttpApiEvent {
  const { key = KEYS[tool][0] ?? "", at = new Date(), changed = (body) => body, headerName = (name) => name } = signing;
  const body = JSON.stringify(signing.payload ?? PAYLOADS[tool]());
  const headers = Object.entries(SIGNERS[tool](key, body, at)).map(([name, value]) => [headerName(name), value]);
  const options = { headers: Object.fromEntries(headers), base64: signing.base64 ?? false };
  return aRequest(`/${tool}/${workspaceId}`, changed(body), options);
}

const posting = (payload: unknown, headers: Readonly<Record<string, string>> = { authorization: `Bearer ${TOKEN}` }) =>
  aRequest(`/facts/${workspaceId}`, typeof payload === "string" ? payload : JSON.stringify(payload), { headers });

describe.each(TOOLS)("a request of %s", (tool) => {
  it("puts its fact on the bus, with the workspace of the URL, and logs no value of it", async () => {
    expect(await answer(signed(tool))).toMatchObject({
      statusCode: 200,
      json: { accepted: 1 },
      metrics: { AcceptedFacts: 1, RejectedSignatures: 0 },
    });
    expect(onBus).toMatchObject([{ detail: { workspaceId, lead: { email: "ida@example.com" } } }]);
    const fields = expect.objectContaining({ route: tool, workspaceId, status: 200, outcome: "accepted", accepted: 1 });
    expect(lines).toEqual([{ level: "info", event: "webhook.answered", fields }]);
    expect(JSON.stringify(lines)).not.toContain("ida");
  });

  it("is accepted in base64, and with its header in any case", async () => {
    for (const signing of [{ base64: true }, { headerName: lower }, { headerName: upper }]) {
      expect(await answer(signed(tool, signing))).toMatchObject({ statusCode: 200 });
    }
    expect(onBus).toHaveLength(3);
  });

  it("is rejected if one byte changed, the key is another, or nothing signs it", async () => {
    const changed = (body: string) => body.replace("ida@", "idb@");
    const requests = [
      signed(tool, { changed }),
      signed(tool, { key: KEYS[tool][1] ?? "" }),
      aRequest(`/${tool}/${workspaceId}`, "{}"),
    ];
    for (const request of requests) {
      expect(await answer(request)).toMatchObject({
        statusCode: 401,
        metrics: { AcceptedFacts: 0, RejectedSignatures: 1 },
      });
    }
    expect(onBus).toEqual([]);
  });

  it("is accepted with either of two keys, and at once with a key that has just replaced the other", async () => {
    const [first = "", second = ""] = KEYS[tool];
    await answer(signed(tool));
    stored.set(nameOf(tool), JSON.stringify({ signingKeys: [first, second] }));
    passedMs += 31 * SECOND_MS;
    for (const key of [second, first]) expect(await answer(signed(tool, { key }))).toMatchObject({ statusCode: 200 });
    stored.set(nameOf(tool), JSON.stringify({ signingKeys: [second] }));
    passedMs += 5 * MINUTE_MS;
    // The library of Standard Webhooks has a clock of its own.
    const at = new Date(tool === "facts" ? Date.now() : now());
    expect(await answer(signed(tool, { key: first, at }))).toMatchObject({ statusCode: 401 });
  });

  it("with bad signatures causes two look-ups a minute at most", async () => {
    for (let second = 0; second < 60; second++) {
      await answer(aRequest(`/${tool}/${workspaceId}`, "{}"));
      passedMs += SECOND_MS;
    }
    expect(lookUps).toHaveLength(2);
  });

  it("to an unknown workspace is 404, after one look-up a minute", async () => {
    stored.delete(nameOf(tool));
    for (let time = 0; time < 5; time++) expect(await answer(signed(tool))).toMatchObject({ statusCode: 404 });
    expect(lookUps).toEqual([nameOf(tool)]);
    passedMs += MINUTE_MS;
    await answer(signed(tool));
    expect(lookUps).toHaveLength(2);
  });

  it("is 503 if the secret cannot be read or is invalid, and is tried again at the next request", async () => {
    const unreadable = () => {
      throw new Unavailable("the secret cannot be read: AccessDeniedException");
    };
    const good = stored.get(nameOf(tool)) ?? "";
    const useless = tool === "facts" ? '{"apiToken":"is of no use"}' : '{"signingKeys":[]}';
    for (const secret of [unreadable, "no JSON", useless]) {
      stored.set(nameOf(tool), secret);
      expect(await answer(signed(tool))).toMatchObject({ statusCode: 503, headers: { "retry-after": "30" } });
    }
    expect(lines.at(-1)).toMatchObject({
      level: "error",
      fields: { outcome: "unavailable", reason: expect.stringContaining("must have a signing key") },
    });
    stored.set(nameOf(tool), good);
    expect(await answer(signed(tool))).toMatchObject({ statusCode: 200 });
  });

  it("is accepted while the secret is cached, although it cannot be read again after a bad signature", async () => {
    await answer(signed(tool));
    stored.set(nameOf(tool), () => {
      throw new Unavailable("the secret cannot be read: TimeoutError");
    });
    passedMs += 31 * SECOND_MS;
    const bad = aRequest(`/${tool}/${workspaceId}`, "{}");
    expect([(await answer(bad)).statusCode, (await answer(bad)).statusCode]).toEqual([503, 401]);
    expect(await answer(signed(tool))).toMatchObject({ statusCode: 200 });
    expect(lookUps).toHaveLength(2);
  });

  it("is 503 if the bus does not accept all of its facts", async () => {
    bus = { put: () => Promise.reject(new Unavailable("the event bus did not answer: TimeoutError")) };
    expect(await answer(signed(tool))).toMatchObject({ statusCode: 503, metrics: { AcceptedFacts: 0 } });
  });

  it("that is signed but no JSON is 400 for posted facts, and kept for a person otherwise", async () => {
    const isPosted = tool === "facts";
    const expected = isPosted
      ? {
          statusCode: 400,
          json: { error: expect.stringMatching(/^the body is not JSON; send it as application\/json/) },
        }
      : { statusCode: 200, json: { accepted: 0, unreadable: expect.stringContaining("not a webhook of") } };
    for (const text of ["", "{", "<xml/>"]) {
      const headers = SIGNERS[tool](KEYS[tool][0] ?? "", text, new Date());
      const event = aRequest(`/${tool}/${workspaceId}`, text, { headers });
      expect(await answer(event)).toMatchObject(expected);
    }
    expect(onBus).toHaveLength(isPosted ? 0 : 3);
  });

  it("may begin with a byte order mark, and name its charset", async () => {
    const text = `\ufeff${JSON.stringify(PAYLOADS[tool]())}`;
    const headers = {
      ...SIGNERS[tool](KEYS[tool][0] ?? "", text, new Date()),
      "content-type": "application/json; charset=utf-8",
    };
    const event = aRequest(`/${tool}/${workspaceId}`, text, { headers });
    expect(await answer(event)).toMatchObject({ statusCode: 200, json: { accepted: 1 } });
  });

  it("larger than 1 MiB is 413, by any other method 405", async () => {
    expect(await answer(aRequest(`/${tool}/${workspaceId}`, Buffer.alloc(1024 * 1024 + 1, 32)))).toMatchObject({
      statusCode: 413,
    });
    expect(await answer(aRequest(`/${tool}/${workspaceId}`, "", { method: "GET" }))).toMatchObject({
      statusCode: 405,
      headers: { allow: "POST" },
    });
  });
});

const lower = (name: string) => name.toLowerCase();
const upper = (name: string) => name.toUpperCase();

describe("a signature with a time", () => {
  it.each([
    ["calendly", 3],
    ["facts", 5],
  ] as const)("of %s is accepted within %i minutes, and rejected when it is replayed later", async (tool, minutes) => {
    const ago = (seconds: number) => new Date(Date.now() - seconds * SECOND_MS);
    const limit = minutes * 60;
    for (const at of [ago(limit - 5), ago(5 - limit)])
      expect(await answer(signed(tool, { at }))).toMatchObject({ statusCode: 200 });
    for (const at of [ago(limit + 5), ago(-limit - 5)])
      expect(await answer(signed(tool, { at }))).toMatchObject({ statusCode: 401 });
  });

  it("of Calendly counts if any of several is right, and not without its time", async () => {
    const payload = PAYLOADS.calendly();
    const request = signed("calendly", { payload });
    const [name = "", value = ""] =
      Object.entries(SIGNERS.calendly(KEYS.calendly[0], JSON.stringify(payload), new Date()))[0] ?? [];
    const withHeader = (header: string) => ({ ...request, headers: { [name]: header } });
    expect(await answer(withHeader(value.replace(",v1=", ",v1=00ff,v1=")))).toMatchObject({ statusCode: 200 });
    for (const header of [value.replace(/^t=\d+,/, ""), value.replace(/t=\d+/, "t=now"), "t=,v1="]) {
      expect(await answer(withHeader(header))).toMatchObject({ statusCode: 401 });
    }
  });
});

describe("a path that is no route", () => {
  it.each(["/", "/calendly", "/nothing/x", "/constructor/x", `/calendly/${workspaceId}/more`])(
    "%s is 404",
    async (path) => {
      expect(await answer(aRequest(path, "{}"))).toMatchObject({ statusCode: 404 });
      expect(lookUps).toEqual([]);
    },
  );

  it("with something else than a workspace id is 404 without a look-up, and is not logged", async () => {
    expect(await answer(aRequest("/facts/ida@example.com", "{}"))).toMatchObject({ statusCode: 404 });
    expect(lookUps).toEqual([]);
    expect(JSON.stringify(lines)).not.toContain("ida");
  });
});

describe("a signed webhook that cannot be translated", () => {
  it.each(["calendly", "calcom"] as const)(
    "of %s is accepted once, and waits for a person with its body",
    async (tool) => {
      const payload =
        tool === "calendly" ? { event: "invitee.created", payload: { uri: "x" } } : { content: "Ida has booked" };
      expect(await answer(signed(tool, { payload }))).toMatchObject({ statusCode: 200, json: { accepted: 0 } });
      expect(lines).toMatchObject([{ level: "error", fields: { outcome: "faulty", workspaceId } }]);
      const [{ type, detail } = { type: "none", detail: {} }, ...others] = onBus;
      expect([others, detail]).toEqual([
        [],
        expect.objectContaining({ workspaceId, tool, body: JSON.stringify(payload) }),
      ]);
      const message = parseMessage(JSON.stringify({ source: "backstop.webhooks", "detail-type": type, detail }));
      expect(message).toEqual({
        kind: "refused",
        reason: expect.stringMatching(new RegExp(`^a webhook of ${tool}: `)),
      });
    },
  );

  it("is kept without its body if that is too large for an event", async () => {
    await answer(signed("calcom", { payload: { content: '"'.repeat(100_000) } }));
    expect(onBus).toMatchObject([{ type: "webhook.unreadable", detail: { body: null } }]);
  });
});

describe("the answer to posted facts", () => {
  it("reports each fact, and accepts the valid ones beside invalid ones", async () => {
    const good = PAYLOADS.facts();
    const mixed = [good, { type: "lead.sneezed" }, { type: "lead.replied", lead: { email: "bo@example.com" } }];
    expect(await answer(posting(mixed))).toMatchObject({
      statusCode: 207,
      json: {
        accepted: 2,
        refused: 1,
        facts: [
          { index: 0, outcome: "accepted" },
          { index: 1, outcome: "refused", faults: [expect.stringMatching(/^type: must be one of /)] },
          { index: 2, outcome: "accepted", warnings: expect.any(Array) },
        ],
      },
    });
    expect(onBus).toHaveLength(2);
    expect(lines).toMatchObject([{ level: "error", fields: { outcome: "faulty", accepted: 2, refused: 1 } }]);
  });

  it("is 400 if no fact is accepted, and 413 for more than a hundred", async () => {
    expect(await answer(posting([{ type: "lead.sneezed" }]))).toMatchObject({ statusCode: 400, json: { refused: 1 } });
    const many = (count: number) => Array.from({ length: count }, PAYLOADS.facts);
    expect(await answer(posting(many(101)))).toMatchObject({ statusCode: 413 });
    expect(onBus).toEqual([]);
    expect(await answer(posting(many(100)))).toMatchObject({ statusCode: 200, json: { accepted: 100 } });
  });

  it("counts a signature also beside a token of another system", async () => {
    const request = signed("facts");
    const headers = { ...request.headers, authorization: "Bearer of-another-system" };
    expect(await answer({ ...request, headers })).toMatchObject({ statusCode: 200 });
  });

  it("needs a right token, and the token opens no other tool", async () => {
    for (const authorization of ["Bearer wrong-token-123456", "Bearer", `Basic ${TOKEN}`, TOKEN]) {
      expect(await answer(posting(PAYLOADS.facts(), { authorization }))).toMatchObject({ statusCode: 401 });
    }
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect(await answer(aRequest(`/calcom/${workspaceId}`, "{}", { headers }))).toMatchObject({ statusCode: 401 });
    expect(await answer(posting(PAYLOADS.facts(), { Authorization: `bearer ${TOKEN}` }))).toMatchObject({
      statusCode: 200,
    });
  });
});

it("throws on an event that is not one of an HTTP API", async () => {
  await expect(answer({ Records: [] })).rejects.toThrow("rawPath");
});
