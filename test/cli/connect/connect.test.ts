import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { connectCommand } from "../../../cli/commands/connect.ts";
import { startLocalWebhooks } from "../../../cli/local-webhooks.ts";
import { Problem } from "../../../cli/problem.ts";
import { CALCOM_EVENTS } from "../../../lib/inbound/calcom.ts";
import { CALENDLY_EVENTS } from "../../../lib/inbound/calendly.ts";
import type { BusEvent } from "../../../lib/inbound/translation.ts";
import { storedConnectionSecrets } from "../../../lib/platform/connection-secrets.ts";
import { prepareAws } from "../../channels/aws.ts";
import { closeServers, SILENCES } from "../../channels/servers.ts";
import { atEnd } from "../../support/at-end.ts";
import { addWorkspace } from "../../support/factories.ts";
import { ONE_CASE_IN } from "../../support/one-case-in.ts";
import { useDatabase } from "../../support/use-database.ts";
import {
  CALENDLY_ORGANIZATION,
  CALENDLY_USER,
  CalcomDouble,
  CalendlyDouble,
  type Fault,
  type ToolDouble,
} from "./booking-tool-doubles.ts";
import { StageDouble } from "./stage-double.ts";

const { sql } = await useDatabase();
const workspaceId = await addWorkspace(sql);

const facts: BusEvent[] = [];
prepareAws();
/** The function's own code. Each request is answered by a new process, which has read no secret yet. */
const webhooks = await startLocalWebhooks(
  {
    secrets: (...wanted) => storedConnectionSecrets("backstop/dev")(...wanted),
    bus: { put: (put) => Promise.resolve(void facts.push(...put)) },
    now: () => new Date(),
    log: { info: () => undefined, error: () => undefined },
  },
  0,
);
atEnd(() => webhooks.close());

let stage: StageDouble;
let calendly: CalendlyDouble;
let calcom: CalcomDouble;

beforeEach(async () => {
  stage = new StageDouble();
  stage.outputs = { WebhooksUrl: webhooks.url };
  [calendly, calcom] = [new CalendlyDouble(), new CalcomDouble()];
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: await stage.listen(sql),
    AWS_MAX_ATTEMPTS: "1",
    CALENDLY_API_URL: await calendly.listen(),
    CALENDLY_API_TOKEN: "a-valid-token",
    CALCOM_API_URL: await calcom.listen(),
    CALCOM_API_KEY: "a-valid-token",
  });
});

afterEach(closeServers);

/** Runs the command, and returns what it printed. A Problem is its last line. */
async function connect(...words: readonly string[]): Promise<string> {
  const written: string[] = [];
  const spy = [process.stdout, process.stderr].map((stream) =>
    jest.spyOn(stream, "write").mockImplementation((text) => written.push(String(text)) > 0),
  );
  try {
    const command = connectCommand({ wait: () => Promise.resolve() }).exitOverride();
    await command.parseAsync([...words, "--stage", "dev"], { from: "user" });
  } catch (thrown) {
    written.push(`FAILED: ${(thrown as Error).message}`);
    if (!(thrown instanceof Problem)) throw thrown;
  } finally {
    for (const one of spy) one.mockRestore();
  }
  return written.join("");
}

interface Secret {
  readonly signingKeys: readonly string[];
  readonly bearerTokens?: readonly string[];
  readonly subscription?: string;
  readonly apiToken?: string;
  readonly apiUrl?: string;
  readonly eventType?: string;
}

const secretName = (tool: string) => `backstop/dev/${workspaceId}/${tool}`;
const secretOf = (tool: string) => stage.secret(secretName(tool)) as Secret;
const store = (tool: string, secret: unknown) =>
  stage.secrets.set(secretName(tool), { text: JSON.stringify(secret), key: undefined, isDeleted: false });

/** The faults of the double's subscriptions for this stage: their key, their events, or their number. */
function faultsAt(tool: string, double: ToolDouble): readonly string[] {
  const keys = stage.secrets.get(secretName(tool))?.isDeleted ? [] : (secretOf(tool)?.signingKeys ?? []);
  return double.hooks
    .filter(({ active }) => active)
    .flatMap(({ key = "" }) => (keys.includes(key) ? [] : ["wrong key"]));
}

