import { randomUUID } from "node:crypto";
import { beforeEach, describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { exceededLimit } from "../../lib/domain/guardrail.ts";
import { carryOutOrder } from "../../lib/operate/requests.ts";
import { onPool } from "../../lib/store/sql.ts";
import { addFollowedLead, addSequence, addWorkspace, type Columns, everyRow, type Sql } from "../support/factories.ts";
import { tell } from "../support/facts.ts";
import { long } from "../support/long.ts";
import { noLock, useRunner } from "../support/run.ts";
import { openTransaction } from "../support/transactions.ts";

const { sql, runner } = await useRunner({ empty: true });
const DAY_MS = 24 * 60 * 60_000;
const WEEK_MS = 7 * DAY_MS;

/** The outcome of a mail, by columns of its touch. The defaults are those of a mail that was sent an hour ago. */
interface Mail {
  readonly channel?: "email" | "sms";
  readonly sentAt?: Date | null;
  readonly bouncedAt?: Date | null;
  readonly complainedAt?: Date | null;
}

const ago = (ms: number): Date => new Date(Date.now() - ms);
const mail = (columns: Mail = {}): Required<Mail> => ({
  channel: "email",
  sentAt: ago(3_600_000),
  bouncedAt: null,
  complainedAt: null,
  ...columns,
});
const mails = (count: number, columns: Mail = {}) => Array.from({ length: count }, () => mail(columns));
const BOUNCED = { bouncedAt: new Date() };
/** Later than a resume just now: the database rounds that to the next millisecond. */
const afterResume = () => ago(-1_000);
const COMPLAINED = { complainedAt: new Date() };

/** Adds one touch per mail, each of its own lead. One that was not sent yet is still on its way. Returns their ids. */
async function addMails(workspaceId: string, added: readonly Required<Mail>[], on: Sql = sql): Promise<string[]> {
  const { id, steps } = await addSequence(on, workspaceId);
  const { rows } = await on.query<{ id: string }>(
    `with mail as (
       select gen_random_uuid() as lead_id, gen_random_uuid() as instance_id, * from unnest(
         $4::channel[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[])
         as mail (channel, sent_at, bounced_at, complained_at)),
     lead as (insert into lead (workspace_id, id) select $1, lead_id from mail),
     instance as (
       insert into follow_up_instance (workspace_id, id, lead_id, sequence_id, status)
       select $1, instance_id, lead_id, $2, 'cancelled' from mail)
     insert into touch (workspace_id, instance_id, lead_id, step_id, generation, channel, status, body, claimed_at,
                        recheck_at, sent_at, bounced_at, complained_at)
     select $1, instance_id, lead_id, $3, 1, channel,
            case when sent_at is null then 'sending' else 'sent' end::touch_status, 'Hello', now(),
            case when sent_at is null then 'infinity' end::timestamptz, sent_at, bounced_at, complained_at
       from mail
     returning id`,
    [
      workspaceId,
      id,
      steps[0],
      added.map(({ channel }) => channel),
      ...(["sentAt", "bouncedAt", "complainedAt"] as const).map((name) => added.map((one) => one[name])),
    ],
  );
  return rows.map((row) => row.id);
}

const stateOf = async (workspaceId: string) => {
  const { rows } = await sql.query<Columns>(
    `select paused_at is not null as paused, paused_reason::text as reason,
            exists (select from guardrail_check where workspace_id = workspace.id) as flagged,
            (select count(*)::int from notification_event where workspace_id = workspace.id) as told
       from workspace where id = $1`,
    [workspaceId],
  );
  return rows[0];
};
const CONTINUES = { paused: false, reason: null, flagged: false };
const PAUSED = { paused: true, reason: "bounces", flagged: false, told: 1 };

const resume = (workspace: string) =>
  carryOutOrder(
    sql,
    { order: "workspaces resume", input: { workspace }, orderId: randomUUID(), by: "Hana", reason: "list cleaned" },
    null,
  );

let id: string;
beforeEach(async () => {
  id = await addWorkspace(sql);
});

describe("a workspace", () => {
  it.each([
    ["4.9 % bounced", 1000, 49, BOUNCED, CONTINUES],
    ["exactly 5 % bounced", 1000, 50, BOUNCED, CONTINUES],
    ["5.1 % bounced", 1000, 51, BOUNCED, PAUSED],
    ["nine of nine bounced", 9, 9, BOUNCED, CONTINUES],
    ["ten of ten bounced", 10, 10, BOUNCED, PAUSED],
    ["exactly 0.3 % complained", 1000, 3, COMPLAINED, CONTINUES],
    ["0.4 % complained", 1000, 4, COMPLAINED, { ...PAUSED, reason: "complaints" }],
    ["two of two complained", 2, 2, COMPLAINED, CONTINUES],
  ])("of whose mails %s ends as it should", async (_, sent, bad, outcome, expected) => {
    await addMails(id, [...mails(sent - bad), ...mails(bad, outcome)]);
    expect(await runner.run()).toMatchObject({ success: true, guardrail: { checked: 1 } });
    expect(await stateOf(id)).toMatchObject(expected);
  });

  it("that is paused sends nothing in the same run, and another goes on", async () => {
    const other = await addWorkspace(sql);
    for (const workspaceId of [id, other]) {
      const { id: chase } = await addSequence(sql, workspaceId);
      await addFollowedLead(sql, workspaceId, chase);
    }
    await addMails(id, mails(10, BOUNCED));
    await addMails(other, [...mails(200), ...mails(10, BOUNCED)]);
    expect(await runner.run()).toMatchObject({
      guardrail: { checked: 2, paused: 1, byWorkspace: { [id]: "bounces" } },
      results: { held: 1, claimed: 1, reasons: { workspace_paused: 1, ready: 1 } },
    });
    expect([runner.channel.sentTo(id), runner.channel.sentTo(other)].map(({ length }) => length)).toEqual([0, 1]);
    expect(await stateOf(other)).toMatchObject(CONTINUES);
    expect(runner.lines).toContainEqual({
      level: "info",
      event: "guardrail.paused",
      fields: { workspaceId: id, reason: "bounces", text: expect.stringMatching(/^10 of the 10 e-mails/) },
    });
  });

  it("counts each mail once, however many bounces and complaints it has", async () => {
    const [first, ...others] = await addMails(id, mails(10));
    const bounce = (touches: readonly (string | undefined)[]) =>
      sql.query("update touch set bounced_at = now(), complained_at = now() where id = any($1::uuid[])", [touches]);
    await sql.query("update workspace set guardrail_complained_percent = 100 where id = $1", [id]);
    for (let times = 0; times < 3; times++) await bounce(others);
    await runner.run();
    expect(await stateOf(id)).toMatchObject(CONTINUES);
    await bounce([first]);
    await runner.run();
    expect(await stateOf(id)).toMatchObject(PAUSED);
  });

  it("counts a mail once that bounced by several events", async () => {
    await sql.query("update workspace set guardrail_bounced_at_least = 11 where id = $1", [id]);
    const touches = await addMails(id, mails(10));
    for (const touch of [...touches, ...touches]) {
      const fact = { workspaceId: id, eventId: randomUUID(), occurredAt: new Date().toISOString(), kind: "permanent" };
      expect(await tell(onPool(sql), "lead.bounced", { ...fact, lead: { touch } })).toMatchObject({
        outcome: "applied",
      });
    }
    expect(await runner.run()).toMatchObject({ guardrail: { checked: 1, paused: 0 } });
    await addMails(id, mails(1, BOUNCED));
    expect(await runner.run()).toMatchObject({ guardrail: { checked: 1, paused: 1 } });
  });

  it("is checked after a bounce that arrives before its mail is settled", async () => {
    await addMails(id, mails(10, { sentAt: null, ...BOUNCED }));
    await runner.run();
    expect(await stateOf(id)).toMatchObject(PAUSED);
  });

  it.each([
    [0, PAUSED],
    [1, CONTINUES],
  ])("counts no mail that is older than seven days: by %i ms", async (older, expected) => {
    const now = new Date();
    await addMails(id, mails(10, { sentAt: new Date(now.getTime() - WEEK_MS - older), ...BOUNCED }));
    await runner.run({}, { now: async () => now });
    expect(await stateOf(id)).toMatchObject(expected);
  });

  it("that a person paused stays paused by that person", async () => {
    await sql.query("update workspace set paused_at = now() where id = $1", [id]);
    await addMails(id, mails(10, BOUNCED));
    expect(await runner.run()).toMatchObject({ guardrail: { checked: 1, paused: 0 } });
    expect(await stateOf(id)).toEqual({ paused: true, reason: null, flagged: false, told: 0 });
  });
});

describe("after a person resumed it, a workspace", () => {
  beforeEach(async () => {
    await addMails(id, mails(10, BOUNCED));
    await runner.run();
    expect(await stateOf(id)).toMatchObject(PAUSED);
  });

  const ways = [
    ["the order", () => resume(id)],
    ["SQL", () => sql.query("update workspace set paused_at = null where id = $1", [id])],
  ] as const;

  it.each(ways)("by %s goes on, also if another of its old mails bounces", async (_, resumed) => {
    await resumed();
    await runner.run();
    expect(await stateOf(id)).toMatchObject({ ...CONTINUES, told: 1 });
    await addMails(id, mails(1, BOUNCED));
    expect(await runner.run()).toMatchObject({ guardrail: { checked: 1, paused: 0 } });
    expect(await stateOf(id)).toMatchObject({ ...CONTINUES, told: 1 });
  });

  it.each(ways)("by %s is paused again when its new mails bounce", async (_, resumed) => {
    await resumed();
    await addMails(id, mails(9, { sentAt: afterResume(), ...BOUNCED }));
    await runner.run();
    expect(await stateOf(id)).toMatchObject({ ...CONTINUES, told: 1 });
    await addMails(id, mails(1, { sentAt: afterResume(), ...BOUNCED }));
    await runner.run();
    expect(await stateOf(id)).toMatchObject({ ...PAUSED, told: 2 });
  });
});

describe("a run", () => {
  it("without a bounce since the last check looks at no workspace", async () => {
    await addMails(id, mails(9, BOUNCED));
    await runner.run();
    await addMails(id, mails(5));
    await sql.query("update touch set delivered_at = now() where bounced_at is null");
    expect(await runner.run()).toMatchObject({ guardrail: { checked: 0, paused: 0, byWorkspace: {} } });
  });

  it("for one workspace checks no other", async () => {
    await addMails(id, mails(10, BOUNCED));
    const other = await addWorkspace(sql);
    expect(await runner.run({ workspaceId: other })).toMatchObject({ guardrail: { checked: 0 } });
    expect(await stateOf(id)).toMatchObject({ paused: false, flagged: true });
  });

  it("at the same time as another pauses once and reports once", async () => {
    await addMails(id, mails(10, BOUNCED));
    const reports = await Promise.all([1, 2].map(() => runner.run({}, { lock: noLock })));
    expect(reports.map(({ guardrail }) => guardrail?.paused).sort()).toEqual([0, 1]);
    expect(await stateOf(id)).toMatchObject(PAUSED);
  });

  it("loses no bounce that commits after its check, and does not wait for it", async () => {
    const [touch] = await addMails(id, [...mails(1), ...mails(9, BOUNCED)]);
    const late = await openTransaction(sql);
    await late.query("update touch set bounced_at = now() where id = $1", [touch]);
    expect(await runner.run()).toMatchObject({ success: true, guardrail: { checked: 0 } });
    await late.commit();
    expect(await runner.run()).toMatchObject({ guardrail: { checked: 1, paused: 1 } });
  });

  it("leaves a workspace that another transaction holds to the next run", async () => {
    await addMails(id, mails(10, BOUNCED));
    const holder = await openTransaction(sql);
    await holder.query("select from workspace where id = $1 for no key update", [id]);
    expect(await runner.run()).toMatchObject({ success: true, guardrail: { checked: 0 } });
    await holder.rollback();
    expect(await runner.run()).toMatchObject({ guardrail: { paused: 1 } });
  });

  it("and a person who pauses or resumes wait for no bounce that is not committed", async () => {
    const [first, second] = await addMails(id, mails(2));
    const { id: chase } = await addSequence(sql, id);
    await addFollowedLead(sql, id, chase);
    await sql.query("update workspace set daily_cap = 5 where id = $1", [id]);
    const open = await openTransaction(sql);
    for (const touch of [first, second]) await open.query("update touch set bounced_at = now() where id = $1", [touch]);
    await sql.query("update workspace set paused_at = now() where id = $1", [id]);
    expect(await resume(id)).toMatchObject({ answer: { changed: true } });
    expect(await runner.run()).toMatchObject({ results: { claimed: 1 } });
    await open.commit();
    expect(await stateOf(id)).toMatchObject({ flagged: true });
  });

  it("that fails for one workspace leaves it flagged and unpaused, and checks the others", async () => {
    const other = await addWorkspace(sql);
    await addMails(id, mails(10, BOUNCED));
    await addMails(other, mails(10, BOUNCED));
    await sql.query(`
      create function broken() returns trigger language plpgsql as $$ begin raise 'no more room'; end $$;
      create trigger broken before insert on notification_event for each row
        when (new.workspace_id = '${id}') execute function broken()`);
    const report = await runner.run();
    await sql.query("drop function broken cascade");
    expect(report).toMatchObject({ success: false, errors: [expect.stringMatching(/^guardrails: .*no more room/)] });
    expect(await stateOf(id)).toEqual({ paused: false, reason: null, flagged: true, told: 0 });
    expect(await stateOf(other)).toMatchObject(PAUSED);
    await runner.run();
    expect(await stateOf(id)).toMatchObject(PAUSED);
  });

  it("that is dry reports the pause and its effect, and writes nothing", async () => {
    await addFollowedLead(sql, id, (await addSequence(sql, id)).id);
    await addMails(id, mails(10, BOUNCED));
    const before = await everyRow(sql);
    const expected = {
      guardrail: { checked: 1, paused: 1, byWorkspace: { [id]: "bounces" } },
      results: { held: 1, claimed: 0, reasons: { workspace_paused: 1 } },
    };
    expect(await runner.run({ dryRun: true })).toMatchObject({ success: true, ...expected });
    expect(await everyRow(sql)).toEqual(before);
    expect(await runner.run()).toMatchObject(expected);
  });
});

long.it("counts as a plain list of mails would, whatever the limits", async () => {
  const now = new Date();
  const instant = fc.constantFrom(0, 1, DAY_MS, WEEK_MS - 1, WEEK_MS, WEEK_MS + 1, 30 * DAY_MS);
  const time = instant.map((ms) => new Date(now.getTime() - ms));
  const oneMail = fc
    .record({
      channel: fc.constantFrom("email" as const, "email" as const, "sms" as const),
      sentAt: fc.option(time, { freq: 5 }),
      bouncedAt: fc.option(time),
      complainedAt: fc.option(time),
    })
    .filter(({ sentAt, bouncedAt, complainedAt }) => sentAt !== null || bouncedAt !== null || complainedAt !== null);
  const percent = fc.constantFrom(0.01, 12.5, 25, 33.33, 50, 100);
  const limits = fc.record({
    bouncedPercent: percent,
    bouncedAtLeast: fc.integer({ min: 1, max: 4 }),
    complainedPercent: percent,
    complainedAtLeast: fc.integer({ min: 1, max: 4 }),
  });
  const law = fc.asyncProperty(
    fc.array(oneMail, { minLength: 1, maxLength: 12 }),
    limits,
    fc.option(time),
    async (all, given, since) => {
      const workspaceId = await addWorkspace(sql, {
        guardrail_since: since,
        guardrail_bounced_percent: given.bouncedPercent,
        guardrail_bounced_at_least: given.bouncedAtLeast,
        guardrail_complained_percent: given.complainedPercent,
        guardrail_complained_at_least: given.complainedAtLeast,
      });
      await addMails(workspaceId, all);
      const from = Math.max(now.getTime() - WEEK_MS, since?.getTime() ?? 0);
      const counted = all.filter(
        ({ channel, sentAt, bouncedAt, complainedAt }) =>
          channel === "email" && Number(sentAt ?? bouncedAt ?? complainedAt) >= from,
      );
      const bounced = counted.filter(({ bouncedAt }) => bouncedAt).length;
      const complained = counted.filter(({ complainedAt }) => complainedAt).length;
      const reason = exceededLimit({ sent: counted.length, bounced, complained }, given);
      await runner.run({ workspaceId, only: ["guardrails"] }, { now: async () => now });
      expect(await stateOf(workspaceId)).toMatchObject({ paused: reason !== null, reason, flagged: false });
    },
  );
  await fc.assert(law, { numRuns: 60 });
});
