import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "@jest/globals";
import { smtpChannel } from "../../lib/channels/smtp.ts";
import { webhookChannel } from "../../lib/channels/webhook.ts";
import type { MessageChannel } from "../../lib/run/channel-ports.ts";
import { deliverMessages } from "../../lib/run/deliver-messages.ts";
import { answering, closeServers, deadPort, httpServer, SILENCES, smtpServer, tcpServer } from "../channels/servers.ts";
import { endpointAt } from "../channels/webhook-endpoint.ts";
import { addFollowedLead, addSequence, addWorkspace, type Columns } from "../support/factories.ts";
import { long } from "../support/long.ts";
import { type Changes, clockAt, SETTINGS, useRunner } from "../support/run.ts";
import { type OpenTransaction, openTransaction } from "../support/transactions.ts";

const NOW = Date.UTC(2030, 0, 7, 9);
const HOUR_MS = 60 * 60_000;

const { sql, runner } = await useRunner({ empty: true });

afterEach(closeServers);

/** Adds a workspace with leads whose only step is due. */
async function addDue(count: number, step: Columns, workspace: Columns = {}): Promise<string> {
  const workspaceId = await addWorkspace(sql, workspace);
  const { id } = await addSequence(sql, workspaceId, { steps: [step] });
  for (let number = 0; number < count; number++) await addFollowedLead(sql, workspaceId, id);
  return workspaceId;
}

function runThrough(provider: MessageChannel, hours = 0, changes: Changes = {}) {
  const now = new Date(NOW + hours * HOUR_MS);
  const channels = { ...runner.ports.channels, email: provider, webhook: provider };
  return runner.run({}, { ...clockAt(now), channels, ...changes });
}

async function touchesOf(workspaceId: string) {
  const { rows } = await sql.query(
    "select status, failures, attempts, count(*)::int from touch where workspace_id = $1 group by 1, 2, 3 order by touch.status::text",
    [workspaceId],
  );
  return rows;
}

const smtpAt = (port: number) => smtpChannel(`smtp://127.0.0.1:${port}`);
const webhookAt = (port: number) => webhookChannel(endpointAt(port));
const refusingSenders = (code: number, refuses: (address: string) => boolean = () => true) => {
  const asked: string[] = [];
  const opened = smtpServer({
    onMailFrom: ({ address }, _session, callback) => {
      asked.push(address);
      callback(refuses(address) ? Object.assign(new Error("no"), { responseCode: code }) : undefined);
    },
  });
  return { asked, opened };
};

const UNTOUCHED = { status: "claimed", failures: 0, attempts: 0 };