const TOOLS = [
  { tool: "calendly", double: () => calendly as ToolDouble, events: CALENDLY_EVENTS },
  { tool: "calcom", double: () => calcom as ToolDouble, events: CALCOM_EVENTS },
] as const;

describe.each(TOOLS)("connect $tool", ({ tool, double, events }) => {
  it("stores the key, subscribes to all events at the stage's address, and checks that webhooks are accepted", async () => {
    const printed = await connect(tool);
    const { signingKeys, apiToken, subscription } = secretOf(tool);
    expect(signingKeys).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
    expect(double().hooks).toEqual([
      expect.objectContaining({
        url: expect.stringMatching(`^${webhooks.url}/${tool}/${workspaceId}\\?key=[0-9a-f]{8}$`),
        key: signingKeys[0],
        events,
      }),
    ]);
    expect({ apiToken, subscription }).toEqual({
      apiToken: "a-valid-token",
      subscription: expect.stringContaining(double().hooks[0]?.id ?? "none"),
    });
    expect(printed).toMatch(/API token .* is stored in the secret/);
    expect(printed).toMatch(/ok +subscription .*\nok +active +yes\nok +events +all\nok +delivery /);
    expect(printed).not.toContain("FAILED");
    for (const secret of [apiToken, ...signingKeys]) expect(printed).not.toContain(secret);
    expect(facts).toEqual([]);
  });

  it("encrypts the secret with the key of the stage's own secret, which the function may use", async () => {
    await connect(tool);
    expect(stage.secrets.get(secretName(tool))?.key).toBe("alias/backstop-dev");
  });

  it("changes nothing when it is repeated", async () => {
    await connect(tool);
    const [before, hooks] = [secretOf(tool), [...double().hooks]];
    expect(await connect(tool)).not.toContain("FAILED");
    expect([secretOf(tool), double().hooks]).toEqual([before, hooks]);
  });

  it("sends the token nowhere without TLS, and stores nothing then", async () => {
    for (const url of ["http://cal.example.com", "cal.example.com"]) {
      process.env[`${tool.toUpperCase()}_API_URL`] = url;
      expect(await connect(tool)).toMatch(/FAILED: \w+_API_URL: must begin with https/);
    }
    expect(stage.secrets.has(secretName(tool))).toBe(false);
  });

  it("remembers where the API is, so that the token goes to no other place later", async () => {
    await connect(tool);
    const variable = `${tool.toUpperCase()}_API_URL`;
    expect(secretOf(tool).apiUrl).toBe(process.env[variable]);
    delete process.env[variable];
    expect(await connect(tool, "--check")).toMatch(/ok +subscription /);
  });

  it("keeps what else the secret has", async () => {
    store(tool, { signingKeys: ["by-hand"], eventType: "demo" });
    await connect(tool);
    expect(secretOf(tool)).toMatchObject({ signingKeys: ["by-hand"], eventType: "demo" });
    expect(double().hooks).toMatchObject([{ key: "by-hand" }]);
  });

  it("stores the event type that a person names by id, booking page or name, and keeps it", async () => {
    for (const name of ["1", "https://book.example/intro/", "intro CALL"]) {
      stage.secrets.delete(secretName(tool));
      expect(await connect(tool, "--event-type", name)).not.toContain("FAILED");
      expect(secretOf(tool).eventType).toBe(tool === "calendly" ? "https://api.calendly.com/event_types/1" : "1");
    }
    const { eventType } = secretOf(tool);
    expect(await connect(tool, "--rotate")).toContain(`free times of ${eventType}`);
    expect(secretOf(tool).eventType).toBe(eventType);
  });

  it("lists the candidates if an event type is unknown or ambiguous, and stores nothing then", async () => {
    const unknown = await connect(tool, "--event-type", "Lunch");
    expect(unknown).toMatch(/FAILED: "Lunch" is no active event type[\s\S]*Intro call[\s\S]*long-viewing$/);
    const ambiguous = await connect(tool, "--event-type", "Viewing");
    expect(ambiguous).toMatch(/FAILED: "Viewing" may be one of several event types[\s\S]*viewing/);
    expect(ambiguous).not.toContain("Intro call");
    expect(stage.secrets.has(secretName(tool))).toBe(false);
  });

  it("connects without an event type, and lists what could be offered, if the token may see it", async () => {
    expect(await connect(tool)).toMatch(/offer no free times yet\. .*--event-type[\s\S]*1 {2}Intro call/);
    double().mayListEventTypes = false;
    const printed = await connect(tool);
    expect(printed).toMatch(/offer no free times yet\. .*docs\/connect\.md/);
    expect(printed).not.toContain("FAILED");
    expect(secretOf(tool).eventType).toBeUndefined();
    expect(await connect(tool, "--event-type", "1")).toMatch(/FAILED: .*403/);
  });

  it("replaces subscriptions of the workspace on this stage, and no other", async () => {
    await connect(tool);
    const [own] = double().hooks;
    if (!own) throw new Error("there is no subscription");
    const elsewhere = { ...own, id: "elsewhere", url: own.url.replace("127.0.0.1", "other.example") };
    const byHand = { ...own, id: "by-hand", url: `${webhooks.url}/${tool}/${workspaceId}`, key: "unknown" };
    double().hooks.push(elsewhere, byHand, { ...elsewhere, id: "last", url: "https://crm.example/hook" });
    expect(await connect(tool)).toContain("Replaced subscriptions");
    expect(double().hooks.map(({ id }) => id)).toEqual([own.id, "elsewhere", "last"]);
  });

  it.each([
    ["disabled", { active: false }],
    ["incomplete", { events: ["invitee.created", "BOOKING_CREATED"] }],
  ])("replaces a subscription that is %s", async (_, changes) => {
    await connect(tool);
    Object.assign(double().hooks[0] ?? {}, changes);
    expect(await connect(tool, "--check")).toMatch(
      /FAILED +(active|events) .*\n +→ .*connect (calendly|calcom) --stage dev/,
    );
    expect(await connect(tool)).not.toContain("FAILED");
    expect(double().hooks).toMatchObject([{ active: true, events, key: secretOf(tool).signingKeys[0] }]);
  });

  it("rotates the key without a moment in which webhooks would be refused, and then drops the former one", async () => {
    await connect(tool);
    const [former] = secretOf(tool).signingKeys;
    expect(await connect(tool, "--rotate")).not.toContain("FAILED");
    const [key, second] = secretOf(tool).signingKeys;
    expect(second).toBe(former);
    expect(double().hooks).toMatchObject([{ key }]);
    // A repeated rotation only continues: the former key may be in use.
    await connect(tool, "--rotate");
    expect(secretOf(tool).signingKeys).toEqual([key, former]);
    expect(await connect(tool, "--drop-former")).not.toContain("FAILED");
    expect(secretOf(tool).signingKeys).toEqual([key]);
  });

  it("does not drop a key while the tool may use it", async () => {
    await connect(tool);
    const { signingKeys } = secretOf(tool);
    store(tool, { ...secretOf(tool), signingKeys: ["new", ...signingKeys] });
    expect(await connect(tool, "--drop-former")).toMatch(/FAILED: .* does not use the new key yet/);
    expect(secretOf(tool).signingKeys).toEqual(["new", ...signingKeys]);
  });

  it("ends a connection, and connects again with a new key", async () => {
    await connect(tool);
    const [former] = secretOf(tool).signingKeys;
    expect(await connect(tool, "--remove")).not.toContain("FAILED");
    expect([double().hooks, stage.secrets.get(secretName(tool))?.isDeleted]).toEqual([[], true]);
    expect(await connect(tool, "--check")).toMatch(/FAILED +secret .*\n +→ the workspace .* run connect/);
    expect(await connect(tool, "--remove")).not.toContain("FAILED");
    expect(await connect(tool)).not.toContain("FAILED");
    expect(secretOf(tool).signingKeys).not.toContain(former);
  });

  it("checks nothing behind an invalid secret, says how to repair it, and can remove it", async () => {
    store(tool, { signingKeys: "not a list" });
    for (const words of [[], ["--check"], ["--rotate"]]) {
      const printed = await connect(tool, ...words);
      expect(printed).toMatch(/is not valid: signingKeys.* To repair it, .*--remove/);
      expect(printed).not.toContain("not a list");
    }
    expect(await connect(tool, "--remove")).not.toContain("FAILED");
    expect(await connect(tool)).not.toContain("FAILED");
  });

  it("reports a subscription that was removed, a token that was revoked, and a stage with another key", async () => {
    await connect(tool);
    const hooks = double().hooks.splice(0);
    expect(await connect(tool, "--check")).toMatch(/FAILED +subscription +none to .*\n +→ run: npm run/);
    double().hooks.push(...hooks);
    double().token = "another";
    const revoked = await connect(tool, "--check");
    expect(revoked).toMatch(/FAILED +subscription .*\n +→ .*401.*Make a new one/);
    expect(revoked).toMatch(/skipped +active .*\nskipped +events .*\nok +delivery /);
    double().token = "a-valid-token";
    const { signingKeys, ...rest } = secretOf(tool);
    store(tool, { ...rest, signingKeys: ["another"] });
    expect(await connect(tool, "--check")).toMatch(/FAILED +subscription +none with the current key, 1 others/);
  });

  const faults: readonly (readonly [string, Fault, RegExp])[] = [
    [
      "a revoked token",
      { status: 401, body: { message: "The token was revoked" } },
      /401, "The token was revoked".*CAL/,
    ],
    [
      "a plan without webhooks",
      { status: 403, body: { message: "Please upgrade" } },
      /403, "Please upgrade": use the /,
    ],
    [
      "too many requests",
      { status: 429, headers: { "retry-after": "7" } },
      /429: too many requests\. Wait 7 s, then run/,
    ],
    ["a failure", { status: 502, body: "<html>" }, /answers 502: run the same command again/],
    ["an answer that is not documented", { status: 200, body: { resource: 1 } }, /did not answer as documented: run/],
    ["no answer", SILENCES.cuts, /did not answer at .*: check the network, and run/],
    ["garbage", SILENCES.garbage, /did not answer at /],
    ["a redirect", { status: 302, headers: { location: "https://evil.example" } }, /did not answer at /],
  ];

  it.each(faults)("says what to do about %s, and continues when it is repeated", async (_, fault, advice) => {
    for (const to of ["GET /users/me", "GET /v2/me", "POST"]) {
      double().faults.splice(0, Number.POSITIVE_INFINITY, { to, fault });
      const printed = await connect(tool);
      if (double().faults.length > 0) continue;
      expect(printed).toMatch(/FAILED: /);
      expect(printed).toMatch(advice);
      expect(printed).not.toMatch(/a-valid-token/);
      expect(faultsAt(tool, double())).toEqual([]);
    }
    double().faults.splice(0);
    expect(await connect(tool)).not.toContain("FAILED");
    expect(double().hooks).toMatchObject([{ key: secretOf(tool).signingKeys[0] }]);
  });

  it("does not wait for a tool that hangs", async () => {
    const { timeout } = AbortSignal;
    const spy = jest.spyOn(AbortSignal, "timeout").mockImplementation(() => timeout.call(AbortSignal, 200));
    double().faults.push({ to: "GET", fault: SILENCES.hangs });
    expect(await connect(tool)).toMatch(/FAILED: .* did not answer at .*: check the network, and run/);
    spy.mockRestore();
    expect(await connect(tool)).not.toContain("FAILED");
  });

  it("stops at a limit if the tool's list of subscriptions never ends", async () => {
    double().listsWithoutEnd = true;
    expect(await connect(tool)).toMatch(/FAILED: .* lists more than 50 pages of /);
    double().listsWithoutEnd = false;
    expect(await connect(tool)).not.toContain("FAILED");
  });

  it("stores nothing for a token that is not valid", async () => {
    double().token = "another";
    await connect(tool);
    expect(stage.secrets.has(secretName(tool))).toBe(false);
  });

  it("asks no pipe for a token, and names the variable", async () => {
    delete process.env[`${tool.toUpperCase()}_API_${tool === "calcom" ? "KEY" : "TOKEN"}`];
    expect(await connect(tool)).toMatch(/there is no terminal to ask at: set CAL(ENDLY|COM)_API_(TOKEN|KEY)/);
  });

  it("takes no token of another account", async () => {
    await connect(tool);
    calendly.organization = "https://api.calendly.com/organizations/PPPP";
    store(tool, { ...secretOf(tool), account: tool === "calendly" ? CALENDLY_ORGANIZATION : "users/99" });
    expect(await connect(tool)).toMatch(/FAILED: the workspace is connected with another account/);
  });
});

