import { afterEach, describe, expect, it } from "@jest/globals";
import { digestWebhook } from "../../lib/channels/digest-webhook.ts";
import { ANY_NETWORK, type Network, PUBLIC_NETWORK } from "../../lib/channels/network.ts";
import type { OutgoingDigest } from "../../lib/run/channel-ports.ts";
import { answering, closeServers, deadPort, httpServer, SILENCES, tcpServer, unansweredPort } from "./servers.ts";

afterEach(closeServers);

const SECRET_PATH = "/services/T0/B0/very-secret";
const digest: OutgoingDigest = {
  id: "0190f0f0-0000-7000-8000-000000000002",
  workspaceId: "workspace",
  channel: "webhook",
  failures: 0,
  from: "a@b.test",
  to: null,
  contents: { workspaceName: "Harbour <Homes>", sections: [{ kind: "meeting_booked", count: 1, examples: [] }] },
};

const send = (
  to: string,
  { network = ANY_NETWORK, answerTimeoutMs = 5_000 }: { network?: Network; answerTimeoutMs?: number } = {},
) => digestWebhook({ network, now: () => new Date(), answerTimeoutMs }).send(digest, to);
const sendTo = (port: number, answerTimeoutMs = 5_000) =>
  send(`http://127.0.0.1:${port}${SECRET_PATH}`, { answerTimeoutMs });

describe("a digest sent to a webhook", () => {
  it("is a plain-text POST for Slack, with the delivery id as idempotency key", async () => {
    const { port, requests } = await httpServer(answering(200, "ok"));
    expect(await sendTo(port)).toEqual({ kind: "accepted", providerId: `webhook:${digest.id}` });
    expect(requests).toMatchObject([
      {
        method: "POST",
        path: SECRET_PATH,
        headers: { "content-type": "application/json", "idempotency-key": digest.id },
      },
    ]);
    expect(JSON.parse(requests[0]?.body ?? "")).toEqual({
      text: "Harbour &lt;Homes&gt;\n\nMeetings booked: 1\n",
      mrkdwn: false,
      unfurl_links: false,
      unfurl_media: false,
    });
  });

  it.each([
    [200, "accepted"],
    [204, "accepted"],
    [302, "refused"],
    [400, "refused"],
    [403, "refused"],
    [404, "refused"],
    [410, "refused"],
    [408, "retry"],
    [409, "retry"],
    [423, "retry"],
    [429, "retry"],
    [500, "retry"],
    [503, "retry"],
    [502, "unknown"],
    [504, "unknown"],
  ])("with the response %i is: %s", async (status, kind) => {
    const { port } = await httpServer(answering(status, "", { location: "/elsewhere" }));
    expect(await sendTo(port)).toMatchObject({ kind });
  });

  it("waits as long as the receiver requests", async () => {
    const { port } = await httpServer(answering(429, "", { "retry-after": "120" }));
    expect(await sendTo(port)).toEqual({ kind: "retry", reason: "webhook_429", throttled: { retryAfterMs: 120_000 } });
  });

  it.each(["hangs", "cuts", "garbage"] as const)(
    "whose answer is lost is unknown: it may have been taken (the receiver: %s)",
    async (silence) => {
      const { port, requests } = await httpServer(SILENCES[silence]);
      expect(await sendTo(port, silence === "hangs" ? 500 : 5_000)).toMatchObject({ kind: "unknown" });
      expect(requests).toHaveLength(1);
    },
  );

  it("that never left is retried: connection refused, no answer, no handshake", async () => {
    expect(await sendTo(await deadPort())).toEqual({ kind: "retry", reason: "webhook_econnrefused" });
    expect(await sendTo(await unansweredPort(), 500)).toMatchObject({ kind: "retry" });
    const plain = await tcpServer((socket) => socket.once("data", () => socket.end("no TLS here")));
    expect(await send(`https://127.0.0.1:${plain}/`)).toMatchObject({ kind: "retry" });
  });

  it("goes to no private address, not without TLS, and to no invalid URL, and never reports the URL", async () => {
    const outcomes = [
      await send(`https://10.0.0.1${SECRET_PATH}`, { network: PUBLIC_NETWORK }),
      await send(`https://169.254.169.254${SECRET_PATH}`, { network: PUBLIC_NETWORK }),
      await send(`http://example.com${SECRET_PATH}`, { network: PUBLIC_NETWORK }),
      await send(`file://${SECRET_PATH}`, { network: PUBLIC_NETWORK }),
      await send(`not a url ${SECRET_PATH}`, { network: PUBLIC_NETWORK }),
    ];
    expect(outcomes).toEqual([
      { kind: "refused", reason: "address_not_allowed" },
      { kind: "refused", reason: "address_not_allowed" },
      { kind: "refused", reason: "protocol_not_allowed" },
      { kind: "refused", reason: "protocol_not_allowed" },
      { kind: "refused", reason: "invalid_url" },
    ]);
  });
});
