import { afterEach, describe, expect, it } from "@jest/globals";
import { Webhook } from "standardwebhooks";
import { webhookChannel } from "../../lib/channels/webhook.ts";
import { aTouch, type Behaviour, itKeepsTheContract, LATE_MS, NETWORK_BEHAVIOURS, SECRETS_OF_ADA } from "./contract.ts";
import { answering, closeServers, deadPort, httpServer, SILENCES, tcpServer, unansweredPort } from "./servers.ts";
import { endpointAt, SECRET } from "./webhook-endpoint.ts";

const ANSWERS: Readonly<Record<Exclude<Behaviour, "gone" | "unreachable">, Parameters<typeof httpServer>[0]>> = {
  ...SILENCES,
  accepts: answering(202, "thanks"),
  refuses: answering(400, SECRETS_OF_ADA),
  "is down": answering(404, SECRETS_OF_ADA),
  "is busy": answering(408, SECRETS_OF_ADA),
  throttles: answering(429, SECRETS_OF_ADA, { "retry-after": "120" }),
  late: (response) => setTimeout(() => answering(200)(response), LATE_MS).unref(),
};

itKeepsTheContract({
  name: "webhook",
  channel: "webhook",
  retryAfterMs: 120_000,
  behaviours: NETWORK_BEHAVIOURS,
  unaddressed: null,
  async open(behaviour, { answerMs }) {
    const channelAt = (port: number) => webhookChannel(endpointAt(port), answerMs);
    if (behaviour === "gone") return { channel: channelAt(await deadPort()), taken: () => [] };
    if (behaviour === "unreachable") return { channel: channelAt(await unansweredPort()), taken: () => [] };
    const { port, requests } = await httpServer(ANSWERS[behaviour]);
    return { channel: channelAt(port), taken: () => requests.map(({ headers }) => String(headers["webhook-id"])) };
  },
});

afterEach(closeServers);