describe.each(TOOLS)(
  "an interruption at any call leaves nothing broken, and the repeated command finishes:",
  ({ tool, double }) => {
    /** Lets the command die once the call with this number is carried out. Returns whether there was one. */
    async function dieAt(number: number, words: readonly string[]): Promise<boolean> {
      let calls = 0;
      const interrupt = () => (calls++ === number ? "after" : undefined);
      Object.assign(stage, { interrupt });
      Object.assign(double(), { interrupt });
      await connect(tool, ...words);
      for (const one of [stage, double()]) Object.assign(one, { interrupt: () => undefined });
      return calls > number;
    }

    /** Whether the command has a call with this number. */
    async function survives(number: number, words: readonly string[]): Promise<boolean> {
      stage.secrets.delete(secretName(tool));
      double().hooks.splice(0);
      if (words.length > 0) await connect(tool);
      const died = await dieAt(number, words);
      const interrupted = { number, faults: faultsAt(tool, double()), isSubscribed: isSubscribed() };
      expect(interrupted).toMatchObject({ faults: [], ...(words.includes("--rotate") && { isSubscribed: true }) });
      const printed = await connect(tool, ...words);
      expect({ number, printed }).toEqual({ number, printed: expect.not.stringContaining("FAILED") });
      expect({ number, faults: faultsAt(tool, double()) }).toEqual({ number, faults: [] });
      expect(double().hooks).toHaveLength(words.includes("--remove") ? 0 : 1);
      return died;
    }
    const isSubscribed = () => double().hooks.some(({ active }) => active);

    it.each([[[]], [["--rotate"]], [["--remove"]]])(`${tool} %j`, async (words) => {
      for (let number = 0; await survives(number, words); ) number += ONE_CASE_IN;
    });
  },
);

