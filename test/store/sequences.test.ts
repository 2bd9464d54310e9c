import { randomUUID } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { decide } from "../../lib/domain/decide.ts";
import { CHANNELS } from "../../lib/domain/labels.ts";
import { openDatabase } from "../../lib/store/connect.ts";
import { SequenceRefused, type SequenceToSave } from "../../lib/store/sequence-to-save.ts";
import { saveSequence } from "../../lib/store/sequences.ts";
import { onPool } from "../../lib/store/sql.ts";
import { readLiveInstances } from "../../lib/store/stories.ts";
import { atEnd } from "../support/at-end.ts";
import { addFollowedLead, addTouch, addWorkspace, everyRow } from "../support/factories.ts";
import { openTransaction, untilBlockedBy } from "../support/transactions.ts";
import { useDatabase } from "../support/use-database.ts";

const { database: test, sql: pool } = await useDatabase();
const database = openDatabase({ connectionString: test.url });
atEnd(() => database.close());

type StepToSave = SequenceToSave["steps"][number];
/** A step; its key is its body by default. */
const email = (body: string, over: Partial<StepToSave> = {}): StepToSave => ({
  key: body,
  delayMinutes: 60,
  channel: "email",
  subject: "For {{ lead.first_name }}",
  body,
  ...over,
});

/** A sequence in a new workspace. */
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
    `select body from follow_up_step join follow_up_sequence as sequence using (version)
      where sequence.id = $1 and sequence_id = $1 order by position`,
    [sequenceId],
  );
  return rows.map(({ body }) => body);
}

