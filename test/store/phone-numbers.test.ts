import { randomUUID } from "node:crypto";
import { beforeEach, describe, expect, it } from "@jest/globals";
import { onPool } from "../../lib/store/sql.ts";
import { addFollowedLead, addLead, addSequence, addWorkspace, type Sequence } from "../support/factories.ts";
import { tell } from "../support/facts.ts";
import { useRunner } from "../support/run.ts";

const { sql, runner } = await useRunner({ empty: true });
let workspaceId: string;
let chase: Sequence;

beforeEach(async () => {
  workspaceId = await addWorkspace(sql, { holiday_country: "DE" });
  chase = await addSequence(sql, workspaceId, { steps: [{ channel: "sms", subject: null, delay_minutes: 0 }] });
});

const fact = (type: string, detail: object, workspace = workspaceId) =>
  tell(onPool(sql), type, { workspaceId: workspace, ...detail });
const enrol = (leads: readonly object[]) => fact("lead.enrolled", { sequence: { id: chase.id }, leads });
const phones = async (workspace = workspaceId) =>
  (
    await sql.query<{ phone: string; out: boolean }>(
      "select phone, opted_out_at is not null as out from lead where workspace_id = $1 order by created_at, id",
      [workspace],
    )
  ).rows;

it("an enrolment stores a number in the international form, and one that cannot be read as it is", async () => {
  const given = ["0151 23456789", "+49 (151) 23456789", "0049 151/23456789", "ask Hana", "+1 415 555 0100 ext. 5"];
  await enrol(given.map((phone, index) => ({ externalId: `p${index}`, phone })));
  const stored = (await phones()).map(({ phone }) => phone).sort();
  expect(stored).toEqual([...given.slice(3), ...Array(3).fill("+4915123456789")].sort());
});

it("leads with one number in different notations get one text message", async () => {
  const given = ["0151 23456789", "+49 151 23456789"];
  await enrol(given.map((phone, index) => ({ externalId: `p${index}`, firstName: "Ada", phone })));
  await runner.run();
  expect(runner.channel.sent).toEqual([expect.objectContaining({ phone: "+4915123456789" })]);
});

it("a number without an international prefix is not sent to, whoever wrote it", async () => {
  for (const phone of ["4155550100", "0151 23456789"])
    await addFollowedLead(sql, workspaceId, chase.id, { lead: { phone } });
  const { leadId } = await addFollowedLead(sql, workspaceId, chase.id, { lead: { phone: "+4915123456789" } });
  expect(await runner.run()).toMatchObject({ results: { due: 3, skipped: 2, claimed: 1 } });
  expect(runner.channel.sent.map((touch) => touch.leadId)).toEqual([leadId]);
});

describe("an opt-out", () => {
  const stored = ["+4915123456789", "4915123456789", "0151 23456789", "0151/234567-89"];

  it.each([...stored, "0049 151 23456789", "tel:+4915123456789"])(
    "by the number %j reaches every lead that has it, and no other",
    async (phone) => {
      for (const each of [...stored, "+4915123456780", "015123456780"])
        await addLead(sql, workspaceId, { phone: each });
      expect(await fact("lead.opted_out", { lead: { phone } })).toMatchObject({ outcome: "applied" });
      expect((await phones()).filter(({ out }) => !out).map((lead) => lead.phone)).toEqual([
        "+4915123456780",
        "015123456780",
      ]);
    },
  );

  it("by a national number reaches only its notation if the workspace has no country", async () => {
    const elsewhere = await addWorkspace(sql);
    for (const phone of stored) await addLead(sql, elsewhere, { phone });
    await fact("lead.opted_out", { lead: { phone: "0151 23456789" } }, elsewhere);
    expect((await phones(elsewhere)).map(({ out }) => out)).toEqual([false, false, true, true]);
  });

  it("by a national number that no lead has yet is kept for the international form", async () => {
    await fact("lead.opted_out", { lead: { phone: "0151 23456789" } });
    expect(await phones()).toEqual([{ phone: "+4915123456789", out: true }]);
    expect(await enrol([{ externalId: "new", phone: "+4915123456789" }])).toMatchObject({ verdicts: ["opted_out"] });
  });

  it.each(["0151 23456789", "4915123456789"])(
    "of a lead that an application stored as %j bars the number in every notation",
    async (phone) => {
      await addLead(sql, workspaceId, { phone, opted_out_at: new Date() });
      const leads = ["0151 23456789", "+4915123456789"].map((each) => ({ externalId: randomUUID(), phone: each }));
      expect(await enrol([...leads, { externalId: "other", phone: "+4915123456780" }])).toMatchObject({
        verdicts: ["opted_out", "opted_out", "enrolled"],
      });
    },
  );
});
