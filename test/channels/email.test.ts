import { readdir, readFile, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { PROVIDER_LIMITS } from "../../lib/channels/aws-request.ts";
import { fileChannel } from "../../lib/channels/outbox.ts";
import { sesChannel } from "../../lib/channels/ses.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { prepareAws } from "./aws.ts";
import { aTouch, type Behaviour, itKeepsTheContract, LATE_MS, NETWORK_BEHAVIOURS, SECRETS_OF_ADA } from "./contract.ts";
import { answering, closeServers, deadPort, httpServer, SILENCES, unansweredPort } from "./servers.ts";

beforeAll(prepareAws);
afterEach(closeServers);

type Answering = Exclude<Behaviour, "gone" | "unreachable">;

const unaddressed = { without: { email: null }, reason: "no_email" };
const touchOf = (mail: string): string => /^X-Backstop-Touch: (\S+)/im.exec(mail)?.[1] ?? "no touch";
const WORKSPACE = "0190f0f0-0000-7000-8000-000000000003";
const aDigest = {
  id: "0190f0f0-0000-7000-8000-000000000002",
  workspaceId: "workspace",
  channel: "email",
  failures: 0,
  from: "Northwind <hello@northwind.example>",
  to: null,
  contents: {
    workspaceName: "Northwind",
    sections: [
      {
        kind: "lead_replied",
        count: 1,
        examples: [
          { firstName: "<b>Ada</b>", lastName: null, company: null, channel: null, reason: null, detail: null },
        ],
      },
    ],
  },
} as const;

/** The real client, pointed at a local server with the AWS SDK's endpoint variable. */
function sesAt(port: number, limits = PROVIDER_LIMITS, configurationSet?: string) {
  process.env["AWS_ENDPOINT_URL_SESV2"] = `http://127.0.0.1:${port}`;
  return sesChannel({ limits, configurationSet });
}

const JSON_ANSWER = { "content-type": "application/json" };
const acceptedBySes = answering(200, JSON.stringify({ MessageId: "m-1" }), JSON_ANSWER);
const sesFault = (status: number, exception: string, text = "") =>
  answering(status, JSON.stringify({ message: `${text} ${SECRETS_OF_ADA}`.trim() }), {
    ...JSON_ANSWER,
    "x-amzn-errortype": exception,
  });

const SES_ANSWERS: Readonly<Record<Answering, (response: ServerResponse) => void>> = {
  ...SILENCES,
  accepts: acceptedBySes,
  refuses: sesFault(400, "MessageRejected"),
  "is down": sesFault(400, "SendingPausedException"),
  "is busy": sesFault(503, "ServiceUnavailable"),
  throttles: sesFault(429, "TooManyRequestsException"),
  late: (response) => setTimeout(() => acceptedBySes(response), LATE_MS).unref(),
};

/** The raw mail in a SendEmail request. */
const rawMailIn = (body: string): string => Buffer.from(JSON.parse(body).Content.Raw.Data, "base64").toString();

itKeepsTheContract({
  name: "e-mail through SES",
  channel: "email",
  behaviours: NETWORK_BEHAVIOURS,
  unaddressed,
  async open(behaviour, limits) {
    if (behaviour === "gone") return { channel: sesAt(await deadPort(), limits), taken: () => [] };
    if (behaviour === "unreachable") return { channel: sesAt(await unansweredPort(), limits), taken: () => [] };
    const { port, requests } = await httpServer(SES_ANSWERS[behaviour]);
    return { channel: sesAt(port, limits), taken: () => requests.map(({ body }) => touchOf(rawMailIn(body))) };
  },
});

describe("e-mail through SES", () => {
  const down = (scope: string) => ({ kind: "channel_down", scope });
  const slow = (retryAfterMs: number | null) => ({ kind: "retry", throttled: { retryAfterMs } });

  it.each([
    [400, "BadRequestException", "", { kind: "refused" }],
    [400, "MessageRejected", "", { kind: "refused" }],
    [400, "MessageRejected", "Address blacklisted.", { kind: "refused", undeliverable: true }],
    [400, "MessageRejected", "Email address is not verified. The following identities …", down("workspace")],
    [400, "MessageRejected", "Sending suspended for this account.", down("channel")],
    [400, "MailFromDomainNotVerifiedException", "", down("workspace")],
    [404, "NotFoundException", "Configuration set <x> does not exist.", down("workspace")],
    [400, "SendingPausedException", "", down("channel")],
    [400, "AccountSuspendedException", "", down("channel")],
    [403, "AccessDeniedException", "User … is not authorized to perform ses:SendEmail", down("workspace")],
    [403, "InvalidClientTokenId", "", down("channel")],
    [403, "SignatureDoesNotMatch", "", down("channel")],
    [400, "ExpiredTokenException", "", down("channel")],
    [403, "Whatever", "", down("channel")],
    [429, "TooManyRequestsException", "", slow(null)],
    [400, "ThrottlingException", "Maximum sending rate exceeded.", slow(null)],
    [400, "ThrottlingException", "Daily message quota exceeded.", slow(600_000)],
    [400, "LimitExceededException", "", slow(600_000)],
    [503, "ServiceUnavailable", "", { kind: "retry" }],
    [500, "InternalFailure", "", { kind: "unknown" }],
  ])("maps %i %s (%s) to %j", async (status, exception, text, expected) => {
    const { port, requests } = await httpServer(sesFault(status, exception, text));
    const reason = expect.stringMatching(new RegExp(`^ses_${status}_[a-z_]+$`));
    expect(await sesAt(port).send(aTouch())).toEqual({ ...expected, reason });
    expect(requests).toHaveLength(1);
  });

  it.each(["no address", "a@b, c@d", "Smith, Ann <a@b>", "a@b\r\nBcc: c@d"])(
    "sends nothing for a workspace whose sender is not one address: %j",
    async (from) => {
      const { port, requests } = await httpServer(acceptedBySes);
      const outcome = await sesAt(port).send(aTouch({ from }));
      expect(outcome).toEqual({ kind: "channel_down", scope: "workspace", reason: "invalid_sender" });
      expect(requests).toEqual([]);
    },
  );

  it("tags each mail with its touch and workspace, because SES replaces the Message-ID", async () => {
    const { port, requests } = await httpServer(acceptedBySes);
    await sesAt(port).send(aTouch({ workspaceId: WORKSPACE }));
    await sesAt(port).digests.send(aDigest, "sales@northwind.example");
    const sent = requests.map(({ body }) => JSON.parse(body));
    expect(sent.map(({ EmailTags }) => EmailTags)).toEqual([
      [
        { Name: "backstop-touch", Value: aTouch().id },
        { Name: "backstop-workspace", Value: WORKSPACE },
      ],
      [{ Name: "backstop-digest", Value: aDigest.id }],
    ]);
    for (const { EmailTags } of sent)
      for (const tag of EmailTags) expect(`${tag.Name}${tag.Value}`).toMatch(/^[A-Za-z0-9_-]{1,256}$/);
  });

  it("names the configuration set on each mail, and none if there is none", async () => {
    const { port, requests } = await httpServer(acceptedBySes);
    await sesAt(port, PROVIDER_LIMITS, "follow-ups").send(aTouch());
    await sesAt(port).send(aTouch());
    expect(requests.map(({ body }) => JSON.parse(body).ConfigurationSetName)).toEqual(["follow-ups", undefined]);
  });

  it("has an unknown outcome after a success without a message id", async () => {
    const { port } = await httpServer(answering(200, "{}", JSON_ANSWER));
    expect(await sesAt(port).send(aTouch())).toMatchObject({ kind: "unknown" });
  });
});

itKeepsTheContract({
  name: "e-mail as files",
  channel: "email",
  behaviours: ["accepts"],
  unaddressed,
  async open() {
    const outbox = await temporaryFolder();
    const taken = async () => (await readdir(outbox)).map((name) => name.replace(/\.eml$/, ""));
    return { channel: fileChannel(outbox), taken };
  },
});

describe("e-mail as files", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await temporaryFolder();
  });

  it("writes one complete mail per touch, even if it is sent repeatedly", async () => {
    const channel = fileChannel(join(directory, "deep", "outbox"));
    const outcome = await channel.send(aTouch());
    await channel.send(aTouch());
    expect(outcome).toEqual({ kind: "accepted", providerId: `<${aTouch().id}@northwind.example>` });
    expect(await readdir(join(directory, "deep", "outbox"))).toEqual([`${aTouch().id}.eml`]);
    const mail = await readFile(join(directory, "deep", "outbox", `${aTouch().id}.eml`), "utf8");
    expect(mail).toContain("To: ada@example.com");
    expect(mail).toContain(`Message-ID: <${aTouch().id}@northwind.example>`);
    expect(mail).toContain("Guten Tag, Ada");
  });

  it("refuses a lead without an address and writes nothing", async () => {
    const channel = fileChannel(directory);
    expect(await channel.send(aTouch({ email: null }))).toMatchObject({ kind: "refused", reason: "no_email" });
    expect(await readdir(directory)).toEqual([]);
  });

  it("cannot get a header through a line break in the subject", async () => {
    await fileChannel(directory).send(aTouch({ message: { subject: "Hi\r\nBcc: all@example.com", body: "x" } }));
    const mail = await readFile(join(directory, `${aTouch().id}.eml`), "utf8");
    expect(mail).not.toMatch(/^Bcc:/m);
  });

  it("writes a digest as text and HTML, with its delivery id and Auto-Submitted", async () => {
    const outcome = await fileChannel(directory).digests.send(aDigest, "sales@northwind.example");
    expect(outcome).toEqual({ kind: "accepted", providerId: `<${aDigest.id}@northwind.example>` });
    const mail = await readFile(join(directory, `${aDigest.id}.eml`), "utf8");
    for (const line of [
      "To: sales@northwind.example",
      `X-Backstop-Digest: ${aDigest.id}`,
      "Auto-Submitted: auto-generated",
      "Subject: Northwind: Replies of leads 1",
      "- <b>Ada</b>",
      "<li>&lt;b&gt;Ada&lt;/b&gt;</li>",
    ])
      expect(mail).toContain(line);
  });

  it("is a channel fault if the folder is not writable", async () => {
    await writeFile(join(directory, "a-file"), "");
    const channel = fileChannel(join(directory, "a-file", "outbox"));
    const fault = { kind: "channel_down", scope: "channel", reason: "outbox_enotdir" };
    expect(await channel.send(aTouch())).toEqual(fault);
  });
});