describe("a sequence that is saved", () => {
  it("is stored with its steps, in order", async () => {
    const second = { key: "b", delayMinutes: 0, channel: "sms", body: "b", condition: "phone_provided" } as const;
    const sequence = await aSequence(email("a", { needsApproval: true, timeToLiveMinutes: 90 }), second);
    const { id, stepIds } = await save(sequence);
    const { rows } = await pool.query(
      `select id, key, position, delay_minutes, channel, condition, subject, body, needs_approval, time_to_live_minutes
         from follow_up_step where sequence_id = $1 order by position`,
      [id],
    );
    expect(rows).toEqual([
      {
        id: stepIds[0],
        key: "a",
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
        key: "b",
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

  it("is the same sequence with the same steps when its name is saved again", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const before = await save(sequence);
    await addFollowedLead(pool, sequence.workspaceId, before.id);
    const after = await save({ ...sequence, active: false, steps: [email("a"), email("better", { key: "b" })] });
    expect(after).toEqual(before);
    expect(await bodiesOf(after.id)).toEqual(["a", "better"]);
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

describe("a step with a placeholder of another tool", () => {
  const marked = (over: Partial<StepToSave> = {}) =>
    email("{Hi|Hello} [x]", { key: "a", subject: "[Webinar]", delayMinutes: 0, ...over });
  const braces = { kind: "hold", reason: "invalid_template" };

  it("is refused, or saved if it allows the kinds by name", async () => {
    expect(await faultsOf(await aSequence(marked({ allow: ["spintax"] })))).toEqual([
      expect.stringMatching(/^step 1, subject: .*\(square_brackets\) "\[Webinar\]".*\(line 1, column 1\)$/),
      expect.stringMatching(/^step 1, body: .*\(square_brackets\) "\[x\]".*\(line 1, column 12\)$/),
    ]);
    expect(await faultsOf(await aSequence(marked({ allow: ["brackets"] as never })))).toContainEqual(
      expect.stringMatching(/^step 1, allow, 0: unknown kind of placeholder "brackets"; use one of angle_brackets, /),
    );
    const sequence = await aSequence(marked({ allow: ["square_brackets", "spintax", "spintax"] }));
    const { id } = await save(sequence);
    const allowed = () =>
      pool.query("select allowed_placeholders::text as kinds from follow_up_step where sequence_id = $1", [id]);
    expect((await allowed()).rows).toEqual([{ kinds: "{spintax,square_brackets}" }]);
    await save({ ...sequence, steps: [email("Hi", { key: "a", delayMinutes: 0 })] });
    expect((await allowed()).rows).toEqual([{ kinds: "{}" }]);
  });

  it("that was stored before holds its own leads by name, and those of no other tenant", async () => {
    const decidedOn = async (sequence: SequenceToSave) => {
      const { id } = await save(sequence);
      const { instanceId } = await addFollowedLead(pool, sequence.workspaceId, id);
      return async () => {
        const now = new Date("2026-03-10T10:00:00Z");
        return decide((await liveItem(instanceId, now)).item, now);
      };
    };
    const [one, other] = [await aSequence(marked({ allow })), await aSequence(marked({ allow }))];
    const [decideOne, decideOther] = [await decidedOn(one), await decidedOn(other)];
    expect(await decideOne()).not.toMatchObject(braces);
    await pool.query("update follow_up_step set allowed_placeholders = '{spintax}' where workspace_id = $1", [
      one.workspaceId,
    ]);
    expect(await decideOne()).toMatchObject({
      ...braces,
      detail:
        "subject: a placeholder of another tool (square_brackets), line 1, column 1; " +
        "body: a placeholder of another tool (square_brackets), line 1, column 12",
    });
    expect(await decideOther()).not.toMatchObject(braces);
  });
  const allow: StepToSave["allow"] = ["spintax", "square_brackets"];
});

describe("an invalid sequence", () => {
  it("is refused with all of them, and leaves no trace", async () => {
    const before = await everyRow(pool);
    const faults = await faultsOf({
      workspaceId: "here",
      name: " ",
      triggerOn: "full_moon",
      colour: "red",
      steps: [
        { key: "A b", delayMinutes: -1, channel: "pigeon", condition: "phone_provded", body: "Hi" },
        {
          key: "a",
          delayMinutes: 0.5,
          channel: "email",
          subject: "Hi\n",
          body: "{{ lead.frist_name }}",
          timeToLiveMinutes: 0,
        },
        { key: "a", channel: "sms", body: 5 },
      ],
    });
    expect(faults).toEqual([
      "workspaceId: Invalid GUID",
      "name: must be a name on one line",
      'triggerOn: unknown trigger "full_moon"; use one of no_response, meeting_selected, manual, setter_reply, meeting_missed',
      "step 1, key: must be lowercase letters and digits, separated by single hyphens",
      `step 1, channel: unknown channel "pigeon"; use one of ${CHANNELS.join(", ")}`,
      'step 1, condition: unknown condition "phone_provded"; use one of always, phone_provided, linkedin_connected, no_reply',
      expect.stringMatching(/^step 1, delayMinutes: Too small/),
      expect.stringMatching(/^step 2, delayMinutes: Invalid input: expected int/),
      expect.stringMatching(/^step 2, timeToLiveMinutes: Too small/),
      expect.stringMatching(/^step 3, body: Invalid input: expected string/),
      expect.stringMatching(/^step 3, delayMinutes: Invalid input/),
      'Unrecognized key: "colour"',
      "step 2, subject: contains a line break or another control character",
      expect.stringMatching(/^step 2, body: unknown variable lead.frist_name; known are/),
      "step 3, key: repeats the key of step 2",
    ]);
    expect(await everyRow(pool)).toEqual(before);
  });

  it.each([null, "a sequence", { steps: 5 }, {}])("is refused: %j", async (sequence) => {
    expect(await faultsOf(sequence)).not.toEqual([]);
  });

  it("needs a step", async () => {
    expect(await faultsOf(await aSequence())).toEqual(["steps: must contain at least one step"]);
  });

  it("needs an existing workspace", async () => {
    const workspaceId = "0190f0f0-0000-7000-8000-000000000001";
    const sequence = { ...(await aSequence(email("a"))), workspaceId };
    expect(await faultsOf(sequence)).toEqual([`workspaceId: there is no workspace ${workspaceId}`]);
  });
});

describe("a sequence that leads are in", () => {
  it.each(["active", "paused"])("keeps its trigger: %s", async (status) => {
    const sequence = await aSequence(email("a"));
    const { id } = await save(sequence);
    await addFollowedLead(pool, sequence.workspaceId, id, { instance: { status } });
    expect(await faultsOf({ ...sequence, triggerOn: "meeting_selected", steps: [email("b")] })).toEqual([
      `${sequence.name}: triggerOn: cannot change from no_response while leads are in the sequence (1)`,
    ]);
    expect(await bodiesOf(id)).toEqual(["a"]);
  });

  it("may change in every way once no lead is in it", async () => {
    const sequence = await aSequence(email("a"), email("b"), email("c"));
    const { id } = await save(sequence);
    await addFollowedLead(pool, sequence.workspaceId, id, { instance: { status: "completed" } });
    await save({ ...sequence, triggerOn: "meeting_selected", steps: [email("b"), email("a")] });
    expect(await bodiesOf(id)).toEqual(["b", "a"]);
  });

  it("keeps the steps of leads inside it, and gives the new steps to leads that start", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const before = await save(sequence);
    const early = await addFollowedLead(pool, sequence.workspaceId, before.id);
    const after = await save({ ...sequence, steps: [email("c"), email("b")] });
    const late = await addFollowedLead(pool, sequence.workspaceId, before.id);
    expect(after).toEqual({ id: before.id, version: 2, stepIds: [expect.any(String), expect.any(String)] });
    expect(await aheadOf(early.instanceId)).toEqual(["a", "b"]);
    expect(await aheadOf(late.instanceId)).toEqual(["c", "b"]);
  });

  it("gives the new texts to every lead that has the step ahead, in every version", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const { id } = await save(sequence);
    const early = await addFollowedLead(pool, sequence.workspaceId, id);
    await save({ ...sequence, steps: [email("new"), email("a"), email("better", { key: "b" })] });
    expect(await aheadOf(early.instanceId)).toEqual(["a", "better"]);
  });

  it("makes a version of a change of order or delay, and none of a change of words", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const versionOf = async (...steps: StepToSave[]) => (await save({ ...sequence, steps })).version;
    expect(await versionOf(email("a"), email("b"))).toBe(1);
    expect(await versionOf(email("a"), email("better", { key: "b", condition: "no_reply" }))).toBe(1);
    expect(await versionOf(email("b"), email("a"))).toBe(2);
    expect(await versionOf(email("b"), email("a", { delayMinutes: 61 }))).toBe(3);
    expect(await versionOf(email("b"))).toBe(4);
    expect(await versionOf(email("b"), email("a"))).toBe(5);
  });

  it("keeps a sent step in its version", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const { id, stepIds } = await save(sequence);
    const { instanceId } = await addFollowedLead(pool, sequence.workspaceId, id, { instance: { status: "completed" } });
    const touchId = await addTouch(pool, instanceId, stepIds[1] ?? "", { status: "sent" });
    await save({ ...sequence, steps: [email("a")] });
    const { rows } = await pool.query(
      "select step.key from touch join follow_up_step as step on step.id = step_id where touch.id = $1",
      [touchId],
    );
    expect(rows).toEqual([{ key: "b" }]);
  });

  it("sees a lead that enrols concurrently", async () => {
    const sequence = await aSequence(email("a"));
    const { id } = await save(sequence);
    const enrolment = await openTransaction(pool);
    await addFollowedLead(enrolment, sequence.workspaceId, id);
    const faults = faultsOf({ ...sequence, triggerOn: "manual" });
    await untilBlockedBy(pool, enrolment.pid);
    await enrolment.commit();
    expect(await faults).toEqual([
      `${sequence.name}: triggerOn: cannot change from no_response while leads are in the sequence (1)`,
    ]);
  });

  it("gives a lead that enrols during the save one whole version", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const { id } = await save(sequence);
    const saving = await openTransaction(pool);
    await saving.query("update follow_up_sequence set version = 2 where id = $1", [id]);
    await saving.query("select from follow_up_sequence where id = $1 for update", [id]);
    const enrolment = addFollowedLead(pool, sequence.workspaceId, id);
    await untilBlockedBy(pool, saving.pid);
    await saving.commit();
    expect(await aheadOf((await enrolment).instanceId)).toEqual(["a", "b"]);
  });
});

describe("a restart", () => {
  it("starts with the current version, unless it continues at a later step", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const { id } = await save(sequence);
    const { instanceId } = await addFollowedLead(pool, sequence.workspaceId, id, { instance: { position: 2 } });
    await save({ ...sequence, steps: [email("c"), email("a")] });
    await pool.query("update follow_up_instance set version = 2, position = 2 where id = $1", [instanceId]);
    expect(await aheadOf(instanceId)).toEqual(["b"]);
    await pool.query("update follow_up_instance set generation = 2, position = 2 where id = $1", [instanceId]);
    expect(await aheadOf(instanceId)).toEqual(["b"]);
    await pool.query("update follow_up_instance set generation = 3, position = 1 where id = $1", [instanceId]);
    expect(await aheadOf(instanceId)).toEqual(["c", "a"]);
  });
});

describe("a sequence that is written already", () => {
  it("is not written again", async () => {
    const sequence = await aSequence(email("a"), email("b"));
    const saved = await save(sequence);
    const before = await everyRow(pool);
    expect(await save(sequence)).toEqual(saved);
    expect(await everyRow(pool)).toEqual(before);
  });
});

/** The bodies of an instance's remaining steps, as the claim reads them. */
async function aheadOf(instanceId: string): Promise<readonly string[]> {
  const { position, item } = await liveItem(instanceId, new Date());
  return item.sequence.steps.filter((step) => step.position >= position).map(({ body }) => body);
}

/** A live instance as the claim reads it. */
async function liveItem(instanceId: string, now: Date) {
  const { rows } = await pool.query("select lead_id from follow_up_instance where id = $1", [instanceId]);
  const [live] = await readLiveInstances(onPool(pool), rows[0].lead_id, now);
  if (!live || "fault" in live.candidate.read) throw new Error("the instance cannot be read");
  return { position: live.candidate.position, item: live.candidate.read.item };
}
