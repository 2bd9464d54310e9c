import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { unsubscribeToken } from "../../lib/inbound/unsubscribe-link.ts";
import { loadConfig } from "../../lib/platform/config.ts";
import { secretByArn } from "../../lib/platform/secrets.ts";
import { wire } from "../../lib/platform/wire.ts";
import type { Log } from "../../lib/run/ports.ts";
import { linkedChannels } from "../../lib/run/unsubscribe-links.ts";
import { prepareAws } from "../channels/aws.ts";
import { aTouch } from "../channels/contract.ts";
import { answering, closeServers, type HttpDouble, httpServer } from "../channels/servers.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const SECRET = `whsec_${Buffer.alloc(24, 7).toString("base64")}`;
const ARN = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:backstop/webhook-AbCdEf";
const JSON_ANSWER = { "content-type": "application/x-amz-json-1.1" };
const telling = answering(200, JSON.stringify({ SecretString: SECRET }), JSON_ANSWER);
const denying = answering(400, JSON.stringify({ __type: "AccessDeniedException" }), JSON_ANSWER);

const base = {
  DATABASE_URL: "postgres://nobody@127.0.0.1:1/nothing",
  EMAIL_TRANSPORT: "files",
  OUTBOX_DIRECTORY: "unused",
  AWS_REGION: "eu-central-1",
};
const silent: Log = { info: () => undefined, error: () => undefined };

/** The ports of this environment, with channels as a run uses them. They need no database. */
async function portsOf(env: Readonly<Record<string, string>>) {
  const { database, ...ports } = wire(loadConfig({ ...base, ...env }), silent);
  await database.close();
  return { ...ports, channels: linkedChannels(ports.channels, ports.unsubscribeLinks) };
}
const channelsOf = async (env: Readonly<Record<string, string>>) => (await portsOf(env)).channels;

async function secretsManager(answer: Parameters<typeof httpServer>[0]): Promise<HttpDouble> {
  const server = await httpServer(answer);
  process.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = `http://127.0.0.1:${server.port}`;
  return server;
}

beforeAll(prepareAws);
afterEach(closeServers);

