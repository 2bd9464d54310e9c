import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type pg from "pg";
import { type Database, openDatabase } from "../../lib/store/connect.ts";
import { SequenceRefused, type SequenceToSave, saveSequence } from "../../lib/store/sequences.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { addFollowedLead, addTouch, addWorkspace, everyRow } from "../support/factories.ts";
import { openPool, openTransaction, untilBlockedBy } from "../support/run.ts";

let test: TestDatabase;
let pool: pg.Pool;
let database: Database;

beforeAll(async () => {
  test = await createDatabase();
  pool = openPool(test.url);
  database = openDatabase({ connectionString: test.url });
});
afterAll(async () => {
  await database.close();
  await pool.end();
  await test.drop();
});

type StepToSave = SequenceToSave["steps"][number];
const email = (body: string, over: Partial<StepToSave> = {}): StepToSave => ({
  delayMinutes: 60,
  channel: "email",
  subject: "For {{ lead.first_name }}",
  body,
  ...over,
});

/** A sequence in a workspace of its own. */
const aSequence = async (...steps: StepToSave[]): Promise<SequenceToSave> => ({
  workspaceId: await addWorkspace(pool),
  name: randomUUID(),
  triggerOn: "no_response",
  steps,
});

const save = (sequence: unknown) => saveSequence(database.prisma, sequence);
const faultsOf = async (sequence: unknown): Promise<readonly string[]> => {
  const thrown: unknown = await save(sequence).then(
    () => new Error("it was saved"),
    (error: unknown) => error,
  );
  if (thrown instanceof SequenceRefused) return thrown.faults;
  throw thrown;
};

async function bodiesOf(sequenceId: string): Promise<readonly string[]> {
  const { rows } = await pool.query<{ body: string }>(
    "select body from follow_up_step where sequence_id = $1 order by position",
    [sequenceId],
  );
  return rows.map(({ body }) => body);
}

describe("a sequence that is saved", () => {
  it("is there with its steps, in their order", async () => {
    const second = { delayMinutes: 0, channel: "sms", body: "b", condition: "phone_provided" } as const;
    const sequence = await aSequence(email("a", { needsApproval: true, timeToLiveMinutes: 90 }), second);
    const { id, stepIds } = await save(sequence);
    const { rows } = await pool.query(
      `select id, position, delay_minutes, channel, condition, subject, body, needs_approval, time_to_live_minutes
         from follow_up_step where sequence_id = $1 order by position`,
      [id],
    );
    expect(rows).toEqual([
      {
        id: stepIds[0],
        position: 1,
        delay_minutes: 60,
        channel: "email",
        condition: "always",
        subject: "For {{ lead.first_name }}",
        body: "a",
        needs_approval: true,
        time_to_live_minutes: 90,
      },
      {
        id: stepIds[1],
        position: 2,
        delay_minutes: 0,
        channel: "sms",
        condition: "phone_provided",
        subject: null,
        body: "b",
        needs_approval: false,
        time_to_live_minutes: null,
      },
    ]);
  });

  it("is the same sequence with the same steps when its name is saved again, and may grow", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const before = await save(sequence);
    await addFollowedLead(pool, sequence.workspaceId, before.id);
    const after = await save({ ...sequence, active: false, steps: [email("a"), email("better"), email("c")] });
    expect(after).toEqual({ id: before.id, stepIds: [...before.stepIds, expect.any(String)] });
    expect(await bodiesOf(after.id)).toEqual(["a", "better", "c"]);
    const { rows } = await pool.query("select active from follow_up_sequence where id = $1", [after.id]);
    expect(rows).toEqual([{ active: false }]);
  });

  it("is another one in another workspace", async () => {
    const sequence = await aSequence(email("a"));
    const one = await save(sequence);
    const other = await save({ ...sequence, workspaceId: await addWorkspace(pool) });
    expect(other.id).not.toBe(one.id);
  });

  it("is one, when it is saved twice at once", async () => {
    const sequence = await aSequence(email("a"));
    const [one, other] = await Promise.all([save(sequence), save(sequence)]);
    expect(one).toEqual(other);
  });
});