describe("a channel that takes nothing", () => {
  type Broken = () => Promise<{ provider: MessageChannel; asked: () => number }>;
  const overSmtp = async (code: number) => {
    const { asked, opened } = refusingSenders(code);
    return { provider: smtpAt((await opened).port), asked: () => asked.length };
  };
  const greeting = async (text: string) => {
    let connections = 0;
    const port = await tcpServer((socket) => {
      connections += 1;
      socket.end(text);
    });
    return { provider: smtpAt(port), asked: () => connections };
  };
  const overHttp = async (answer: (response: ServerResponse) => void) => {
    const { port, requests } = await httpServer(answer);
    return { provider: webhookAt(port), asked: () => requests.length };
  };

  long.it.each<[string, "email" | "webhook", string, Broken]>([
    ["SMTP wants a login", "email", "smtp_530", () => overSmtp(530)],
    ["SMTP refuses every sender", "email", "smtp_550", () => overSmtp(550)],
    ["SMTP greets with 554", "email", "smtp_554", () => greeting("554 no service\r\n")],
    ["SMTP greets with 421", "email", "smtp_421", () => greeting("421 closing\r\n")],
    [
      "SMTP is not there",
      "email",
      "smtp_econnrefused",
      async () => ({ provider: smtpAt(await deadPort()), asked: () => 0 }),
    ],
    [
      "the webhook is not there",
      "webhook",
      "webhook_econnrefused",
      async () => ({ provider: webhookAt(await deadPort()), asked: () => 0 }),
    ],
    ["the webhook answers 404", "webhook", "webhook_404", () => overHttp(answering(404))],
    ["the webhook answers 401", "webhook", "webhook_401", () => overHttp(answering(401))],
    ["the webhook answers 403", "webhook", "webhook_403", () => overHttp(answering(403))],
    ["the webhook answers 410", "webhook", "webhook_410", () => overHttp(answering(410))],
    ["the webhook answers 500", "webhook", "webhook_500", () => overHttp(answering(500))],
    ["the webhook cuts the connection", "webhook", "webhook_econnreset", () => overHttp(SILENCES.cuts)],
  ])(
    "fails the run by name, asks a few times, and costs no touch anything: %s",
    async (_what, channel, reason, open) => {
      const workspaceId = await addDue(60, { channel });
      const { provider, asked } = await open();
      const report = await runThrough(provider);
      expect(report.errors).toEqual([`channel ${channel}: takes nothing (${reason}); its touches wait`]);
      expect(report).toMatchObject({
        success: false,
        statusCode: 500,
        channelFaults: [{ channel, workspaceId: null, reason }],
        results: { due: 10, claimed: 10, delivery: { retrying: 10, failed: 0, unknown: 0 } },
      });
      // One call per send in flight, and a second one where the connection is retried.
      expect(asked()).toBeLessThanOrEqual(2 * SETTINGS.sendsAtOnce);
      // The rest is not claimed.
      expect(report.results?.backlog).toBeGreaterThanOrEqual(50);
      expect(await touchesOf(workspaceId)).toEqual([{ ...UNTOUCHED, count: SETTINGS.sendsAtOnce }]);
    },
  );

  it.each([1, 3])("fails the run even if only %i touches are due", async (count) => {
    const workspaceId = await addDue(count, { channel: "webhook" });
    const { port } = await httpServer(answering(404));
    expect(await runThrough(webhookAt(port))).toMatchObject({
      success: false,
      channelFaults: [{ channel: "webhook", workspaceId: null }],
    });
    expect(await touchesOf(workspaceId)).toEqual([{ ...UNTOUCHED, count }]);
  });

  long.it("can last for days, is tried again by each run, and clears by itself", async () => {
    const workspaceId = await addDue(30, { channel: "email" });
    const broken = refusingSenders(530);
    const { port } = await broken.opened;
    for (let hours = 0; hours < 60; hours += 6) expect((await runThrough(smtpAt(port), hours)).success).toBe(false);
    expect(broken.asked.length).toBeGreaterThanOrEqual(10);
    expect(await touchesOf(workspaceId)).toEqual([{ ...UNTOUCHED, count: SETTINGS.sendsAtOnce }]);
    const mended = await smtpServer({});
    const report = await runThrough(smtpAt(mended.port), 61);
    expect(report).toMatchObject({
      success: true,
      channelFaults: [],
      recovered: { delivery: { sent: 10 } },
      results: { delivery: { sent: 20 } },
    });
    expect(await touchesOf(workspaceId)).toEqual([{ status: "sent", failures: 0, attempts: 1, count: 30 }]);
    expect(mended.mails).toHaveLength(30);
  });

  it("does not send a touch after its time to live", async () => {
    const workspaceId = await addDue(15, { channel: "email", time_to_live_minutes: 90 });
    await sql.query("update follow_up_instance set next_step_due = $1", [new Date(NOW)]);
    const provider = smtpAt(await deadPort());
    await runThrough(provider);
    await runThrough(provider, 1);
    expect(await touchesOf(workspaceId)).toEqual([{ ...UNTOUCHED, count: 10 }]);
    expect((await runThrough(provider, 2)).results).toMatchObject({ expired: 5, claimed: 0 });
    expect(await touchesOf(workspaceId)).toEqual([{ status: "expired", failures: 0, attempts: 0, count: 10 }]);
  });

  it("does not block another channel", async () => {
    await addDue(20, { channel: "email" });
    await addDue(20, { channel: "webhook" });
    const { port } = await httpServer(answering(200));
    const channels = { ...runner.ports.channels, email: smtpAt(await deadPort()), webhook: webhookAt(port) };
    const report = await runThrough(channels.webhook, 0, { channels });
    expect(report.channelFaults).toEqual([{ channel: "email", workspaceId: null, reason: "smtp_econnrefused" }]);
    expect(report.results?.delivery).toMatchObject({ sent: 20, retrying: 20 });
  });

  it("is named by the function that delivers from the queue, too", async () => {
    const workspaceId = await addDue(20, { channel: "email" });
    const enqueued: string[] = [];
    const queue = {
      enqueue: (ids: readonly string[]) => {
        enqueued.push(...ids);
        return Promise.resolve({ refused: [], faults: [] });
      },
    };
    const provider = smtpAt(await deadPort());
    expect((await runThrough(provider, 0, { queue })).success).toBe(true);
    const message = { messageId: "m", body: JSON.stringify({ touchIds: enqueued }) };
    const ports = { ...runner.ports, channels: { ...runner.ports.channels, email: provider } };
    const now = () => Promise.resolve(new Date(NOW));
    const done = await deliverMessages([message], { remainingMs: () => 60_000 }, { ...ports, now }, SETTINGS);
    expect(done).toMatchObject({
      failedMessageIds: [],
      delivery: { retrying: 20 },
      channelFaults: [{ channel: "email", workspaceId: null, reason: "smtp_econnrefused" }],
    });
    expect(await touchesOf(workspaceId)).toEqual([{ ...UNTOUCHED, count: 20 }]);
  });
});

