import { beforeEach, describe, expect, it } from "@jest/globals";
import { openDatabase } from "../../lib/store/connect.ts";
import { intakeStore } from "../../lib/store/facts/apply-fact.ts";
import { aText } from "../inbound/text-examples.ts";
import { atEnd } from "../support/at-end.ts";
import { addLead, addWorkspace, type Columns } from "../support/factories.ts";
import { bodyOf } from "../support/facts.ts";
import { addReached, type Reached, takeIn } from "../support/intake.ts";
import { long } from "../support/long.ts";
import { useDatabase } from "../support/use-database.ts";

const { database: testDatabase, sql } = await useDatabase();
const database = openDatabase({ connectionString: testDatabase.url });
atEnd(() => database.close());

let number: string;
let numbers = 0;
let north: Reached;
let south: Reached;

/** Adds a workspace that texted the number. */
const addSender = async (phone: string, providerId: string, workspace: Columns = {}) =>
  addReached(sql, await addWorkspace(sql, workspace), {
    lead: { phone },
    touch: { channel: "sms", provider_id: providerId },
  });

beforeEach(async () => {
  numbers += 1;
  number = `+49170${1_000_000 + numbers}`;
  north = await addSender(number, `north-${numbers}`);
  south = await addSender(number, `south-${numbers}`);
});

let texts = 0;
const textOf = (messageBody: string, changes: Columns = {}) =>
  aText({
    originationNumber: number,
    messageBody,
    inboundMessageId: `in-${++texts}`,
    previousPublishedMessageId: undefined,
    ...changes,
  });

const leadOf = async ({ leadId }: { readonly leadId: string }) => {
  const { rows } = await sql.query(
    `select opted_out_at is not null and opted_out_at > coalesce(opted_in_at, '-infinity') as "optedOut",
            suppressed_reason::text as suppressed, last_inbound_at as "repliedAt" from lead where id = $1`,
    [leadId],
  );
  return rows[0];
};
const UNTOUCHED = { optedOut: false, suppressed: null, repliedAt: null };