describe("connect, for whose meetings:", () => {
  it("Calendly reports those of the organization by default, and those of the user with --scope user", async () => {
    await connect("calendly");
    expect(calendly.hooks).toMatchObject([{ owner: CALENDLY_ORGANIZATION }]);
    expect(await connect("calendly", "--scope", "user")).not.toContain("FAILED");
    expect(calendly.hooks).toMatchObject([{ owner: CALENDLY_USER }]);
    // A repeated command keeps what was chosen.
    expect(await connect("calendly")).not.toContain("FAILED");
    expect(calendly.hooks).toMatchObject([{ owner: CALENDLY_USER }]);
  });

  it("Cal.com reports those of the user by default, and those of the organization with --scope organization", async () => {
    await connect("calcom");
    expect(calcom.hooks).toMatchObject([{ owner: "users/3" }]);
    expect(await connect("calcom", "--scope", "organization")).not.toContain("FAILED");
    expect(calcom.hooks).toMatchObject([{ owner: "organizations/7" }]);
    calcom.organizationId = null;
    expect(await connect("calcom", "--scope", "organization")).toMatch(/FAILED: .*another account/);
    stage.secrets.delete(secretName("calcom"));
    expect(await connect("calcom", "--scope", "organization")).toMatch(/FAILED: .*no organization.*--scope user/);
  });

  it.each(TOOLS)("a person who is no admin connects $tool with --scope user", async ({ tool, double }) => {
    double().mayAdminister = false;
    expect(await connect(tool, "--scope", "organization")).toMatch(/FAILED: .* answers 403.*--scope user/);
    expect(await connect(tool, "--scope", "user")).not.toContain("FAILED");
    expect(double().hooks).toHaveLength(1);
  });
});

