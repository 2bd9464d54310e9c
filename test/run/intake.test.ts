import { setTimeout } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { FACT_SCHEMAS } from "../../lib/inbound/facts.ts";
import { parseEvent } from "../../lib/inbound/parse-event.ts";
import { loadIntakeConfig } from "../../lib/platform/config.ts";
import { wireIntake } from "../../lib/platform/wire-intake.ts";
import { applyMessages, type DeadLetterQueue, type IntakePorts } from "../../lib/run/apply-messages.ts";
import { DatabaseUnreachable, SchemaOutOfDate } from "../../lib/run/ports.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { intakeStore } from "../../lib/store/facts/apply-fact.ts";
import { atEnd } from "../support/at-end.ts";
import { addLead, addWorkspace, type Columns, rowsOf } from "../support/factories.ts";
import { aMeeting, bodyOf, hoursAgo } from "../support/facts.ts";
import { useDatabase } from "../support/use-database.ts";

const { database: testDatabase, sql } = await useDatabase();
const database = openDatabase({ connectionString: testDatabase.url });
atEnd(() => database.close());
let workspaceId: string;
let leadId: string;
let kept: { readonly messageId: string; readonly reason: string }[];
let lines: string[];

beforeEach(async () => {
  workspaceId = await addWorkspace(sql);
  leadId = await addLead(sql, workspaceId);
  [kept, lines] = [[], []];
});

const remembering: DeadLetterQueue = {
  keep: ({ messageId }, reason) => Promise.resolve(void kept.push({ messageId, reason })),
};

const ports = (changes: Partial<IntakePorts> = {}): IntakePorts => {
  const write = (event: string, fields: object) => void lines.push(JSON.stringify({ event, ...fields }));
  return { ...intakeStore(database), deadLetters: remembering, log: { info: write, error: write }, ...changes };
};

let number = 0;
const detail = (changes: Columns = {}): Columns => ({
  workspaceId,
  eventId: `event-${++number}`,
  occurredAt: hoursAgo(1),
  lead: { id: leadId },
  ...changes,
});

const messagesOf = (bodies: Readonly<Record<string, string>>) =>
  Object.entries(bodies).map(([messageId, body]) => ({ messageId, body }));

const hasReplied = async () => {
  const { rows } = await sql.query("select last_inbound_at from lead where id = $1", [leadId]);
  return rows[0]?.last_inbound_at !== null;
};