describe("the providers of an environment", () => {
  it("refuse text messages and webhooks if none is configured", async () => {
    const { sms, webhook } = await channelsOf({});
    const refused = { kind: "refused", reason: "channel_not_connected", notAsked: true };
    expect([await sms.send(aTouch()), await webhook.send(aTouch())]).toEqual([refused, refused]);
  });

  it("send text messages from the origination identity", async () => {
    const { port, requests } = await httpServer(answering(200, JSON.stringify({ MessageId: "m-1" }), JSON_ANSWER));
    process.env["AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2"] = `http://127.0.0.1:${port}`;
    const { sms } = await channelsOf({ SMS_ORIGINATION_IDENTITY: "pool-1", SMS_MESSAGE_TYPE: "TRANSACTIONAL" });
    expect(await sms.send(aTouch())).toEqual({ kind: "accepted", providerId: "m-1" });
    expect(requests[0]?.body).toMatch(/"OriginationIdentity":"pool-1".*"TRANSACTIONAL"|"TRANSACTIONAL".*"pool-1"/);
  });

  it("send webhooks signed with the secret, from the environment or by ARN", async () => {
    const { port, requests } = await httpServer(answering(200));
    await secretsManager(telling);
    const receiver = { WEBHOOK_URL: `http://127.0.0.1:${port}/`, WEBHOOK_NETWORK: "any" };
    for (const secret of [{ WEBHOOK_SECRET: SECRET }, { WEBHOOK_SECRET_ARN: ARN }]) {
      const { webhook } = await channelsOf({ ...receiver, ...secret });
      expect(await webhook.send(aTouch())).toMatchObject({ kind: "accepted" });
    }
    expect(requests).toHaveLength(2);
  });

  it("reach no private address by webhook unless the environment allows it", async () => {
    const { webhook } = await channelsOf({ WEBHOOK_URL: "https://127.0.0.1/", WEBHOOK_SECRET: SECRET });
    expect(await webhook.send(aTouch())).toEqual({
      kind: "channel_down",
      scope: "channel",
      reason: "webhook_address_not_allowed",
    });
  });

  it("add the unsubscribe headers to each e-mail", async () => {
    const outbox = await temporaryFolder();
    const base = { UNSUBSCRIBE_BASE_URL: "https://links.example.com/", UNSUBSCRIBE_KEY: "k".repeat(32) };
    const { channels } = await portsOf({
      ...base,
      OUTBOX_DIRECTORY: outbox,
      EMAIL_UNSUBSCRIBE_MAILTO: "stop@example.com",
    });
    const touch = aTouch({ workspaceId: aTouch().id });
    await channels.email.send(touch);
    const mail = (await readFile(join(outbox, `${touch.id}.eml`), "utf8")).replaceAll(/\n[ \t]/g, " ");
    const token = unsubscribeToken({ workspaceId: touch.id, touchId: touch.id }, base.UNSUBSCRIBE_KEY);
    expect(mail).toContain(
      `List-Unsubscribe: <https://links.example.com/unsubscribe/${token}>, <mailto:stop@example.com?`,
    );
    expect(mail).toContain("List-Unsubscribe-Post: List-Unsubscribe=One-Click");
  });

  it("send no e-mail without its header if the key cannot be read, and links once it can", async () => {
    const outbox = await temporaryFolder();
    let calls = 0;
    const secret = JSON.stringify({ current: "k".repeat(32), former: [] });
    const keys = answering(200, JSON.stringify({ SecretString: secret }), JSON_ANSWER);
    await secretsManager((response) => (++calls === 1 ? denying : keys)(response));
    const base = { UNSUBSCRIBE_BASE_URL: "https://links.example.com", UNSUBSCRIBE_SECRET_ARN: ARN };
    const { channels } = await portsOf({ ...base, OUTBOX_DIRECTORY: outbox });
    const touch = aTouch({ workspaceId: aTouch().id });
    const fault = { kind: "channel_down", scope: "channel", reason: "unsubscribe_key" };
    expect(await channels.email.send(touch)).toEqual(fault);
    expect(await readdir(outbox)).toEqual([]);
    expect(await channels.email.send(touch)).toMatchObject({ kind: "accepted" });
    expect(await readFile(join(outbox, `${touch.id}.eml`), "utf8")).toContain("List-Unsubscribe:");
    await secretsManager(telling);
    const { channels: invalid } = await portsOf({ ...base, OUTBOX_DIRECTORY: outbox });
    expect(await invalid.email.send(touch)).toEqual(fault);
  });

  it("link to the user's own page, if there is one", async () => {
    const { unsubscribeLinks } = await portsOf({
      UNSUBSCRIBE_BASE_URL: "https://links.example.com",
      UNSUBSCRIBE_KEY: "k".repeat(32),
      EMAIL_UNSUBSCRIBE_URL: "https://example.com/unsubscribe/{touchId}",
    });
    expect(await unsubscribeLinks?.linkFor(aTouch())).toBe(`https://example.com/unsubscribe/${aTouch().id}`);
    expect((await portsOf({})).unsubscribeLinks).toBeNull();
  });

  const key = { UNSUBSCRIBE_KEY: "k".repeat(32) };
  const url = { WEBHOOK_URL: "https://receiver.example/" };
  it.each<[Record<string, string | undefined>, RegExp]>([
    [
      { SMS_ORIGINATION_IDENTITY: "pool-1", AWS_REGION: undefined },
      /AWS_REGION: is required for SMS_ORIGINATION_IDENTITY/,
    ],
    [{ WEBHOOK_SECRET: SECRET }, /WEBHOOK_URL: is required for WEBHOOK_SECRET/],
    [{ WEBHOOK_SECRET_ARN: ARN }, /WEBHOOK_URL: is required for WEBHOOK_SECRET_ARN/],
    [{ ...url, WEBHOOK_SECRET: SECRET, WEBHOOK_SECRET_ARN: ARN }, /WEBHOOK_SECRET: must not be set together/],
    [{ ...url, WEBHOOK_SECRET: "swordfish" }, /WEBHOOK_SECRET: must be whsec_ and base64(?![\s\S]*swordfish)/],
    [{ ...url, WEBHOOK_SECRET: "whsec_c2hvcnQ=" }, /WEBHOOK_SECRET: must contain 24 to 64 bytes/],
    [{ ...url, WEBHOOK_SECRET_ARN: "backstop/webhook" }, /WEBHOOK_SECRET_ARN: must be the ARN of a secret/],
    [{ WEBHOOK_URL: "HTTP://receiver.example/", WEBHOOK_SECRET: SECRET }, /WEBHOOK_URL: must be https, unless/],
    [
      { WEBHOOK_URL: "https://receiver.example:8443/", WEBHOOK_SECRET: SECRET },
      /WEBHOOK_URL: must be on port 443, unless/,
    ],
    [{ WEBHOOK_URL: "file:///etc/passwd", WEBHOOK_SECRET: SECRET }, /WEBHOOK_URL/],
    [{ UNSUBSCRIBE_BASE_URL: "links.example.com", ...key }, /UNSUBSCRIBE_BASE_URL: must be an https URL/],
    [{ UNSUBSCRIBE_BASE_URL: "http://example.com", ...key }, /UNSUBSCRIBE_BASE_URL: must be an https URL/],
    [{ UNSUBSCRIBE_BASE_URL: "https://example.com/?a=b", ...key }, /UNSUBSCRIBE_BASE_URL: must have no query/],
    [{ UNSUBSCRIBE_BASE_URL: "https://example.com" }, /UNSUBSCRIBE_BASE_URL: requires UNSUBSCRIBE_SECRET_ARN or/],
    [key, /UNSUBSCRIBE_BASE_URL: is required for UNSUBSCRIBE_KEY/],
    [{ UNSUBSCRIBE_SECRET_ARN: ARN }, /UNSUBSCRIBE_BASE_URL: is required for UNSUBSCRIBE_SECRET_ARN/],
    [{ UNSUBSCRIBE_KEY: "swordfish" }, /UNSUBSCRIBE_KEY: must have at least 32(?![\s\S]*swordfish)/],
    [{ EMAIL_UNSUBSCRIBE_URL: "http://example.com/{touchId}" }, /EMAIL_UNSUBSCRIBE_URL: must be an https URL/],
    [{ EMAIL_UNSUBSCRIBE_URL: "https://example.com/" }, /EMAIL_UNSUBSCRIBE_URL: must contain \{touchId\}/],
    [{ EMAIL_UNSUBSCRIBE_MAILTO: "Stop <stop@example.com>" }, /EMAIL_UNSUBSCRIBE_MAILTO/],
  ])("reject an incomplete configuration: %#", (env, message) => {
    expect(() => loadConfig({ ...base, ...env })).toThrow(message);
  });
});