describe("connect facts", () => {
  const keysIn = (printed: string) => /^ {2}token +(\S+)\n {2}key +(\S+)$/m.exec(printed)?.slice(1) ?? [];

  it("shows a token and a key once, with a request that works when it is pasted", async () => {
    const printed = await connect("facts");
    const [token = "", key = ""] = keysIn(printed);
    expect(secretOf("facts")).toEqual({ bearerTokens: [token], signingKeys: [key] });
    expect(printed).toMatch(/ok +secret .*\nok +delivery /);
    const [, command = ""] = /^(curl [\s\S]*?\}')$/m.exec(printed) ?? [];
    const { stdout } = await promisify(execFile)("sh", ["-c", command]);
    expect(JSON.parse(stdout)).toMatchObject({ accepted: 1, refused: 0 });
    expect(facts.splice(0)).toMatchObject([{ type: "lead.replied" }]);
    const again = await connect("facts");
    expect(again).toMatch(/FAILED: .* already has a token and a key: add --rotate/);
    expect(again).not.toContain(token);
    expect(await connect("facts", "--check")).not.toMatch(/FAILED|whsec_/);
  });

  it("checks a connection that was made by hand with a key only", async () => {
    store("facts", { signingKeys: [`whsec_${Buffer.alloc(24, 7).toString("base64")}`] });
    expect(await connect("facts", "--check")).toMatch(/ok +delivery /);
    store("facts", { signingKeys: ["no standard key"] });
    expect(await connect("facts", "--check")).toMatch(/FAILED +secret .*\n.*signingKeys: must be whsec_/);
  });

  it("rotates both, and accepts the former ones until they are dropped", async () => {
    const [token, key] = keysIn(await connect("facts"));
    const [newToken, newKey] = keysIn(await connect("facts", "--rotate"));
    expect(secretOf("facts")).toEqual({ bearerTokens: [newToken, token], signingKeys: [newKey, key] });
    expect(await connect("facts", "--rotate")).toMatch(/FAILED: former ones are still valid/);
    expect(await connect("facts", "--drop-former")).not.toContain("FAILED");
    expect(secretOf("facts")).toEqual({ bearerTokens: [newToken], signingKeys: [newKey] });
    expect(await connect("facts", "--drop-former")).toContain("There is no former token or key.");
    expect(await connect("facts", "--remove")).not.toContain("FAILED");
    expect(await connect("facts", "--check")).toMatch(/FAILED +secret /);
  });
});