describe("a batch of events", () => {
  it("refuses each invalid event with its reason, and applies the rest", async () => {
    const stranger = await addLead(sql, await addWorkspace(sql));
    const reply = (changes?: Columns) => bodyOf("lead.replied", detail(changes));
    const snooze = (changes?: Columns) => bodyOf("lead.snoozed", detail({ until: null, ...changes }));
    const bodies = {
      text: "Hello",
      number: "42",
      unnamed: JSON.stringify({ detail: {} }),
      "unknown type": bodyOf("lead.kissed", detail()),
      prototype: bodyOf("__proto__", detail()),
      personless: bodyOf("meeting.booked", detail({ lead: {}, meeting: aMeeting("m") })),
      "unknown key": snooze({ colour: "red" }),
      "control character": snooze({ eventId: "a\u0000b" }),
      "lone surrogate": snooze({ eventId: "\ud800" }),
      "no such day": snooze({ occurredAt: "2026-02-30T00:00:00Z" }),
      "no workspace": reply({ workspaceId: "here" }),
      "wrong tenant": reply({ lead: { id: stranger } }),
      nowhere: reply({ workspaceId: "0190f0f0-0000-7000-8000-000000000001" }),
      deep: reply().replace(JSON.stringify({ id: leadId }), `${"[".repeat(20_000)}${"]".repeat(20_000)}`),
      "very deep": `${'{"detail":'.repeat(20_000)}1${"}".repeat(20_000)}`,
      large: reply({ eventId: "x".repeat(300_000) }),
      crowd: bodyOf(
        "lead.enrolled",
        detail({ lead: undefined, sequence: { name: "x" }, leads: Array(1_001).fill({}) }),
      ),
      good: reply(),
    };
    const { report, failedMessageIds } = await applyMessages(messagesOf(bodies), ports());
    expect(failedMessageIds).toEqual([]);
    expect(report).toEqual({
      applied: 1,
      stale: 0,
      duplicate: 0,
      refused: Object.keys(bodies).length - 1,
      failed: 0,
      ignored: 0,
      created: 0,
      warned: 0,
    });
    expect(await hasReplied()).toBe(true);
    const reasons = Object.fromEntries(kept.map(({ messageId, reason }) => [messageId, reason]));
    expect(reasons).toMatchObject({
      text: "not JSON",
      "unknown type": expect.stringContaining('there is no detail-type "lead.kissed"; known are lead.enrolled'),
      personless: "detail: lead: must have one of id, externalId, email, phone, touch",
      "no workspace": expect.stringContaining("detail: workspaceId: "),
      "unknown key": 'detail: unknown key "colour"',
      "control character": "detail: eventId: must not contain control characters",
      "lone surrogate": "detail: eventId: must be well-formed Unicode",
      "wrong tenant": expect.stringContaining(`there is no lead ${stranger} in workspace ${workspaceId}`),
      nowhere: expect.stringContaining("there is no workspace"),
      large: "larger than 262144 bytes",
      crowd: expect.stringContaining("detail: leads: "),
    });
  });

  it("returns transient failures for redelivery, and rejected events while the dead-letter queue is unreachable", async () => {
    const bodies = { applied: bodyOf("lead.replied", detail()), refused: "Hello" };
    const gone = { keep: () => Promise.reject(new Error("no queue")) };
    const first = await applyMessages(messagesOf(bodies), ports({ deadLetters: gone }));
    expect(first.failedMessageIds).toEqual(["refused"]);
    const apply = () => Promise.reject(new DatabaseUnreachable("for a test"));
    const second = await applyMessages(messagesOf(bodies), ports({ apply }));
    expect(second.failedMessageIds).toEqual(["applied"]);
    expect(kept.map(({ messageId }) => messageId)).toEqual(["refused"]);
    const third = await applyMessages(messagesOf({ applied: bodies.applied }), ports());
    expect(third.report).toMatchObject({ duplicate: 1 });
  });

  it("does not wait for an event that another transaction blocks", async () => {
    const another = await addWorkspace(sql);
    const theirs = await addLead(sql, another);
    const messages = messagesOf({
      blocked: bodyOf("lead.opted_out", detail()),
      free: bodyOf("lead.opted_out", detail({ workspaceId: another, lead: { id: theirs } })),
    });
    const config = {
      ...loadIntakeConfig({ DATABASE_URL: testDatabase.url, INTAKE_DEAD_LETTERS_URL: "http://unused" }),
    };
    const wired = wireIntake(config, ports().log, 500);
    const holder = await sql.connect();
    await holder.query("begin");
    await holder.query("select from lead where id = $1 for update", [leadId]);
    const taken = applyMessages(messages, wired);
    expect(await Promise.race([taken, setTimeout(10_000, "waits")])).toMatchObject({ failedMessageIds: ["blocked"] });
    await holder.query("rollback");
    holder.release();
    expect(await applyMessages(messages, wired)).toMatchObject({ report: { applied: 1, duplicate: 1 } });
  });

  it("does not start on an outdated schema", async () => {
    const missingSchema = () => Promise.resolve(["a column"]);
    const begun = applyMessages(messagesOf({ one: bodyOf("lead.replied", detail()) }), ports({ missingSchema }));
    await expect(begun).rejects.toThrow(SchemaOutOfDate);
    expect(await hasReplied()).toBe(false);
  });

  it("writes no address and no name to the log or a reason", async () => {
    await addLead(sql, workspaceId, { email: "secret@example.test" });
    await addLead(sql, workspaceId, { email: "secret@example.test" });
    const lead = { email: "secret@example.test" };
    const person = { email: "secret@example.test", firstName: "Secret\u0007" };
    const enrolled = { lead: undefined, sequence: { name: "Secret" }, leads: [person] };
    await applyMessages(
      messagesOf({
        shared: bodyOf("meeting.booked", detail({ lead, meeting: aMeeting("one") })),
        unparsed: bodyOf("lead.replied", detail({ lead: { email: "secret@" } })),
        enrolled: bodyOf("lead.enrolled", detail(enrolled)),
      }),
      ports(),
    );
    expect(kept).toHaveLength(2);
    expect(`${lines.join()} ${JSON.stringify(kept)}`).not.toMatch(/secret/i);
  });

  it("never throws for any JSON, and changes nothing when it rejects an event", async () => {
    const before = await rowsOf(sql, workspaceId);
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.record({ "detail-type": fc.constantFrom(...Object.keys(FACT_SCHEMAS)), detail: fc.jsonValue() }),
    );
    fc.assert(fc.property(anything, (event) => !parseEvent(JSON.stringify(event)).ok));
    fc.assert(fc.property(fc.string({ unit: "binary" }), (body) => !parseEvent(body).ok));
    expect(await rowsOf(sql, workspaceId)).toEqual(before);
  });
});
