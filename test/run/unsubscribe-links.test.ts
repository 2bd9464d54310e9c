import { beforeEach, describe, expect, it } from "@jest/globals";
import { operatorOn } from "../../cli/operator.ts";
import type { TranslatedFact } from "../../lib/inbound/translation.ts";
import { approve, showApproval } from "../../lib/operate/approvals.ts";
import { eraseLead } from "../../lib/operate/erase-lead.ts";
import { exportLead } from "../../lib/operate/export-lead.ts";
import { unsubscribeKeysOf, unsubscribeLinksOf } from "../../lib/platform/unsubscribe-links.ts";
import { answerRequest } from "../../lib/platform/webhook-routes.ts";
import { applyEvent, type EventOutcome } from "../../lib/run/apply-messages.ts";
import { deliverMessages } from "../../lib/run/deliver-messages.ts";
import { intakeStore } from "../../lib/store/facts/apply-fact.ts";
import { retryFailed } from "../../lib/store/settle-by-hand.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addFollowedLead, addSequence, addWorkspace, type Columns } from "../support/factories.ts";
import { bodyOf, tell } from "../support/facts.ts";
import { clockAt, leftClaimed, SETTINGS, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });
const settings = { UNSUBSCRIBE_BASE_URL: "https://links.example.test", UNSUBSCRIBE_KEY: "k".repeat(32) };
const unsubscribeLinks = unsubscribeLinksOf({
  ...settings,
  EMAIL_UNSUBSCRIBE_URL: undefined,
  UNSUBSCRIBE_SECRET_ARN: undefined,
});
const LINK = /https:\/\/links\.example\.test\/unsubscribe\/([\w-]{65})/;
const RAW = /[\u{fdd0}\u{fdd1}]/u;

let workspaceId: string;
beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
});

/** Adds leads in a sequence with one step. */
async function addDue(step: Columns, leads: readonly Columns[] = [{}]) {
  const { id } = await addSequence(sql, workspaceId, { steps: [step] });
  const added = [];
  for (const lead of leads) added.push((await addFollowedLead(sql, workspaceId, id, { lead })).leadId);
  return added;
}

const touches = async () =>
  (
    await sql.query("select id, status::text, reason, attempts, body from touch where workspace_id = $1 order by id", [
      workspaceId,
    ])
  ).rows;

const GOODBYE = { channel: "sms", subject: null, body: "Stop: {{ unsubscribe_url }}" };

