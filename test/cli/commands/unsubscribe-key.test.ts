import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { unsubscribeKeyCommand } from "../../../cli/commands/unsubscribe-key.ts";
import { Problem } from "../../../cli/problem.ts";
import { readUnsubscribeToken, unsubscribeKeys, unsubscribeToken } from "../../../lib/inbound/unsubscribe-link.ts";
import { prepareAws } from "../../channels/aws.ts";
import { closeServers, httpServer } from "../../channels/servers.ts";

const KEY = "the key that the stack generated, long";
const ids = { workspaceId: "0190f0f0-0000-7000-8000-0000000000aa", touchId: "0190f0f0-0000-7000-8000-000000000001" };

type Sent = Readonly<Record<string, string>> & { readonly VersionStages?: readonly string[] };

/** The versions of one secret, and the calls; as the API reference of Secrets Manager describes them. */
class FakeSecret {
  readonly versions = new Map<string, string>();
  readonly stages = new Map<string, string>();
  readonly calls: string[] = [];
  /** Runs before the call with this name is answered; its result replaces the answer. */
  before: Readonly<Record<string, () => { readonly status: number; readonly body: object } | undefined>> = {};

  constructor(value: unknown) {
    this.versions.set("one", JSON.stringify(value));
    this.stages.set("AWSCURRENT", "one");
  }

  get current(): unknown {
    return JSON.parse(this.versions.get(this.stages.get("AWSCURRENT") ?? "") ?? "");
  }

  answer(call: string, sent: Sent): { readonly status: number; readonly body: object } {
    this.calls.push(`${call} ${sent["SecretId"]}`);
    const instead = this.before[call]?.();
    if (instead) return instead;
    const VersionId = this.stages.get("AWSCURRENT") ?? "";
    if (call === "GetSecretValue")
      return { status: 200, body: { SecretString: this.versions.get(VersionId), VersionId } };
    if (call === "PutSecretValue") return this.put(sent);
    if (sent["RemoveFromVersionId"] !== VersionId)
      return { status: 400, body: { __type: "InvalidParameterException" } };
    this.stages.set(sent["VersionStage"] ?? "", sent["MoveToVersionId"] ?? "");
    return { status: 200, body: {} };
  }

  private put({ ClientRequestToken = "", SecretString = "", VersionStages = ["AWSCURRENT"] }: Sent) {
    this.versions.set(ClientRequestToken, SecretString);
    for (const stage of VersionStages) this.stages.set(stage, ClientRequestToken);
    return { status: 200, body: { VersionId: ClientRequestToken } };
  }
}

let secret: FakeSecret;
beforeEach(async () => {
  prepareAws();
  secret = new FakeSecret({ former: [], current: KEY });
  const server = await httpServer((response) => {
    const { headers = {}, body = "{}" } = server.requests.at(-1) ?? {};
    const answer = secret.answer(String(headers["x-amz-target"]).split(".").at(-1) ?? "", JSON.parse(body));
    response
      .writeHead(answer.status, { "content-type": "application/x-amz-json-1.1" })
      .end(JSON.stringify(answer.body));
  });
  process.env["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = `http://127.0.0.1:${server.port}`;
});
afterEach(closeServers);

async function rotate(stage = "production"): Promise<string> {
  const written: string[] = [];
  const spy = jest.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
  try {
    await unsubscribeKeyCommand().exitOverride().parseAsync(["rotate", "--stage", stage], { from: "user" });
  } finally {
    spy.mockRestore();
  }
  return written.join("");
}

const currentKeys = () => unsubscribeKeys.parse(secret.current);

describe("unsubscribe-key rotate", () => {
  it("replaces the key, keeps the former one for 13 months, and prints no key", async () => {
    const printed = await rotate();
    const keys = currentKeys();
    expect(keys.current).toMatch(/^[\w-]{43}$/);
    expect(keys.former.map(({ key }) => key)).toEqual([KEY]);
    const until = keys.former[0]?.until ?? new Date(0);
    expect(until.getTime()).toBeGreaterThan(Date.now() + 390 * 86_400_000);
    expect(readUnsubscribeToken(unsubscribeToken(ids, KEY), keys, new Date())).toEqual(ids);
    expect(readUnsubscribeToken(unsubscribeToken(ids, keys.current), keys, new Date())).toEqual(ids);
    expect(printed).toContain("within five minutes");
    expect(printed).not.toContain(keys.current);
    expect(new Set(secret.calls.map((call) => call.split(" ")[1]))).toEqual(
      new Set(["backstop/production/unsubscribe"]),
    );
  });

  it("drops keys whose time is over, and no other, each time it runs", async () => {
    const past = { key: "old", until: "2026-01-01T00:00:00Z" };
    const ahead = { key: "newer", until: "2199-01-01T00:00:00Z" };
    secret = new FakeSecret({ current: KEY, former: [past, ahead] });
    await rotate();
    const first = currentKeys();
    expect(first.former.map(({ key }) => key)).toEqual([KEY, "newer"]);
    await rotate();
    expect(currentKeys().former.map(({ key }) => key)).toEqual([first.current, KEY, "newer"]);
  });

  it("changes nothing if it dies before its last call, and works when repeated", async () => {
    const dead = { status: 400, body: { __type: "ExpiredTokenException" } };
    for (const call of ["PutSecretValue", "UpdateSecretVersionStage"]) {
      secret.before = { [call]: () => dead };
      await expect(rotate()).rejects.toThrow(/expired or invalid/);
      expect(secret.current).toEqual({ former: [], current: KEY });
    }
    secret.before = {};
    await rotate();
    expect(currentKeys().former.map(({ key }) => key)).toEqual([KEY]);
  });

  it("loses no key of another rotation at the same time", async () => {
    let isFirst = true;
    let winner: unknown;
    secret.before = {
      UpdateSecretVersionStage: () => {
        if (!isFirst) return undefined;
        isFirst = false;
        secret.versions.set("theirs", JSON.stringify({ current: "the key of the other rotation, long", former: [] }));
        secret.stages.set("AWSCURRENT", "theirs");
        winner = secret.current;
        return undefined;
      },
    };
    await expect(rotate()).rejects.toThrow(/another rotation changed backstop\/production\/unsubscribe/);
    expect(secret.current).toEqual(winner);
  });

  it("explains what is wrong, and never quotes a key", async () => {
    secret.before = { GetSecretValue: () => ({ status: 400, body: { __type: "ResourceNotFoundException" } }) };
    await expect(rotate()).rejects.toThrow(/there is no secret backstop\/production\/unsubscribe/);
    secret.before = { PutSecretValue: () => ({ status: 400, body: { __type: "AccessDeniedException" } }) };
    await expect(rotate()).rejects.toThrow(/PutSecretValue or UpdateSecretVersionStage/);
    secret = new FakeSecret("swordfish");
    const invalid = await rotate().catch((thrown: unknown) => thrown);
    expect(invalid).toBeInstanceOf(Problem);
    expect(String(invalid)).toMatch(/nothing was changed.*must be JSON/);
    expect(String(invalid)).not.toContain("swordfish");
    await expect(rotate("Not A Stage")).rejects.toThrow(/not a valid stage name/);
  });
});
