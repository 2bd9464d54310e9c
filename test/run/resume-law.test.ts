import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { LEAD_STATUSES, PAUSED_REASONS } from "../../lib/domain/labels.ts";
import { mayBeContacted } from "../../lib/domain/rules.ts";
import { addFollowedLead, addSequence, addWorkspace } from "../support/factories.ts";
import { clockAt, useRunner } from "../support/run.ts";

const NOW = new Date("2030-01-07T09:00:00Z");
const DAY_MS = 24 * 60 * 60_000;
const daysAgo = (days: number) => new Date(NOW.getTime() - days * DAY_MS);

const { sql, runner } = await useRunner({ empty: true });

const REASONS = PAUSED_REASONS.filter((reason) => reason !== "awaiting_approval");

/** Mostly the value that allows a resume. */
const mostly = (usual: boolean) => fc.constantFrom(usual, usual, usual, usual, !usual);

const paused = fc.record({
  reason: fc.constantFrom(...REASONS),
  status: fc.constantFrom("qualified" as const, "new" as const, "qualified" as const, ...LEAD_STATUSES),
  optedOut: mostly(false),
  automation: mostly(true),
  company: fc.constantFrom(null, " ", "Harbour"),
  enrichment: fc.constantFrom("pending", "completed", "failed"),
  email: fc.boolean(),
  snoozedDays: fc.constantFrom(null, -1, 1),
  repliedDays: fc.constantFrom(null, 1, 8, 20),
  contactedDays: fc.constantFrom(null, 0, 7, 9),
  workspacePaused: mostly(false),
  postBooking: fc.boolean(),
});
type Paused = typeof paused extends fc.Arbitrary<infer Value> ? Value : never;

/** An independent restatement of when a pause is over. */
function isOver({ reason, automation, workspacePaused, ...lead }: Paused): boolean {
  const contact = mayBeContacted({ ...lead, optedOutAt: lead.optedOut ? NOW : null, suppressed: null });
  const booked = lead.status === "meeting-booked" && !lead.postBooking;
  if (!contact || booked || !automation || workspacePaused) return false;
  const { repliedDays, contactedDays, snoozedDays } = lead;
  switch (reason) {
    case "lead_snoozed":
      return snoozedDays === null || snoozedDays < 0;
    case "lead_replied":
      return repliedDays !== null && contactedDays !== null && contactedDays < repliedDays && contactedDays >= 7;
    case "awaiting_enrichment":
      return lead.enrichment !== "pending" || lead.email;
    case "missing_data":
      return lead.company === "Harbour" || !lead.email;
    case "manual":
      return true;
  }
}

async function add(row: Paused): Promise<string> {
  const workspaceId = await addWorkspace(sql, { paused_at: row.workspacePaused ? daysAgo(1) : null });
  const trigger_on = row.postBooking ? "meeting_selected" : "manual";
  const sequence = await addSequence(sql, workspaceId, { trigger_on, steps: [{ body: "About {{ lead.company }}" }] });
  const contacted = row.contactedDays === null ? null : daysAgo(row.contactedDays);
  const { instanceId } = await addFollowedLead(sql, workspaceId, sequence.id, {
    lead: {
      status: row.status,
      opted_out_at: row.optedOut ? daysAgo(1) : null,
      automation_enabled: row.automation,
      company: row.company,
      enrichment_status: row.enrichment,
      ...(row.email ? {} : { email: null }),
      snoozed_until: row.snoozedDays === null ? null : daysAgo(-row.snoozedDays),
      last_inbound_at: row.repliedDays === null ? null : daysAgo(row.repliedDays),
      last_outbound_at: contacted,
      last_contacted_at: contacted,
    },
    instance: { status: "paused", paused_reason: row.reason, recheck_at: daysAgo(1) },
  });
  return instanceId;
}

const STEPS = ["resume-snoozed", "resume-ghosted", "resume-awaiting-enrichment", "resume-repaired"];

describe("for any paused leads, and in batches of any size, one run", () => {
  it("resumes exactly those that may be contacted and whose pause is over", async () => {
    const law = fc.asyncProperty(
      fc.array(paused, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      async (rows, batchSize) => {
        await sql.query("delete from follow_up_instance");
        const ids: string[] = [];
        for (const row of rows) ids.push(await add(row));
        const report = await runner.run({ only: STEPS }, { ...clockAt(NOW), settings: { batchSize } });
        expect(report).toMatchObject({ success: true });
        const { rows: after } = await sql.query<{ id: string; status: string }>(
          "select id, status::text from follow_up_instance",
        );
        const active = new Set(after.filter(({ status }) => status === "active").map(({ id }) => id));
        expect(rows.map((row, index) => [row, active.has(ids[index] ?? "")])).toEqual(
          rows.map((row) => [row, isOver(row)]),
        );
      },
    );
    await fc.assert(law, { numRuns: 25 });
  }, 60_000);
});