describe("a webhook", () => {
  it("is a POST that the receiver can verify, with the touch id as idempotency key", async () => {
    const { port, requests } = await httpServer(answering(204));
    const outcome = await webhookChannel(endpointAt(port)).send(aTouch());
    expect(outcome).toEqual({ kind: "accepted", providerId: `webhook:${aTouch().id}` });
    const [request] = requests;
    expect(request).toMatchObject({ method: "POST", path: "/touches?from=backstop" });
    expect(request?.headers).toMatchObject({ "webhook-id": aTouch().id, "content-type": "application/json" });
    const verified = new Webhook(SECRET).verify(request?.body ?? "", signatureOf(request?.headers));
    expect(verified).toEqual({
      type: "touch.due",
      timestamp: expect.any(String),
      data: {
        touchId: aTouch().id,
        attempt: 2,
        workspaceId: "workspace",
        workspaceName: "Northwind",
        leadId: "lead",
        lead: aTouch().details?.lead,
        sequence: { id: "sequence", name: "No answer yet" },
        step: { key: "nudge", position: 2 },
        subject: "Grüße",
        body: "Guten Tag, Ada",
      },
    });
  });

  it("does not verify if one byte or the timestamp is wrong", async () => {
    const { port, requests } = await httpServer(answering(204));
    const longAgo = new Date(Date.now() - 10 * 60_000);
    await webhookChannel(endpointAt(port)).send(aTouch());
    await webhookChannel(endpointAt(port, { now: () => longAgo })).send(aTouch());
    const [fresh, stale] = requests;
    const verify = (body: string, headers: typeof fresh) =>
      new Webhook(SECRET).verify(body, signatureOf(headers?.headers));
    expect(() => verify(`${fresh?.body} `, fresh)).toThrow(/No matching signature/);
    expect(() => verify(stale?.body ?? "", stale)).toThrow(/too old/);
  });

  it.each([
    [200, "accepted", undefined],
    [299, "accepted", undefined],
    [301, "channel_down", "refused"],
    [307, "channel_down", "refused"],
    [400, "refused", undefined],
    [401, "channel_down", "retry"],
    [403, "channel_down", "retry"],
    [404, "channel_down", "refused"],
    [405, "channel_down", "refused"],
    [408, "retry", undefined],
    [409, "retry", undefined],
    [410, "channel_down", "refused"],
    [413, "refused", undefined],
    [422, "refused", undefined],
    [423, "retry", undefined],
    [425, "retry", undefined],
    [429, "retry", undefined],
    [500, "channel_down", "retry"],
    [502, "channel_down", "retry"],
    [503, "channel_down", "retry"],
    [504, "channel_down", "retry"],
  ])("with the response %i is: %s, and otherwise %s", async (status, kind, otherwise) => {
    const { port } = await httpServer(answering(status));
    const outcome = await webhookChannel(endpointAt(port)).send(aTouch());
    const reason = `webhook_${status}`;
    expect(outcome).toMatchObject({ kind });
    expect("otherwise" in outcome ? outcome.otherwise : undefined).toEqual(
      otherwise && { kind: otherwise, reason, ...([502, 504].includes(status) && { mayHaveArrived: true }) },
    );
  });

  it("may have arrived before if the receiver says that an attempt is in progress", async () => {
    const { port } = await httpServer(answering(409));
    const outcome = await webhookChannel(endpointAt(port)).send(aTouch());
    expect(outcome).toEqual({ kind: "retry", reason: "webhook_409", mayHaveArrived: true });
  });

  it.each<[number, string | undefined, unknown]>([
    [429, undefined, { retryAfterMs: null }],
    [429, "2", { retryAfterMs: 2_000 }],
    [503, "2", { retryAfterMs: 2_000 }],
    [408, "2", undefined],
  ])("with the response %i and Retry-After %p has the rate limit %j", async (status, retryAfter, throttled) => {
    const { port } = await httpServer(answering(status, "", retryAfter ? { "retry-after": retryAfter } : {}));
    const outcome = await webhookChannel(endpointAt(port)).send(aTouch());
    expect(outcome).toEqual({ kind: "retry", reason: `webhook_${status}`, throttled });
  });

  it("follows no redirect", async () => {
    const inside = await httpServer(answering(200));
    const { port } = await httpServer(answering(307, "", { location: `http://127.0.0.1:${inside.port}/` }));
    const outcome = await webhookChannel(endpointAt(port)).send(aTouch());
    expect(outcome).toMatchObject({ kind: "channel_down", reason: "webhook_307" });
    expect(inside.requests).toEqual([]);
  });

  it("reads only the head of a response", async () => {
    const { port } = await httpServer((response) => {
      response.writeHead(200);
      const drip = setInterval(() => response.write("x".repeat(1_000)), 1);
      response.on("close", () => clearInterval(drip));
    });
    expect(await webhookChannel(endpointAt(port)).send(aTouch())).toMatchObject({ kind: "accepted" });
  });

  it.each([
    ["changes the protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"],
    ["speaks of nothing but early hints", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"],
    ["sends a head without an end", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}`],
  ])("is retried if the receiver %s but responds to others", async (_what, answer) => {
    const port = await tcpServer((socket) => socket.once("data", () => socket.end(answer)));
    const outcome = await webhookChannel(endpointAt(port)).send(aTouch());
    expect(outcome).toMatchObject({ kind: "channel_down", scope: "workspace", otherwise: { kind: "retry" } });
  });

  it.each([
    ["cannot be had", () => Promise.reject(new Error(`no access to ${SECRET}`))],
    ["is none", () => Promise.resolve("whsec_c2hvcnQ=")],
  ])("waits while its secret %s, and does not reveal it", async (_what, secret) => {
    const { port, requests } = await httpServer(answering(200));
    const outcome = await webhookChannel(endpointAt(port, { secret })).send(aTouch());
    expect(outcome).toEqual({ kind: "channel_down", scope: "channel", reason: "webhook_secret" });
    expect(requests).toEqual([]);
  });
});

const signatureOf = (headers: Readonly<Record<string, unknown>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