describe("a secret by its ARN", () => {
  it("is fetched once, on first use, also by concurrent callers", async () => {
    const { requests } = await secretsManager(telling);
    const secret = secretByArn(ARN);
    expect(requests).toEqual([]);
    expect(await Promise.all([secret(), secret(), secret()])).toEqual([SECRET, SECRET, SECRET]);
    await secret();
    expect(requests.map(({ body }) => JSON.parse(body))).toEqual([{ SecretId: ARN }]);
  });

  it("is fetched again after a failed fetch", async () => {
    let calls = 0;
    await secretsManager((response) => (++calls === 1 ? denying : telling)(response));
    const secret = secretByArn(ARN);
    await expect(secret()).rejects.toMatchObject({ name: "AccessDeniedException" });
    expect(await secret()).toBe(SECRET);
  });

  it("is fetched again after five minutes, because it may have been rotated", async () => {
    const { requests } = await secretsManager(telling);
    let now = 0;
    const secret = secretByArn(ARN, () => now);
    await secret();
    now = 299_999;
    await secret();
    expect(requests).toHaveLength(1);
    now = 300_000;
    expect(await Promise.all([secret(), secret()])).toEqual([SECRET, SECRET]);
    expect(requests).toHaveLength(2);
  });

  it("is as new as the caller asks for", async () => {
    const { requests } = await secretsManager(telling);
    let now = 0;
    const secret = secretByArn(ARN, () => now);
    await secret();
    now = 9_999;
    await secret(10_000);
    expect(requests).toHaveLength(1);
    now = 10_000;
    await secret(10_000);
    await secret();
    expect(requests).toHaveLength(2);
  });

  it("stays cached when a newer copy cannot be fetched", async () => {
    let calls = 0;
    await secretsManager((response) => (++calls === 1 ? telling : denying)(response));
    const secret = secretByArn(ARN, () => 0);
    await secret();
    await expect(secret(0)).rejects.toMatchObject({ name: "AccessDeniedException" });
    expect(await secret()).toBe(SECRET);
  });

  it("is an error if it holds no text", async () => {
    await secretsManager(answering(200, "{}", JSON_ANSWER));
    await expect(secretByArn(ARN)()).rejects.toThrow("the secret holds no text");
  });
});