describe("a sequence that has faults", () => {
  it("is refused with all of them, and leaves no trace", async () => {
    const before = await everyRow(pool);
    const faults = await faultsOf({
      workspaceId: "here",
      name: " ",
      triggerOn: "full_moon",
      colour: "red",
      steps: [
        { delayMinutes: -1, channel: "pigeon", condition: "phone_provded", body: "Hi" },
        { delayMinutes: 0.5, channel: "email", subject: "Hi\n", body: "{{ lead.frist_name }}", timeToLiveMinutes: 0 },
        { channel: "sms", body: 5 },
      ],
    });
    expect(faults).toEqual([
      expect.stringMatching(/^workspaceId: Invalid UUID/),
      "name: must be a name, on one line",
      'triggerOn: there is no trigger "full_moon"; known are no_response, meeting_selected, manual, setter_reply, meeting_missed',
      'step 1, channel: there is no channel "pigeon"; known are email, sms, webhook, task',
      expect.stringMatching(/^step 1, delayMinutes: Too small/),
      'step 1, condition: there is no condition "phone_provded"; known are always, phone_provided, linkedin_connected, no_reply',
      expect.stringMatching(/^step 2, delayMinutes: Invalid input: expected int/),
      expect.stringMatching(/^step 2, timeToLiveMinutes: Too small/),
      expect.stringMatching(/^step 3, body: Invalid input: expected string/),
      expect.stringMatching(/^step 3, delayMinutes: Invalid input/),
      'Unrecognized key: "colour"',
      "step 2, subject: holds a line break or another control character",
      expect.stringMatching(/^step 2, body: unknown variable lead.frist_name; known are/),
    ]);
    expect(await everyRow(pool)).toEqual(before);
  });

  it.each([null, "a sequence", { steps: 5 }, {}])("is refused where it is none: %j", async (sequence) => {
    expect(await faultsOf(sequence)).not.toEqual([]);
  });

  it("needs a step", async () => {
    expect(await faultsOf(await aSequence())).toEqual(["steps: must hold at least one step"]);
  });

  it("needs a workspace that is there", async () => {
    const workspaceId = "0190f0f0-0000-7000-8000-000000000001";
    const sequence = { ...(await aSequence(email("a"))), workspaceId };
    expect(await faultsOf(sequence)).toEqual([`workspaceId: there is no workspace ${workspaceId}`]);
  });
});

describe("a sequence that leads are in", () => {
  it.each(["active", "paused"])("keeps its trigger, its steps and their places: %s", async (status) => {
    const sequence = await aSequence(email("a"), email("b"), email("c"));
    const { id } = await save(sequence);
    await addFollowedLead(pool, sequence.workspaceId, id, { instance: { status } });
    const faults = await faultsOf({ ...sequence, triggerOn: "meeting_selected", steps: [email("b"), email("a")] });
    expect(faults).toEqual([
      "triggerOn: cannot change from no_response while leads are in the sequence (1)",
      "step 3: cannot be removed while leads are in the sequence (1)",
      "step 2: cannot become step 1 while leads are in the sequence (1)",
      "step 1: cannot become step 2 while leads are in the sequence (1)",
    ]);
    expect(await bodiesOf(id)).toEqual(["a", "b", "c"]);
  });

  it("may change in every way once nobody is in it any more", async () => {
    const sequence = await aSequence(email("a"), email("b"), email("c"));
    const { id } = await save(sequence);
    await addFollowedLead(pool, sequence.workspaceId, id, { instance: { status: "completed" } });
    await save({ ...sequence, triggerOn: "meeting_selected", steps: [email("b"), email("a")] });
    expect(await bodiesOf(id)).toEqual(["b", "a"]);
  });

  it("keeps a step that was sent to somebody", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const { id, stepIds } = await save(sequence);
    const done = { instance: { status: "completed" } };
    const { instanceId } = await addFollowedLead(pool, sequence.workspaceId, id, done);
    await addTouch(pool, instanceId, stepIds[1] ?? "", { status: "sent" });
    const faults = await faultsOf({ ...sequence, steps: [email("a")] });
    expect(faults).toEqual(["step 2: cannot be removed, for there are touches of it"]);
    expect(await bodiesOf(id)).toEqual(["a", "b"]);
  });

  it("sees the lead who enrols at this very moment", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const { id } = await save(sequence);
    const enrolment = await openTransaction(pool);
    await addFollowedLead(enrolment, sequence.workspaceId, id);
    const faults = faultsOf({ ...sequence, steps: [email("a")] });
    await untilBlockedBy(pool, enrolment.pid);
    await enrolment.commit();
    expect(await faults).toEqual(["step 2: cannot be removed while leads are in the sequence (1)"]);
  });
});
