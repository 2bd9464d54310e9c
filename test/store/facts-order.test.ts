import { beforeAll, expect, it } from "@jest/globals";
import { onPool, type Queryable, type Transactional } from "../../lib/store/sql.ts";
import {
  addInstance,
  addLead,
  addSequence,
  addTouch,
  addWorkspace,
  type Columns,
  FAR_AHEAD,
  rowsOf,
  type Sequence,
} from "../support/factories.ts";
import { aMeeting, hoursAgo, standing, tell } from "../support/facts.ts";
import { ONE_OF_FEW_IN } from "../support/one-case-in.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase();
let workspaceId: string;
let chase: Sequence;

beforeAll(async () => {
  workspaceId = await addWorkspace(sql);
  chase = await addSequence(sql, workspaceId);
  await addSequence(sql, workspaceId, { trigger_on: "meeting_selected" });
  await addSequence(sql, workspaceId, { trigger_on: "meeting_missed" });
  await addSequence(sql, workspaceId, { trigger_on: "setter_reply" });
});

type Told = readonly [type: string, detail: Columns];

const enrolment = { lead: undefined, sequence: { id: "" }, leads: [{ externalId: "subject" }] };

/** The facts of one lead, in chronological order. */
const history = (): readonly Told[] =>
  (
    [
      ["meeting.booked", { meeting: aMeeting("one", -1), occurredAt: hoursAgo(50) }],
      ["lead.enrolled", { ...enrolment, sequence: { id: chase.id }, occurredAt: hoursAgo(45) }],
      ["meeting.rescheduled", { meeting: aMeeting("one", 2), occurredAt: hoursAgo(40) }],
      ["meeting.rescheduled", { meeting: aMeeting("two", 2), replaces: "one", occurredAt: hoursAgo(30) }],
      ["meeting.cancelled", { meeting: aMeeting("one", 2), occurredAt: hoursAgo(30) }],
      ["meeting.missed", { meeting: aMeeting("one", -1), occurredAt: hoursAgo(20) }],
      ["meeting.cancelled", { meeting: aMeeting("three", 2), occurredAt: hoursAgo(15) }],
      ["meeting.booked", { meeting: aMeeting("four", 2), occurredAt: hoursAgo(12) }],
      ["lead.replied", { occurredAt: hoursAgo(10) }],
      ["lead.contacted", { channel: "email", occurredAt: hoursAgo(9.5) }],
      ["lead.snoozed", { until: FAR_AHEAD.toISOString(), occurredAt: hoursAgo(9) }],
      ["lead.snoozed", { until: null, occurredAt: hoursAgo(8) }],
      ["lead.opted_out", { occurredAt: hoursAgo(7) }],
    ] satisfies Told[]
  ).map(([type, detail], index) => [type, { eventId: `event-${index}`, lead: { externalId: "subject" }, ...detail }]);

const tellOne = (db: Transactional, [type, detail]: Told) => tell(db, type, { workspaceId, ...detail });

/** Replaces all rows of the workspace with one chased lead that has an unsent touch. */
async function aSubject(): Promise<void> {
  await sql.query("delete from notification_event where workspace_id = $1", [workspaceId]);
  for (const table of ["touch", "follow_up_instance", "appointment", "intake_event", "lead"]) {
    await sql.query(`delete from ${table} where workspace_id = $1`, [workspaceId]);
  }
  const leadId = await addLead(sql, workspaceId, { external_id: "subject" });
  const started = { started_at: hoursAgo(60), next_step_due: FAR_AHEAD };
  await addTouch(sql, await addInstance(sql, leadId, chase.id, started), chase.steps[0] ?? "");
}

async function standingAfter(told: readonly Told[]) {
  await aSubject();
  for (const one of told) await tellOne(onPool(sql), one);
  return await standing(sql, workspaceId);
}

it("the order of a pair of facts does not matter, and neither does a second delivery", async () => {
  const facts = history();
  const pairs = facts.flatMap((one, index) => facts.slice(index + 1).map((other) => [one, other] as const));
  for (const [one, other] of pairs.filter((_, index) => index % ONE_OF_FEW_IN === 0)) {
    const expected = await standingAfter([one, other]);
    const label = `${JSON.stringify(one)} ${JSON.stringify(other)}`;
    expect([label, await standingAfter([other, one])]).toEqual([label, expected]);
    expect([label, await standingAfter([one, other, one, other])]).toEqual([label, expected]);
  }
}, 180_000);

class Death extends Error {}

/** A database whose connection dies at the statement with this number. */
function dyingAt(number: number): Transactional {
  const db = onPool(sql);
  return {
    ...db,
    transaction: (work) =>
      db.transaction((transaction) => {
        let statement = 0;
        const survive = () => {
          if (++statement === number) throw new Death();
        };
        const dying: Queryable = {
          $queryRaw: (query, ...values) => {
            survive();
            return transaction.$queryRaw(query, ...values);
          },
          $executeRaw: (query, ...values) => {
            survive();
            return transaction.$executeRaw(query, ...values);
          },
        };
        return work(dying);
      }),
  };
}

it("a fact whose process dies at any statement changes nothing, and is applied on redelivery", async () => {
  for (const one of history()) {
    const expected = await standingAfter([one]);
    await aSubject();
    const before = await rowsOf(sql, workspaceId);
    let number = 1;
    for (; ; number++) {
      const died = await tellOne(dyingAt(number), one).then(
        () => false,
        (thrown) => thrown instanceof Death,
      );
      if (!died) break;
      expect(await rowsOf(sql, workspaceId)).toEqual(before);
    }
    expect(number).toBeGreaterThan(5);
    expect(await standing(sql, workspaceId)).toEqual(expected);
  }
}, 60_000);