describe("a provider that takes nothing of one workspace", () => {
  const SENDER = { email_from: "Barred <barred@north.test>" };
  const isBarred = (address: string) => address === "barred@north.test";

  it("is named with that workspace, serves the others, and does not fail the run", async () => {
    const barred = await addDue(40, { channel: "email" }, SENDER);
    const healthy = await addDue(40, { channel: "email" });
    const { asked, opened } = refusingSenders(550, isBarred);
    const report = await runThrough(smtpAt((await opened).port));
    expect(report).toMatchObject({
      success: true,
      errors: [],
      channelFaults: [{ channel: "email", workspaceId: barred, reason: "smtp_550" }],
      results: { delivery: { sent: 40, retrying: 40 } },
    });
    expect(await touchesOf(healthy)).toEqual([{ status: "sent", failures: 0, attempts: 1, count: 40 }]);
    expect(await touchesOf(barred)).toEqual([{ ...UNTOUCHED, count: 40 }]);
    expect(asked.filter(isBarred).length).toBeLessThanOrEqual(2 * SETTINGS.sendsAtOnce);
  });

  it("takes its messages again once the sender is in order", async () => {
    const barred = await addDue(10, { channel: "email" }, SENDER);
    const { port } = await refusingSenders(550, isBarred).opened;
    await runThrough(smtpAt(port));
    await sql.query("update workspace set email_from = 'Fine <fine@north.test>' where id = $1", [barred]);
    expect(await runThrough(smtpAt(port), 1)).toMatchObject({ success: true, channelFaults: [] });
    expect(await touchesOf(barred)).toEqual([{ status: "sent", failures: 0, attempts: 1, count: 10 }]);
  });
});

describe("a provider that takes nothing from the own sender of some leads", () => {
  const isBarred = (address: string) => address === "barred@north.test";

  it("delays only the e-mails of these leads, fails none, and serves them once their sender is in order", async () => {
    const workspaceId = await addDue(20, { channel: "email" });
    const healthy = await addDue(20, { channel: "email" });
    await sql.query(
      `update lead set sender_email = 'barred@north.test'
        where id in (select id from lead where workspace_id = $1 order by id limit 15)`,
      [workspaceId],
    );
    const { asked, opened } = refusingSenders(550, isBarred);
    const { port } = await opened;
    const report = await runThrough(smtpAt(port));
    expect(report).toMatchObject({
      success: true,
      channelFaults: [{ channel: "email", workspaceId, reason: "smtp_550", ofLeadSender: true }],
      results: { delivery: { sent: 25, retrying: 15 } },
    });
    expect(asked.filter(isBarred).length).toBeLessThanOrEqual(2 * SETTINGS.sendsAtOnce);
    expect(await touchesOf(healthy)).toEqual([{ status: "sent", failures: 0, attempts: 1, count: 20 }]);
    expect(await touchesOf(workspaceId)).toEqual([
      { ...UNTOUCHED, count: 15 },
      { status: "sent", failures: 0, attempts: 1, count: 5 },
    ]);
    await sql.query("update lead set sender_email = 'fine@north.test' where sender_email is not null");
    expect(await runThrough(smtpAt(port), 0.4)).toMatchObject({ recovered: { delivery: { sent: 0 } } });
    expect(await runThrough(smtpAt(port), 1)).toMatchObject({ success: true, channelFaults: [] });
    expect(await touchesOf(workspaceId)).toEqual([{ status: "sent", failures: 0, attempts: 1, count: 20 }]);
  });
});

