import { describe, expect, it } from "@jest/globals";
import * as z from "zod";
import { funnel } from "../../lib/operate/funnel.ts";
import { answerQuestion } from "../../lib/operate/requests.ts";
import {
  addAppointment,
  addBystanders,
  addFollowedLead,
  addSentTouch,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
} from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

const DAY_1 = "2026-03-02T09:00:00Z";
const DAY_2 = "2026-03-03T09:00:00Z";
const BETWEEN = "2026-03-02T15:00:00Z";
const AFTER = "2026-03-04T09:00:00Z";

it("counts each reply, booking, opt-out and undeliverable address once, at the last message before it", async () => {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [{}, {}] });
  const sentTo = async (lead: Columns, days = [DAY_1, DAY_2]) => {
    const instance = { status: "completed" };
    const followed = await addFollowedLead(sql, workspaceId, chase.id, { lead, instance });
    for (const [index, sent_at] of days.entries()) {
      await addSentTouch(sql, followed.instanceId, chase.steps[index] ?? "", { sent_at });
    }
    return followed;
  };
  await sentTo({ first_inbound_at: BETWEEN, last_inbound_at: AFTER });
  await sentTo({ first_inbound_at: AFTER, last_inbound_at: AFTER });
  await sentTo({ first_inbound_at: "2026-03-01T09:00:00Z", last_inbound_at: AFTER });
  const { leadId } = await sentTo({});
  await addAppointment(sql, leadId);
  await sentTo({ opted_out_at: BETWEEN });
  await sentTo({ email: "gone@example.test" }, [DAY_1]);
  await sql.query(
    `insert into suppression (workspace_id, hash, reason, kind, since, source)
     values ($1, suppression_hash($1, 'gone@example.test'), 'undeliverable', 'email', $2, 'test')`,
    [workspaceId, AFTER],
  );
  const other = await addFollowedLead(sql, workspaceId, chase.id);
  await addTouch(sql, other.instanceId, chase.steps[0] ?? "", { status: "failed" });
  await addTouch(sql, other.instanceId, chase.steps[1] ?? "", { status: "unknown" });
  await addBystanders(sql);

  const replied = await answerQuestion(sql, { question: "funnel", input: { workspace: workspaceId } });
  const none = { delivered: 0, complained: 0 };
  const first = { ...none, replied: 1, booked: 0, optedOut: 1, undeliverable: 1, failed: 1, unknown: 0 };
  const second = { ...none, replied: 1, booked: 1, optedOut: 0, undeliverable: 0, failed: 0, unknown: 1 };
  expect(replied).toMatchObject({
    outcome: "answered",
    answer: {
      steps: [
        { sequence: "Chase", version: 1, position: 1, channel: "email", sent: 6, ...first },
        { sequence: "Chase", version: 1, position: 2, channel: "email", sent: 5, ...second },
      ],
    },
  });
});

it("counts what the provider reports at the message that it concerns, however late", async () => {
  const workspaceId = await addWorkspace(sql);
  const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [{}, {}] });
  const optedOut = { email: "spam@example.test", opted_out_at: AFTER };
  const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, {
    lead: optedOut,
    instance: { status: "completed" },
  });
  const delivered = { status: "sent", delivered_at: BETWEEN };
  const touches = [
    await addTouch(sql, instanceId, chase.steps[0] ?? "", { ...delivered, sent_at: DAY_1, complained_at: AFTER }),
    await addTouch(sql, instanceId, chase.steps[1] ?? "", { ...delivered, sent_at: DAY_2, bounced_at: AFTER }),
  ];
  await sql.query(
    "update touch set recipient_hash = suppression_hash(workspace_id, 'spam@example.test') where id = any($1)",
    [touches],
  );
  await sql.query(
    `insert into suppression (workspace_id, hash, reason, kind, since, source)
     values ($1, suppression_hash($1, 'spam@example.test'), 'undeliverable', 'email', $2, 'test')`,
    [workspaceId, AFTER],
  );
  const answered = await answerQuestion(sql, { question: "funnel", input: { workspace: workspaceId } });
  expect(answered).toMatchObject({
    answer: {
      steps: [
        { position: 1, sent: 1, delivered: 1, optedOut: 1, undeliverable: 0, complained: 1 },
        { position: 2, sent: 1, delivered: 1, optedOut: 0, undeliverable: 1, complained: 0 },
      ],
    },
  });
});