describe("a text that a person sends", () => {
  it("opts out in every workspace that texted the number, because they share the sender's", async () => {
    const { report } = await takeIn(database, [
      textOf("Stop please", { previousPublishedMessageId: `north-${numbers}` }),
    ]);
    expect(report).toMatchObject({ applied: 2 });
    for (const lead of [north, south]) expect(await leadOf(lead)).toMatchObject({ suppressed: "opted_out" });
  });

  it("leaves workspaces alone that never texted the number, and other people", async () => {
    const silent = await addWorkspace(sql);
    const unasked = await addLead(sql, silent, { phone: number });
    const waiting = await addReached(sql, await addWorkspace(sql), {
      lead: { phone: number },
      touch: { channel: "sms", status: "claimed" },
    });
    const mailed = await addReached(sql, await addWorkspace(sql), { lead: { phone: number } });
    const another = await addReached(sql, north.workspaceId, { lead: {}, touch: { channel: "sms" } });
    await takeIn(database, [textOf("STOP")]);
    for (const lead of [{ leadId: unasked }, waiting, mailed, another]) expect(await leadOf(lead)).toEqual(UNTOUCHED);
  });

  it("is a reply to the workspace whose message it answers", async () => {
    await takeIn(database, [textOf("Sounds good", { previousPublishedMessageId: `south-${numbers}` })]);
    expect(await leadOf(south)).toMatchObject({ repliedAt: new Date("2026-11-20T09:00:00Z"), suppressed: null });
    expect(await leadOf(north)).toEqual(UNTOUCHED);
  });

  it.each([undefined, "unknown"])("is a reply to every workspace that texted it, if it answers %s", async (answers) => {
    await takeIn(database, [textOf("YES", { previousPublishedMessageId: answers })]);
    for (const lead of [north, south]) expect(await leadOf(lead)).toMatchObject({ repliedAt: expect.any(Date) });
  });

  it.each([
    ["stop, then start", ["09:00", "STOP"], ["10:00", "START"], null],
    ["start, then stop", ["09:00", "START"], ["10:00", "STOP"], "opted_out"],
  ] as const)("counts by its time, in any order and twice: %s", async (_what, first, second, suppressed) => {
    for (const order of [
      [first, second],
      [second, first],
    ]) {
      const phone = `${number}${order.indexOf(first)}`;
      const lead = await addSender(phone, "order");
      const texts = order.map(([time, words]) => ({
        ...textOf(words, { originationNumber: phone }),
        Timestamp: `2026-11-20T${time}:00.000Z`,
      }));
      for (const text of [...texts, ...texts]) await takeIn(database, [text]);
      expect(await leadOf(lead)).toMatchObject({ suppressed });
    }
  });

  long.it.each<[string, string, (lead: Reached) => Columns, string]>([
    ["an opt-out by link", "lead.opted_out", ({ touchId }) => ({ touch: touchId }), "opted_out"],
    ["an opt-out by a person", "lead.opted_out", ({ leadId }) => ({ id: leadId }), "opted_out"],
    ["a complaint", "lead.complained", ({ touchId }) => ({ touch: touchId }), "complained"],
  ])("takes back with START what a text said and not %s, in any order", async (_what, type, nameOf, suppressed) => {
    const at = (hour: string) => `2026-11-20T${hour}:00.000Z`;
    const orders: readonly (readonly string[])[] = [
      ["09:00", "STOP", "START"],
      ["STOP", "09:00", "START"],
      ["START", "STOP", "09:00"],
      ["STOP", "10:30", "START"],
      ["09:00", "START"],
    ];
    for (const [index, order] of orders.entries()) {
      const phone = `${number}${index}`;
      const lead = await addSender(phone, "one");
      const other = await addSender(phone, "two");
      const { workspaceId } = lead;
      const fact = (hour: string) => ({ workspaceId, eventId: hour, occurredAt: at(hour), lead: nameOf(lead) });
      const text = (words: string) => textOf(words, { originationNumber: phone });
      const messages = new Map<string, string | object>([
        ["STOP", { ...text("STOP"), Timestamp: at("10:00") }],
        ["START", { ...text("START"), Timestamp: at("11:00") }],
        ...["09:00", "10:30"].map((hour) => [hour, bodyOf(type, fact(hour))] as const),
      ]);
      for (const one of order) {
        const { report } = await takeIn(database, [messages.get(one) ?? ""]);
        expect(report).toMatchObject({ refused: 0, failed: 0 });
      }
      expect({ order, ...(await leadOf(lead)) }).toMatchObject({ order, suppressed });
      expect(await leadOf(other)).toMatchObject({ suppressed: null });
      const back = { workspaceId, eventId: "back", occurredAt: at("12:00"), lead: { id: lead.leadId } };
      await takeIn(database, [bodyOf("lead.opted_in", back)]);
      expect(await leadOf(lead)).toMatchObject({ suppressed: type === "lead.complained" ? suppressed : null });
    }
  });

  it("finds numbers that are stored without the prefix, by the workspace's country", async () => {
    const german = await addSender(`0170 ${1_000_000 + numbers}`, "one", { holiday_country: "DE" });
    const austrian = await addSender(`0170 ${1_000_000 + numbers}`, "two", { holiday_country: "AT" });
    await takeIn(database, [textOf("STOP")]);
    expect(await leadOf(german)).toMatchObject({ suppressed: "opted_out" });
    expect(await leadOf(austrian)).toEqual(UNTOUCHED);
  });

  it.each(["+4915799999999", "VERIZON", "12345"])(
    "is ignored and counted if nobody texted its number: %s",
    async (from) => {
      const { report, ignored, log } = await takeIn(database, [textOf("STOP", { originationNumber: from })]);
      expect(report).toMatchObject({ ignored: 1, applied: 0, created: 0 });
      expect(ignored).toEqual({ unknown_number: 1 });
      expect(log).not.toContain(from);
    },
  );

  it("is stored and logged nowhere with its words", async () => {
    const words = "my secret answer";
    const { log } = await takeIn(database, [textOf(words)]);
    const { rows } = await sql.query("select row_to_json(intake_event)::text as event from intake_event");
    expect(`${log} ${JSON.stringify(rows)}`).not.toContain(words);
    expect(log).not.toContain(number);
  });

  it("counts in every other workspace while one fails, and in that one with the redelivery", async () => {
    const { apply } = intakeStore(database);
    const [failing, other] = north.workspaceId < south.workspaceId ? [north, south] : [south, north];
    const failsInOne: typeof apply = async (fact) => {
      if (fact.workspaceId === failing.workspaceId) throw new Error("a lost connection");
      return await apply(fact);
    };
    const text = textOf("STOP");
    expect(await takeIn(database, [text], { apply: failsInOne })).toMatchObject({
      failedMessageIds: ["0"],
      report: { failed: 1, applied: 1 },
    });
    expect(await leadOf(other)).toMatchObject({ suppressed: "opted_out" });
    expect(await leadOf(failing)).toEqual(UNTOUCHED);
    expect((await takeIn(database, [text])).report).toMatchObject({ duplicate: 1, applied: 1, failed: 0 });
    expect(await leadOf(failing)).toMatchObject({ suppressed: "opted_out" });
  });
});