describe("an answer that may be about the channel or about one touch", () => {
  it.each<[string, (response: ServerResponse) => void, string]>([
    ["was lost, so that the touch may have arrived", SILENCES.cuts, "unknown"],
    ["says that the touch was not taken", answering(404), "cancelled"],
  ])("%s: a stop then records it as such", async (_what, answer, status) => {
    const workspaceId = await addDue(1, { channel: "webhook" });
    const { port } = await httpServer(answer);
    await runThrough(webhookAt(port));
    await sql.query("update lead set status = 'meeting-booked' where workspace_id = $1", [workspaceId]);
    await runThrough(webhookAt(port), 1);
    expect(await touchesOf(workspaceId)).toEqual([{ ...UNTOUCHED, status, count: 1 }]);
  });

  it("concerns the touch if the receiver accepts the others", async () => {
    const workspaceId = await addDue(30, { channel: "webhook" });
    const server = await httpServer((response) => answering(server.requests.length === 5 ? 404 : 200)(response));
    const report = await runThrough(webhookAt(server.port), 0, { settings: { sendsAtOnce: 1 } });
    expect(report).toMatchObject({ success: true, channelFaults: [], results: { delivery: { sent: 29, failed: 1 } } });
    expect(await touchesOf(workspaceId)).toEqual([
      { status: "failed", failures: 0, attempts: 1, count: 1 },
      { status: "sent", failures: 0, attempts: 1, count: 29 },
    ]);
  });

  it("does not let a few rejected touches block the touches behind them", async () => {
    const workspaceId = await addDue(60, { channel: "webhook" });
    const poisoned = new Set<unknown>();
    const server = await httpServer((response) => {
      const touch = server.requests.at(-1)?.headers["webhook-id"];
      if (poisoned.size < 12) poisoned.add(touch);
      answering(poisoned.has(touch) ? 404 : 200)(response);
    });
    const settings = { sendsAtOnce: 1 };
    expect(await runThrough(webhookAt(server.port), 0, { settings })).toMatchObject({ success: false });
    await runThrough(webhookAt(server.port), 1, { settings });
    await runThrough(webhookAt(server.port), 2, { settings });
    const settled = await touchesOf(workspaceId);
    expect(settled).toContainEqual({ status: "sent", failures: 0, attempts: 1, count: 48 });
  });
});

describe("a receiver's server that puts mails off", () => {
  const puttingOff = (code: number, text: string) =>
    smtpServer({
      onRcptTo: (_address, _session, callback) => callback(Object.assign(new Error(text), { responseCode: code })),
    });

  long.it("may do so for a day, at no cost; then the touch fails with the reason", async () => {
    const workspaceId = await addDue(1, { channel: "email" });
    const { port } = await puttingOff(450, "4.7.1 greylisted");
    for (let hours = 0; hours < 24; hours++) {
      expect(await runThrough(smtpAt(port), hours)).toMatchObject({ success: true });
      expect(await touchesOf(workspaceId)).toMatchObject([{ status: "claimed", failures: 0, count: 1 }]);
    }
    await runThrough(smtpAt(port), 24.5);
    const { rows } = await sql.query("select status, reason from touch");
    expect(rows).toEqual([{ status: "failed", reason: "smtp_450_4_7_1" }]);
  });

  long.it("does not fail touches, unlike a throttling provider", async () => {
    const workspaceId = await addDue(1, { channel: "email" });
    const { port } = await puttingOff(454, "Throttling failure: Maximum sending rate exceeded.");
    for (let hours = 0; hours < 72; hours += 2) await runThrough(smtpAt(port), hours);
    expect(await touchesOf(workspaceId)).toEqual([{ status: "claimed", failures: 0, attempts: 36, count: 1 }]);
    const taking = await smtpServer({});
    await runThrough(smtpAt(taking.port), 74);
    expect(await touchesOf(workspaceId)).toMatchObject([{ status: "sent", failures: 0 }]);
  });

  it("ends the sending of a run if it asks for more time than the run has", async () => {
    const workspaceId = await addDue(50, { channel: "email" });
    let asked = 0;
    const { port } = await smtpServer({
      onRcptTo: (_address, _session, callback) => {
        asked += 1;
        const text = "Throttling failure: Daily message quota exceeded.";
        callback(Object.assign(new Error(text), { responseCode: 454 }));
      },
    });
    const report = await runThrough(smtpAt(port));
    expect(report).toMatchObject({ success: true, results: { delivery: { retrying: 10 }, backlog: 40 } });
    expect(asked).toBeLessThanOrEqual(SETTINGS.sendsAtOnce);
    expect((await touchesOf(workspaceId)).map(({ status, failures }) => [status, failures])).toEqual([["claimed", 0]]);
  });
});

