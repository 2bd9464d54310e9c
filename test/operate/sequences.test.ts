import { randomUUID } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { applySequences, planApplySequences } from "../../lib/operate/apply-sequences.ts";
import { answerQuestion, carryOutOrder } from "../../lib/operate/requests.ts";
import { exportSequences, listSequences, showSequence } from "../../lib/operate/sequences.ts";
import { addAppointment, addFollowedLead, addSequence, addWorkspace, everyRow } from "../support/factories.ts";
import { useDatabase } from "../support/use-database.ts";

const { sql } = await useDatabase({ empty: true });

const chase = (body: string, name = "Chase") => ({
  name,
  triggerOn: "manual",
  active: true,
  steps: [
    {
      key: "a",
      delayMinutes: 60,
      channel: "task",
      subject: null,
      body,
      allow: ["braces", "html"],
      condition: "always",
      needsApproval: false,
      timeToLiveMinutes: null,
    },
  ],
});

const ask = (question: string, input: object) => answerQuestion(sql, { question, input });

async function answerOf(question: string, input: object) {
  const replied = await ask(question, input);
  if (replied.outcome === "refused") throw new Error(replied.message);
  return replied.answer;
}

async function planned(sequences: readonly object[], workspace: string) {
  return planApplySequences.answer.parse(await answerOf(planApplySequences.name, { workspace, sequences }));
}

const apply = (input: object) =>
  carryOutOrder(sql, { order: applySequences.name, input, orderId: randomUUID(), by: "Hana", reason: "texts" }, null);

async function applied(sequences: readonly object[], workspace: string) {
  const { workspaceId, plans } = await planned(sequences, workspace);
  return await apply({ workspaceId, sequences, seen: plans.map(({ fingerprint }) => fingerprint) });
}

describe("sequences apply", () => {
  it("stores all sequences, and changes none of another workspace", async () => {
    const [mine, other] = [await addWorkspace(sql, { name: "Mine" }), await addWorkspace(sql, { name: "Other" })];
    await applied([chase("theirs")], other);
    const theirs = await answerOf(exportSequences.name, { workspace: other });
    expect(await applied([chase("one"), chase("two", "Second")], "Mine")).toMatchObject({
      answer: { workspaceId: mine, saved: [{ name: "Chase", version: 1 }, { name: "Second" }] },
    });
    expect(await answerOf(exportSequences.name, { workspace: mine })).toEqual({
      sequences: [chase("one"), chase("two", "Second")],
      next: null,
    });
    expect(await answerOf(exportSequences.name, { workspace: other })).toEqual(theirs);
  });

  it("refuses sequences that changed since they were shown, with none of the others stored", async () => {
    const id = await addWorkspace(sql);
    await applied([chase("one")], id);
    const mine = [chase("mine"), chase("new", "New")];
    const { plans } = await planned(mine, id);
    await applied([chase("by another")], id);
    const before = await everyRow(sql);
    const seen = plans.map(({ fingerprint }) => fingerprint);
    expect(await apply({ workspaceId: id, sequences: mine, seen })).toMatchObject({
      outcome: "refused",
      code: "not_applied",
      message: expect.stringMatching(/Chase: changed since you reviewed it/),
    });
    expect(await everyRow(sql)).toEqual(before);
    expect(await applied(mine, id)).toMatchObject({ outcome: "answered" });
  });

  it("refuses a faulty text, a name that occurs twice and a missing review, all faults together", async () => {
    const id = await addWorkspace(sql);
    const sequences = [chase("{{ lead.nickname }}"), chase(" "), chase("good", "Good")];
    for (const [name, input] of [
      [planApplySequences.name, { workspace: id, sequences }],
      [applySequences.name, { workspaceId: id, sequences, seen: [null, null, null] }],
    ] as const) {
      const replied = name === planApplySequences.name ? await ask(name, input) : await apply(input);
      expect(replied).toMatchObject({
        code: "invalid_input",
        message: expect.stringMatching(/step 1, body.*nickname.*step 1, body: is empty.*another sequence has the same/),
      });
    }
    expect(await apply({ workspaceId: id, sequences: [chase("x")], seen: [] })).toMatchObject({
      code: "invalid_input",
    });
    expect(await ask(listSequences.name, {})).toMatchObject({ answer: { sequences: [] } });
  });
});