describe("a period", () => {
  /** Six leads with two messages each; the first replies after the second day. The workspace is nine hours ahead. */
  async function populate() {
    const workspaceId = await addWorkspace(sql, { time_zone: "Asia/Tokyo" });
    const chase = await addSequence(sql, workspaceId, { name: "Chase", steps: [{}, {}] });
    for (let index = 0; index < 6; index += 1) {
      const lead = index === 0 ? { first_inbound_at: AFTER, last_inbound_at: AFTER } : {};
      const { instanceId } = await addFollowedLead(sql, workspaceId, chase.id, {
        lead,
        instance: { status: "completed" },
      });
      const first = new Date(Date.parse("2026-03-01T10:00:00Z") + index * 2 * 3_600_000);
      await addTouch(sql, instanceId, chase.steps[0] ?? "", { status: "sent", sent_at: first });
      await addTouch(sql, instanceId, chase.steps[1] ?? "", { status: "sent", sent_at: DAY_2 });
    }
    return workspaceId;
  }

  async function ask(input: object) {
    const replied = await answerQuestion(sql, { question: "funnel", input });
    if (replied.outcome === "refused") throw new Error(`${replied.code}: ${replied.message}`);
    return z.decode(funnel.answer, z.json().parse(replied.answer) as z.input<typeof funnel.answer>);
  }

  const totals = ({ steps }: z.output<typeof funnel.answer>) =>
    Object.fromEntries(steps.map(({ position, sent, replied }) => [position, { sent, replied }]));

  it("has each message in exactly one of the periods before and after an instant, with the replies to it", async () => {
    const workspace = await populate();
    const all = totals(await ask({ workspace }));
    expect(all).toEqual({ 1: { sent: 6, replied: 0 }, 2: { sent: 6, replied: 1 } });
    for (const cut of ["2026-03-01T14:00:00Z", "2026-03-01T14:00:01+00:00", DAY_2, AFTER]) {
      const [before, after] = [
        totals(await ask({ workspace, until: cut })),
        totals(await ask({ workspace, since: cut })),
      ];
      for (const position of [1, 2]) {
        const [one, other] = [before[position], after[position]];
        expect((one?.sent ?? 0) + (other?.sent ?? 0)).toBe(6);
        expect((one?.replied ?? 0) + (other?.replied ?? 0)).toBe(all[position]?.replied);
      }
    }
  });

  it("takes dates as days of the workspace, the last included, and says which instants these are", async () => {
    const workspace = await populate();
    const answer = await ask({ workspace, since: "2026-03-02", until: "2026-03-02" });
    expect(answer).toMatchObject({
      zone: "Asia/Tokyo",
      since: new Date("2026-03-01T15:00:00Z"),
      until: new Date("2026-03-02T15:00:00Z"),
    });
    expect(totals(answer)).toEqual({ 1: { sent: 3, replied: 0 } });
  });

  it.each([
    [{ since: "2026-03-03", until: "2026-03-02" }, /must be before until/],
    [{ since: "yesterday" }, /must be a date such as 2027-03-01, or an instant/],
    [{ until: "2026-02-30" }, /must be a date/],
    [{ since: "2026-03-01T14:00:00" }, /or an instant such as 2027-03-01T14:00:00Z/],
  ])("is refused if it is not one: %j", async (period, message) => {
    const workspace = await addWorkspace(sql);
    const replied = await answerQuestion(sql, { question: "funnel", input: { workspace, ...period } });
    expect(replied).toMatchObject({ code: "invalid_input", message: expect.stringMatching(message) });
  });
});