describe("a receiver that nothing can reach", () => {
  const refusing = (code: number, text: string) =>
    smtpServer({
      onRcptTo: ({ address }, _session, callback) =>
        callback(address.startsWith("gone@") ? Object.assign(new Error(text), { responseCode: code }) : undefined),
    });

  async function addTwoSteps(): Promise<string> {
    const workspaceId = await addWorkspace(sql);
    const { id } = await addSequence(sql, workspaceId, { steps: [{}, { delay_minutes: 60 }] });
    await addFollowedLead(sql, workspaceId, id, { lead: { email: "gone@north.test" } });
    return workspaceId;
  }

  it("gets no further mail, and its sequence continues", async () => {
    const workspaceId = await addTwoSteps();
    const { port, mails } = await refusing(550, "5.1.1 no such mailbox");
    await runThrough(smtpAt(port));
    const { rows } = await sql.query("select reason, kind, source from suppression where workspace_id = $1", [
      workspaceId,
    ]);
    expect(rows).toEqual([{ reason: "undeliverable", kind: "email", source: "provider" }]);
    await addFollowedLead(sql, workspaceId, (await addSequence(sql, workspaceId)).id, {
      lead: { email: "Gone@north.test" },
    });
    const report = await runThrough(smtpAt(port), 24 * 40);
    expect(report.results).toMatchObject({ reasons: { undeliverable_address: 2 } });
    expect(mails).toEqual([]);
  });

  it("differs from a receiver whose server rejects a mail", async () => {
    const workspaceId = await addTwoSteps();
    const { port } = await refusing(550, "5.2.2 mailbox full");
    await runThrough(smtpAt(port));
    const { rows } = await sql.query("select from suppression where workspace_id = $1", [workspaceId]);
    expect(rows).toEqual([]);
    expect((await runThrough(smtpAt(port), 24 * 40)).results).toMatchObject({ claimed: 1 });
  });

  long.it("does not delay a settlement if another transaction has locked the lead", async () => {
    const workspaceId = await addTwoSteps();
    const { port } = await refusing(550, "5.1.1 no such mailbox");
    const provider = smtpAt(port);
    let holder: OpenTransaction | undefined;
    const held: MessageChannel = {
      async send(touch) {
        holder ??= await openTransaction(sql);
        await holder.query("select from lead where workspace_id = $1 for update", [workspaceId]);
        return provider.send(touch);
      },
    };
    expect(await runThrough(held)).toMatchObject({ success: true, results: { delivery: { failed: 1 } } });
    await holder?.rollback();
    expect((await sql.query("select from suppression where workspace_id = $1", [workspaceId])).rowCount).toBe(0);
  });
});

describe("a digest by an e-mail channel that takes nothing", () => {
  it("waits, uses up no attempt, and is sent when the channel takes mails again", async () => {
    const columns = { time_zone: "Europe/Berlin", digest_time: "08:00", digest_email: "sales@harbour.test" };
    const workspaceId = await addWorkspace(sql, columns);
    await runner.run({}, clockAt("2030-06-02T18:00Z"));
    await sql.query(
      "insert into notification_event (workspace_id, kind, occurred_at) values ($1, 'backstop_completed', $2)",
      [workspaceId, new Date("2030-06-03T05:00Z")],
    );
    const digestsBy = (port: number) => ({ digests: { ...runner.ports.digests, email: smtpAt(port).digests } });
    const dead = await deadPort();
    for (const instant of ["2030-06-03T06:00Z", "2030-06-03T07:00Z", "2030-06-03T08:00Z"]) {
      const report = await runner.run({}, { ...clockAt(instant), ...digestsBy(dead) });
      expect(report).toMatchObject({ success: false, notificationDigests: { checked: 1, retrying: 1 } });
      expect(report.channelFaults).toEqual([{ channel: "email", workspaceId: null, reason: "smtp_econnrefused" }]);
    }
    const deliveries = () => sql.query("select status, attempts, failures from digest_delivery");
    expect((await deliveries()).rows).toEqual([{ status: "pending", attempts: 0, failures: 0 }]);
    const { port, mails } = await smtpServer({});
    expect(await runner.run({}, { ...clockAt("2030-06-03T09:00Z"), ...digestsBy(port) })).toMatchObject({
      success: true,
    });
    expect((await deliveries()).rows).toEqual([{ status: "sent", attempts: 1, failures: 0 }]);
    expect(mails).toHaveLength(1);
  });
});