describe("sequences list, show and export", () => {
  it("lists each sequence with its latest steps and the leads in it", async () => {
    const id = await addWorkspace(sql);
    const { id: chased } = await addSequence(sql, id, { name: "Chase", steps: [{}, {}] });
    await addSequence(sql, id, { name: "Quiet", active: false });
    await addFollowedLead(sql, id, chased);
    await addFollowedLead(sql, id, chased, { instance: { status: "completed" } });
    expect(await answerOf(listSequences.name, {})).toMatchObject({
      workspaceId: id,
      sequences: [
        { id: chased, name: "Chase", steps: 2, live: 1, active: true },
        { name: "Quiet", steps: 1, live: 0, active: false },
      ],
    });
  });

  it("shows a sequence by its id or its name, and lists those there are for another name", async () => {
    const id = await addWorkspace(sql);
    await applied([chase("one")], id);
    const shown = await answerOf(showSequence.name, { sequence: "Chase" });
    expect(shown).toMatchObject({ version: 1, sequence: chase("one") });
    expect(await answerOf(showSequence.name, { sequence: (shown as { id: string }).id })).toEqual(shown);
    expect(await ask(showSequence.name, { sequence: "Case" })).toMatchObject({
      code: "not_found",
      message: expect.stringMatching(/there is no sequence "Case" in Harbour Homes; there are Chase/),
    });
  });

  it("needs a workspace if there are several, and finds nothing of another", async () => {
    const [one, other] = [await addWorkspace(sql, { name: "One" }), await addWorkspace(sql, { name: "Other" })];
    await applied([chase("one")], one);
    expect(await ask(listSequences.name, {})).toMatchObject({
      code: "ambiguous",
      message: expect.stringMatching(/One.*Other/),
    });
    expect(await ask(showSequence.name, { workspace: other, sequence: "Chase" })).toMatchObject({ code: "not_found" });
    expect(await answerOf(showSequence.name, { workspace: "One", sequence: "Chase" })).toMatchObject({ version: 1 });
  });

  it("exports every sequence once, page by page, whatever the order of names in a language", async () => {
    const id = await addWorkspace(sql);
    const names = Array.from({ length: 23 }, (_, index) => `${["ä", "Z", "a", "😀"][index % 4]}${index}`);
    await applied(
      names.map((name) => chase("x", name)),
      id,
    );
    const found: string[] = [];
    let after: string | null = null;
    do {
      const page = exportSequences.answer.parse(await answerOf(exportSequences.name, { workspace: id, after }));
      found.push(...page.sequences.map(({ name }) => name));
      after = page.next;
    } while (after !== null);
    expect(found.toSorted()).toEqual(names.toSorted());
  });
});