describe("event types of Cal.com's teams", () => {
  beforeEach(() => {
    const types = (id: number, title: string, schedulingType: string) => [{ id, title, schedulingType }];
    calcom.eventTypes = [];
    Object.assign(calcom.teamEventTypes, {
      "/v2/teams/12/event-types": [...types(31, "Round", "roundRobin"), ...types(32, "Template", "MANAGED")],
      "/v2/organizations/7/teams/event-types": [
        ...types(31, "Round", "roundRobin"),
        ...types(33, "Panel", "collective"),
      ],
    });
  });

  it("can be offered, those of an organization as well, although the user has none", async () => {
    const printed = await connect("calcom");
    expect(printed).toMatch(/--event-type and one of:\n +31 {2}Round$/m);
    expect(printed).not.toMatch(/Panel|Template/);
    expect(await connect("calcom", "--event-type", "round")).not.toContain("FAILED");
    expect(secretOf("calcom").eventType).toBe("31");
    stage.secrets.delete(secretName("calcom"));
    expect(await connect("calcom", "--scope", "organization", "--event-type", "panel")).not.toContain("FAILED");
    expect(secretOf("calcom").eventType).toBe("33");
  });

  it("twin: without teams, there is none", async () => {
    for (const path of Object.keys(calcom.teamEventTypes)) delete calcom.teamEventTypes[path];
    expect(await connect("calcom")).toContain("The account has no active event type.");
  });
});

describe("connect needs", () => {
  it("a stage with webhooks, and says how to get it", async () => {
    stage.outputs = {};
    expect(await connect("calendly")).toMatch(/FAILED: the stack backstop-dev has no webhooks: add "webhooks": \{\}/);
  });

  it("one workspace, and lists them", async () => {
    expect(await connect("facts", "--workspace", "Nobody")).toMatch(
      /FAILED: refused .* there is no workspace "Nobody"/,
    );
  });

  it("the right to write the secret, and names the policy", async () => {
    stage.interrupt = () => "before";
    expect(await connect("calendly")).toMatch(/FAILED: .* lack a permission .*infra\/policies\/connect\.json/);
  });
});