describe("a text with {{ unsubscribe_url }}", () => {
  it.each(["email", "sms", "webhook", "task"])("goes out with the link of its own touch: %s", async (channel) => {
    await addDue({ channel, subject: "Bye", body: GOODBYE.body }, [{}, {}]);
    await runner.run({}, { unsubscribeLinks });
    expect(runner.channel.sent).toHaveLength(2);
    for (const touch of runner.channel.sent) {
      expect(touch.message.body).toBe(`Stop: ${await unsubscribeLinks?.linkFor(touch)}`);
    }
    expect(new Set(runner.channel.sent.map(({ message }) => message.body)).size).toBe(2);
  });

  it("goes out with the link from the delivery queue, too", async () => {
    await addDue(GOODBYE);
    const store = leftClaimed(runner.ports.store);
    const queue = { enqueue: () => Promise.resolve({ refused: [], faults: [] }) };
    await runner.run({}, { unsubscribeLinks, store, queue });
    const [touch] = await touches();
    const body = JSON.stringify({ touchIds: [touch.id] });
    const ports = { ...runner.ports, unsubscribeLinks };
    await deliverMessages([{ messageId: "1", body }], { remainingMs: () => 60_000 }, ports, SETTINGS);
    expect(runner.channel.sent.map(({ message }) => message.body)).toEqual([expect.stringMatching(LINK)]);
  });

  it("is refused without links, and goes out once there are some and a person retries it", async () => {
    await addDue(GOODBYE);
    await addDue({ ...GOODBYE, body: "No link here" });
    await runner.run();
    expect(runner.channel.sent.map(({ message }) => message.body)).toEqual(["No link here"]);
    expect(await touches()).toContainEqual(
      expect.objectContaining({ status: "failed", reason: "no_unsubscribe_link" }),
    );
    const failure = {
      workspaceId,
      failure: "no_unsubscribe_link",
      since: null,
      until: null,
      now: new Date(),
      limit: 10,
      orderId: null,
    };
    expect(await retryFailed(onPool(sql), failure)).toBe(1);
    await runner.run({}, { unsubscribeLinks, ...clockAt(Date.now() + 25 * 3_600_000) });
    expect(runner.channel.sent.at(-1)?.message.body).toMatch(LINK);
  });

  it("cannot be taken from a lead's value", async () => {
    const company = "\u{fdd0}unsubscribe_url\u{fdd1}";
    await addDue({ ...GOODBYE, body: "Hi {{ lead.company }}" }, [{ company }]);
    await runner.run({}, { unsubscribeLinks });
    expect(runner.channel.sent.map(({ message }) => message.body)).toEqual(["Hi unsubscribe_url\u{fdd1}"]);
  });

  it("is readable where people see it before it is sent, and is approved as it is stored", async () => {
    const [lead = ""] = await addDue({ ...GOODBYE, needs_approval: true });
    await runner.run({}, { unsubscribeLinks });
    const [{ id: touch, body }] = await touches();
    expect(body).toMatch(RAW);
    const operator = operatorOn(sql);
    const shown = await operator.ask(showApproval, { touch });
    expect(shown.body).toBe("Stop: [unsubscribe link]");
    const exported = await operator.ask(exportLead, { lead, from: { table: "touch", after: "" } });
    expect(exported.rows).toEqual([expect.objectContaining({ id: touch, body: "Stop: [unsubscribe link]" })]);
    const { fingerprint } = shown;
    await operator.order(approve, { touch, fingerprint }, { by: "Hana", reason: "reads well" });
    await runner.run({}, { unsubscribeLinks });
    expect(runner.channel.sent.map(({ message }) => message.body)).toEqual([expect.stringMatching(LINK)]);
  });
});

describe("a mail", () => {
  it("always has its link for the header; other messages only if their text has it", async () => {
    await addDue({ body: "Hello" });
    await addDue({ channel: "sms", subject: null, body: "Hello" });
    expect((await runner.run({}, { unsubscribeLinks })).unsubscribeLinks).toBe(true);
    const links = runner.channel.sent.map(({ channel, unsubscribeUrl }) => [channel, unsubscribeUrl]);
    expect(links).toContainEqual(["email", expect.stringMatching(LINK)]);
    expect(links).toContainEqual(["sms", undefined]);
  });

  it("waits while the key cannot be read, and uses no attempt", async () => {
    await addDue(
      { body: "Hello" },
      Array.from({ length: 3 }, () => ({})),
    );
    const failing = { linkFor: () => Promise.reject(new Error("swordfish")) };
    const { channelFaults, success } = await runner.run({}, { unsubscribeLinks: failing });
    expect({ success, channelFaults }).toMatchObject({
      success: false,
      channelFaults: [{ channel: "email", workspaceId: null, reason: "unsubscribe_key" }],
    });
    expect(runner.channel.sent).toEqual([]);
    expect(await touches()).toEqual(Array(3).fill(expect.objectContaining({ status: "claimed", attempts: 0 })));
    expect(JSON.stringify(runner.lines)).not.toContain("swordfish");
    await runner.run({}, { unsubscribeLinks, ...clockAt(Date.now() + 120_000) });
    expect(runner.channel.sent).toHaveLength(3);
  });
});

