import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, expect, it } from "@jest/globals";
import * as z from "zod";
import { type Crm, webhookReceiver } from "../../events/webhook-receiver.ts";
import { webhookChannel, webhookPayload } from "../../lib/channels/webhook.ts";
import { perChannel } from "../../lib/domain/labels.ts";
import { answering, closeServers, httpServer } from "../channels/servers.ts";
import { endpointAt, SECRET } from "../channels/webhook-endpoint.ts";
import { addInstance, addLead, addSequence, addWorkspace } from "../support/factories.ts";
import { clockAt, useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });

interface Note {
  readonly record: readonly (string | null)[];
  readonly title: string;
  readonly text: string;
}
const notes: Note[] = [];
let addNote: Crm["addNote"];

beforeEach(() => {
  notes.length = 0;
  addNote = async (record, note) => void notes.push({ record, ...note });
});
afterEach(closeServers);

/** A run whose webhooks go to the port. */
const runTo = (port: number, now: Date) =>
  runner.run({}, { channels: perChannel(() => webhookChannel(endpointAt(port))), ...clockAt(now) });

async function withReceiver(test: (port: number) => Promise<void>): Promise<void> {
  const server = webhookReceiver(SECRET, { addNote: (...note) => addNote(...note) }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await test((server.address() as AddressInfo).port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** One due webhook. */
async function addDueWebhook() {
  const workspaceId = await addWorkspace(sql, { name: "Harbour Homes" });
  const steps = [
    { key: "hello", channel: "email" },
    { key: "nudge", channel: "webhook", subject: "For {{ lead.first_name }}", body: "Still of interest?" },
  ];
  const sequence = await addSequence(sql, workspaceId, { name: "No answer yet", steps });
  const lead = await addLead(sql, workspaceId, { external_id: "crm-17", email: "ada@example.test", phone: null });
  await addInstance(sql, lead, sequence.id, { position: 2 });
  return { workspaceId, sequence, lead };
}

const touches = async () => (await sql.query("select status::text, reason, attempts from touch")).rows;
const NOW = new Date();
const minutesLater = (minutes: number) => new Date(NOW.getTime() + minutes * 60_000);

it("files one note on the right record from the payload alone", async () => {
  await addDueWebhook();
  await withReceiver(async (port) => {
    expect(await runTo(port, NOW)).toMatchObject({ success: true, results: { delivery: { sent: 1 } } });
  });
  const record = ["crm-17", "ada@example.test", null];
  const title = "For Ada (Harbour Homes: No answer yet, step 2)";
  expect(notes).toEqual([{ record, title, text: "Still of interest?" }]);
});

it("gets the touch again while an attempt is in progress, and files no second note", async () => {
  await addDueWebhook();
  await withReceiver(async (port) => {
    let finish = () => undefined as unknown;
    const filing = new Promise<void>((resolve) => (finish = resolve));
    addNote = (record, note) => filing.then(() => void notes.push({ record, ...note }));
    const channel = webhookChannel(endpointAt(port), 200);
    const run = (now: Date) => runner.run({}, { channels: perChannel(() => channel), ...clockAt(now) });
    await run(NOW);
    expect(await touches()).toMatchObject([{ status: "claimed", reason: "webhook_no_answer" }]);
    await run(minutesLater(2));
    expect(await touches()).toMatchObject([{ status: "claimed", reason: "webhook_409" }]);
    finish();
    await filing;
    await run(minutesLater(10));
    expect(await touches()).toMatchObject([{ status: "sent", reason: null }]);
  });
  expect(notes).toHaveLength(1);
});

it("gets the touch again after a failure of the CRM", async () => {
  await addDueWebhook();
  await withReceiver(async (port) => {
    const works = addNote;
    addNote = () => Promise.reject(new Error("the CRM is down"));
    await runTo(port, NOW);
    expect(await touches()).toMatchObject([{ status: "claimed", reason: "webhook_503" }]);
    addNote = works;
    await runTo(port, minutesLater(2));
  });
  expect(notes).toHaveLength(1);
});

it("survives a request that breaks off", async () => {
  await addDueWebhook();
  await withReceiver(async (port) => {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.end("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
    await once(socket.resume(), "close");
    await runTo(port, NOW);
  });
  expect(notes).toHaveLength(1);
});

it("refuses a touch with another signature", async () => {
  await addDueWebhook();
  await withReceiver(async (port) => {
    const secret = () => Promise.resolve(`whsec_${Buffer.alloc(24, 8).toString("base64")}`);
    const channel = webhookChannel(endpointAt(port, { secret }));
    await runner.run({}, { channels: perChannel(() => channel) });
  });
  expect(await touches()).toMatchObject([{ status: "claimed", reason: "webhook_401" }]);
  expect(notes).toEqual([]);
});

it("the payload has all details, matches the published schema, and counts its attempts", async () => {
  const { workspaceId, sequence, lead } = await addDueWebhook();
  const busy = await httpServer(answering(408));
  await runTo(busy.port, NOW);
  const { port, requests } = await httpServer(answering(204));
  await runTo(port, minutesLater(2));
  const [first, second] = [busy, { requests }].map(({ requests: [request] }) => JSON.parse(request?.body ?? ""));
  expect(first.data).toMatchObject({ attempt: 1 });
  expect(second.data).toEqual({
    touchId: first.data.touchId,
    attempt: 2,
    workspaceId,
    workspaceName: "Harbour Homes",
    leadId: lead,
    lead: expect.objectContaining({ externalId: "crm-17", email: "ada@example.test", firstName: "Ada", phone: null }),
    sequence: { id: sequence.id, name: "No answer yet" },
    step: { key: "nudge", position: 2 },
    subject: "For Ada",
    body: "Still of interest?",
  });
  expect(webhookPayload.parse(second)).toEqual(second);
  const published = JSON.parse(await readFile(new URL("../../docs/webhook.schema.json", import.meta.url), "utf8"));
  expect(z.fromJSONSchema(published).safeParse(second)).toMatchObject({ success: true });
  delete second.data.lead.externalId;
  expect(z.fromJSONSchema(published).safeParse(second)).toMatchObject({ success: false });
});

it("the documented example has the keys of the schema, and no others", async () => {
  const example = JSON.parse(await readFile(new URL("../../events/webhook/touch.due.json", import.meta.url), "utf8"));
  expect(webhookPayload.safeParse(example)).toMatchObject({ success: true });
  const { lead } = webhookPayload.shape.data.shape;
  expect(Object.keys(example.data)).toEqual(Object.keys(webhookPayload.shape.data.shape));
  expect(Object.keys(example.data.lead)).toEqual(Object.keys(lead.shape));
});

it("e-mails carry no details", async () => {
  const workspaceId = await addWorkspace(sql);
  const sequence = await addSequence(sql, workspaceId);
  await addInstance(sql, await addLead(sql, workspaceId), sequence.id);
  await runner.run();
  expect(runner.channel.sent).toMatchObject([{ channel: "email" }]);
  expect(runner.channel.sent[0]).not.toHaveProperty("details");
});
