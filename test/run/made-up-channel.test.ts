import { expect, it, jest } from "@jest/globals";
import { CHANNEL_REGISTRY } from "../../lib/domain/channels.ts";

// A registry with one more channel. Every module below is imported after it, so that all lists and SQL contain it.
const telex = { address: "phone", repeatable: false, isMail: false, downMetric: "TelexDown" };
jest.unstable_mockModule("../../lib/domain/channels.ts", () => ({ CHANNEL_REGISTRY: { ...CHANNEL_REGISTRY, telex } }));

const { perChannel } = await import("../../lib/domain/labels.ts");
const { METRIC_UNITS } = await import("../../lib/platform/metrics.ts");
const { parseSequenceToSave } = await import("../../lib/store/sequence-to-save.ts");
const { addInstance, addLead, addSequence, addTouch, addWorkspace } = await import("../support/factories.ts");
const { useRunner } = await import("../support/run.ts");

const { sql, runner } = await useRunner();
await sql.query("alter type channel add value 'telex'");
await sql.query("alter table lead add column last_telex_at timestamptz(3)");

const channels = perChannel(() => runner.channel);
const run = () => runner.run({}, { channels });
const telexes = { steps: [{ channel: "telex", subject: null }] };

const workspaceId = await addWorkspace(sql);
const sequence = await addSequence(sql, workspaceId, telexes);

const touchOf = async (leadId: string) => {
  const { rows } = await sql.query(
    `select touch.status::text, touch.reason, touch.recipient_hash is not null as hashed, lead.last_telex_at is not null as stamped
       from touch join lead on lead.id = touch.lead_id where lead.id = $1`,
    [leadId],
  );
  return rows[0];
};

it("is known to metrics", () => {
  expect(METRIC_UNITS).toMatchObject({ TelexDown: "Count" });
});

it("is accepted as the channel of a step", () => {
  const step = { key: "telex", channel: "telex", subject: null, body: "Hello", delayMinutes: 0 };
  const sequence = { workspaceId, name: "By telex", triggerOn: "manual", active: true, steps: [step] };
  expect(parseSequenceToSave(sequence).steps).toMatchObject([{ channel: "telex" }]);
});

it("sends, stamps its column and the hash of its address, and reaches one of two leads with the same number", async () => {
  const phone = "+4930555";
  const [first, second] = [await addLead(sql, workspaceId, { phone }), await addLead(sql, workspaceId, { phone })];
  const alone = await addLead(sql, workspaceId);
  for (const lead of [first, second, alone]) await addInstance(sql, lead, sequence.id);
  const report = await run();
  expect(report).toMatchObject({ success: true, results: { delivery: { sent: 2 } } });
  const touches = [await touchOf(first), await touchOf(second)].filter(Boolean);
  expect(touches).toEqual([{ status: "sent", reason: null, hashed: true, stamped: true }]);
  expect(await touchOf(alone)).toEqual({ status: "sent", reason: null, hashed: true, stamped: true });
});

it("sends nothing to a number that is suppressed or undeliverable since the claim", async () => {
  for (const [phone, reason, expected] of [
    ["+4930777", "undeliverable", "undeliverable_address"],
    ["+4930888", "opted_out", "opted_out"],
  ] as const) {
    const lead = await addLead(sql, workspaceId, { phone });
    const instance = await addInstance(sql, lead, sequence.id, { next_step_due: "2100-01-01" });
    const due = { channel: "telex", next_attempt_at: "2020-01-01", recheck_at: "2020-01-01" };
    await addTouch(sql, instance, sequence.steps[0] ?? "", due);
    await sql.query(
      `insert into suppression (workspace_id, hash, reason, kind, source)
       values ($1, suppression_hash($1, $2), $3::suppression_reason, 'phone', 'test')`,
      [workspaceId, phone, reason],
    );
    await run();
    expect(await touchOf(lead)).toMatchObject({ status: "cancelled", reason: expected });
  }
});

it("resumes a lead that waits for enrichment once it has a number", async () => {
  const lead = await addLead(sql, workspaceId, { phone: null, enrichment_status: "pending" });
  const paused = { status: "paused", paused_reason: "awaiting_enrichment", recheck_at: "2100-01-01" };
  await addInstance(sql, lead, sequence.id, paused);
  await sql.query("update lead set phone = '+4930999' where id = $1", [lead]);
  expect(await run()).toMatchObject({ enrichmentResumed: { resumed: 1 } });
});