describe("a click on the link of a sent message", () => {
  let outcomes: EventOutcome[];
  beforeEach(() => {
    outcomes = [];
  });

  /** Requests a link and applies the facts that the bus accepted. */
  async function request(method: string, link: string) {
    const facts: TranslatedFact[] = [];
    const ports = {
      bus: {
        put(given: readonly TranslatedFact[]) {
          facts.push(...given);
          return Promise.resolve();
        },
      },
      secrets: () => Promise.resolve(undefined),
      unsubscribeKeys: unsubscribeKeysOf(settings),
      now: () => new Date(),
      log: { info: () => undefined, error: () => undefined },
    };
    const event = { rawPath: new URL(link).pathname, requestContext: { http: { method } } };
    const { answer } = await answerRequest(event, ports);
    const store = intakeStore({ pool: sql });
    for (const { type, detail } of facts) outcomes.push(...(await applyEvent(bodyOf(type, detail), store)));
    return answer.statusCode;
  }

  const optedOut = async (of: readonly string[]) =>
    (
      await sql.query<{ id: string }>("select id from lead where id = any($1) and opted_out_at is not null", [of])
    ).rows.map(({ id }) => id);

  it("opts out by POST and in its workspace only; a forged link and a GET change nothing", async () => {
    const address = { email: "same@example.test" };
    const [here = ""] = await addDue(GOODBYE, [address]);
    const first = workspaceId;
    workspaceId = await addWorkspace(sql);
    const [elsewhere = ""] = await addDue(GOODBYE, [address]);
    await runner.run({}, { unsubscribeLinks });
    const links = runner.channel.sent.map((touch) => ({
      of: touch.workspaceId,
      link: LINK.exec(touch.message.body)?.[0] ?? "",
    }));
    const link = links.find(({ of }) => of === first)?.link ?? "";
    const other = links.find(({ of }) => of === workspaceId)?.link ?? "";
    // The ids of one token with the signature of the other.
    const forged = link.slice(0, -22) + other.slice(-22);
    expect([await request("GET", link), await request("HEAD", link), await request("POST", forged)]).toEqual([
      200, 200, 404,
    ]);
    expect(await optedOut([here, elsewhere])).toEqual([]);
    expect([await request("POST", link), await request("POST", link)]).toEqual([200, 200]);
    expect(await optedOut([here, elsewhere])).toEqual([here]);
  });

  it("opts out the address that the message went to, also after the lead has another; and again after an opt-in", async () => {
    const [lead = ""] = await addDue({ body: GOODBYE.body }, [{ email: "old@example.test" }]);
    await runner.run({}, { unsubscribeLinks });
    const link = LINK.exec(runner.channel.sent[0]?.message.body ?? "")?.[0] ?? "";
    await sql.query("update lead set email = 'new@example.test' where id = $1", [lead]);
    await request("POST", link);
    const [later = ""] = await addDue({ body: "Hello" }, [{ email: "old@example.test" }]);
    await runner.run({}, { unsubscribeLinks });
    expect(runner.channel.sent).toHaveLength(1);
    const optIn = { workspaceId, eventId: "back", occurredAt: new Date().toISOString(), lead: { id: lead } };
    await tell(onPool(sql), "lead.opted_in", optIn);
    expect(await optedOut([lead])).toEqual([]);
    await request("POST", link);
    expect(await optedOut([lead])).toEqual([lead]);
    expect(later).not.toBe("");
  });

  it("is answered after the lead was erased, whose address stays suppressed, and waits for no person", async () => {
    const [lead = ""] = await addDue({ body: GOODBYE.body }, [{ email: "gone@example.test" }]);
    await runner.run({}, { unsubscribeLinks });
    const link = LINK.exec(runner.channel.sent[0]?.message.body ?? "")?.[0] ?? "";
    await operatorOn(sql).order(eraseLead, { lead }, { by: "Hana", reason: "request" });
    expect(await request("POST", link)).toBe(200);
    expect(outcomes).toEqual([{ outcome: "ignored", reason: "unknown_touch" }]);
    const warned = "select from notification_event where workspace_id = $1 and kind = 'fact_warned'";
    expect((await sql.query(warned, [workspaceId])).rows).toEqual([]);
    const [later = ""] = await addDue({ body: "Hello" }, [{ email: "gone@example.test" }]);
    await runner.run({}, { unsubscribeLinks });
    expect({ later, sent: runner.channel.sent.length }).toEqual({ later, sent: 1 });
  });
});