describe("advice", () => {
  const advised = async (sequences: readonly object[], workspace: string) =>
    (await planned(sequences, workspace)).advice.map(({ kind, step, text }) => [kind, step, text]);

  it("counts the leads of the workspace that may be contacted and lack a value", async () => {
    const [id, other] = [await addWorkspace(sql), await addWorkspace(sql, { name: "Other" })];
    const { id: started } = await addSequence(sql, id, { name: "Chase", trigger_on: "manual" });
    await addFollowedLead(sql, id, started, { lead: { company: "Acme" } });
    for (const company of [null, " \u00a0 "]) await addFollowedLead(sql, id, started, { lead: { company } });
    await addFollowedLead(sql, id, started, { lead: { company: null, status: "blacklisted" } });
    await addFollowedLead(sql, other, (await addSequence(sql, other)).id, { lead: { company: null } });
    const text = expect.stringMatching(/pauses for 2 of 3 leads, which lack lead\.company/);
    expect(await advised([chase("{{ lead.company }}")], id)).toEqual([["value_missing", "a", text]]);
    expect(await advised([chase(`{{ lead.company | default: "you" }}`)], id)).toEqual([]);
    await sql.query("update lead set fields = $1 where company = 'Acme'", [{ title: "Engineer" }]);
    expect(await advised([chase("{{ lead.fields.title }}")], id)).toMatchObject([
      ["value_missing", "a", expect.stringMatching(/2 of 3 leads, which lack lead\.fields\.title/)],
    ]);
  });

  it("says that nothing has started a sequence, until a lead is in it or a meeting is reported", async () => {
    const id = await addWorkspace(sql);
    const booked = { ...chase("x", "Booked"), triggerOn: "meeting_selected" };
    expect(await advised([chase("x"), booked], id)).toMatchObject([
      ["nothing_starts", null, expect.stringMatching(/leads import/)],
      ["nothing_starts", null, expect.stringMatching(/meeting\.booked/)],
    ]);
    const { leadId } = await addFollowedLead(sql, id, (await addSequence(sql, id, { name: "Chase" })).id);
    await addAppointment(sql, leadId, { status: "cancelled" });
    expect(await advised([chase("x"), booked], id)).toEqual([]);
  });

  it("names a text that needs an unsubscribe link, if the latest run had none", async () => {
    const id = await addWorkspace(sql);
    await addFollowedLead(sql, id, (await addSequence(sql, id, { name: "Chase" })).id);
    const run = (unsubscribeLinks: boolean) =>
      sql.query(
        `insert into run (trigger, request_id, started_at, deadline_at, finished_at, success, report)
         values ('schedule', 'one', clock_timestamp(), now(), now(), true, $1)`,
        [{ unsubscribeLinks }],
      );
    const given = chase("Stop: {{ unsubscribe_url }}");
    expect(await advised([given], id)).toEqual([]);
    await run(false);
    const text = expect.stringMatching(/add `webhooks` to the stage/);
    expect(await advised([given], id)).toEqual([["no_unsubscribe_link", "a", text]]);
    expect(await advised([chase("Bye")], id)).toEqual([]);
    await run(true);
    expect(await advised([given], id)).toEqual([]);
    await sql.query("delete from run");
  });

  it("names a text that offers times, until a booking tool has reported some", async () => {
    const id = await addWorkspace(sql);
    await addFollowedLead(sql, id, (await addSequence(sql, id, { name: "Chase" })).id);
    const given = chase("When? {{ slots }}");
    const text = expect.stringMatching(/connection\.availability/);
    expect(await advised([given], id)).toEqual([["no_free_times", "a", text]]);
    expect(await advised([chase("When?")], id)).toEqual([]);
    await sql.query(
      `insert into availability (workspace_id, tool, taken_at, starts_at, ends_at, version)
       values ($1, 'calendly', now(), '{}', '{}', 1)`,
      [id],
    );
    expect(await advised([given], id)).toEqual([]);
  });

  it("names a step that expires while the window of the workspace is shut, also when the window changes", async () => {
    const days = { window_days: [1, 2, 3, 4, 5], window_start: "09:00", window_end: "17:00" };
    const [open, shut] = [await addWorkspace(sql), await addWorkspace(sql, { name: "Shut", ...days })];
    const [first] = chase("x").steps;
    const evening = { ...chase("x"), steps: [first, { ...first, key: "b", delayMinutes: 720, timeToLiveMinutes: 60 }] };
    for (const id of [open, shut]) {
      const { id: started } = await addSequence(sql, id, { name: "Chase", trigger_on: "manual" });
      await addFollowedLead(sql, id, started);
    }
    expect(await advised([evening], shut)).toMatchObject([["never_sent", "b", expect.stringMatching(/can never go/)]]);
    expect(await advised([evening], open)).toEqual([]);
    await applied([evening], open);
    const settings = { name: "Harbour Homes", sendWindow: { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" } };
    expect(await answerOf("workspaces plan", { workspace: open, settings })).toMatchObject({
      faults: [],
      advice: [{ kind: "never_sent", sequence: "Chase", step: "b" }],
    });
  });
});
