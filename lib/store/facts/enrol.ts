import * as z from "zod";
import { type EnrolmentVerdict, enrolmentVerdict } from "../../domain/enrolment.ts";
import { SUPPRESSION_REASONS } from "../../domain/labels.ts";
import { MOST_FIELDS } from "../../domain/lead-fields.ts";
import type { FactOf } from "../../inbound/facts.ts";
import type { FactOutcome } from "../../run/apply-messages.ts";
import { storedInstant } from "../rows.ts";
import { many, type Queryable, type Transactional } from "../sql.ts";
import { applyOnce, lockFacts, notAfter } from "./apply-once.ts";
import { endSuppressed, lockStartableSequences, type StartableSequence, startInstances } from "./instances.ts";
import { lockAddressOf, refuseFact } from "./leads.ts";
import { readLeads, withPhones, writeLeads } from "./write-leads.ts";

type Enrolment = FactOf<"lead.enrolled">;

/**
 * Upserts the leads and starts the sequence for those that may enter it. The outcome holds one verdict per lead; a lead
 * that may not enter does not block the others.
 */
export const leadEnrolled = (db: Transactional, fact: Enrolment): Promise<FactOutcome> =>
  applyOnce(db, fact, async (transaction, now) => {
    const [sequence] = await lockStartableSequences(transaction, fact.workspaceId, fact.sequence);
    if (!sequence) return refuseFact("sequence: the workspace has no such sequence, or it has no step");
    const entries = await withPhones(transaction, fact.workspaceId, readLeads(fact.leads));
    const detailsUpdatedAt = notAfter(now, fact.occurredAt);
    const written = await writeLeads(transaction, { workspaceId: fact.workspaceId, detailsUpdatedAt }, entries);
    const leadIds = [...written.ids.values()];
    const ended = await endSuppressed(transaction, { workspaceId: fact.workspaceId, leadIds, now });
    const leads = await readEnrolmentFacts(transaction, fact, sequence, leadIds);
    const verdicts = entries.map((lead, index) => {
      if ("invalid" in lead) return lead.invalid;
      if (written.overfull.has(index)) return OVERFULL;
      const facts = leads.get(written.ids.get(index) ?? "");
      if (!facts) return "invalid: repeats another lead of this event";
      return enrolmentVerdict(facts, { ...sequence, restart: fact.restart });
    });
    const entering = [...written.ids]
      .filter(([index]) => verdicts[index] === "enrolled")
      .flatMap(([, id]) => leads.get(id) ?? []);
    const started = await startInstances(transaction, sequence, entering, { now, startedAt: detailsUpdatedAt });
    return { outcome: "applied", ...ended, started, verdicts };
  });

const OVERFULL = `invalid: fields: the lead would have more than ${MOST_FIELDS} custom fields` as const;

interface OneEnrolment {
  readonly workspaceId: string;
  readonly leadId: string;
  readonly sequenceId: string;
  /** Whether a lead that is or was in the sequence restarts it. */
  readonly restart: boolean;
  readonly now: Date;
}

/** Starts a sequence for a stored lead if it may enter it. `no_steps`: the sequence has none. */
export async function enrol(
  db: Queryable,
  { workspaceId, leadId, sequenceId, restart, now }: OneEnrolment,
): Promise<EnrolmentVerdict | "no_steps"> {
  await lockFacts(db, workspaceId);
  const [sequence] = await lockStartableSequences(db, workspaceId, { id: sequenceId });
  if (!sequence) return "no_steps";
  await lockAddressOf(db, workspaceId, { id: leadId });
  const lead = (await readEnrolmentFacts(db, { occurredAt: now }, sequence, [leadId])).get(leadId);
  if (!lead) return "invalid: the lead was erased";
  const verdict = enrolmentVerdict(lead, { ...sequence, restart });
  if (verdict === "enrolled") await startInstances(db, sequence, [lead], { now, startedAt: now });
  return verdict;
}

const factsRow = z.object({
  id: z.guid(),
  timeZone: z.string().nullable(),
  status: z.string(),
  isBooked: z.boolean(),
  optedOutAt: storedInstant.nullable(),
  // A reason from a newer version of the code also bars the lead.
  suppressed: z.enum(SUPPRESSION_REASONS).exclude(["undeliverable"]).nullable().catch("opted_out"),
  bookedSince: z.boolean(),
  knowsSequence: z.boolean(),
  startedSince: z.boolean(),
});

/** The facts of `enrolmentVerdict` by lead id, for an entry into the sequence at `occurredAt`. */
export async function readEnrolmentFacts(
  db: Queryable,
  { occurredAt }: Pick<Enrolment, "occurredAt">,
  sequence: StartableSequence,
  leadIds: readonly string[],
): Promise<ReadonlyMap<string, z.infer<typeof factsRow>>> {
  const leads = await many(db, factsRow)`
    select lead.id, lead.time_zone as "timeZone", lead.status::text, lead.is_booked as "isBooked",
           lead.opted_out_at as "optedOutAt", lead.suppressed_reason::text as suppressed,
           exists (select from appointment
                    where workspace_id = lead.workspace_id and lead_id = lead.id
                      and coalesce(confirmed_at, case status when 'confirmed' then last_event_at end) > ${occurredAt}) as "bookedSince",
           exists (select from follow_up_instance
                    where workspace_id = lead.workspace_id and lead_id = lead.id
                      and sequence_id = ${sequence.id}::uuid) as "knowsSequence",
           exists (select from follow_up_instance
                    where workspace_id = lead.workspace_id and lead_id = lead.id
                      and sequence_id = ${sequence.id}::uuid and started_at >= ${occurredAt}) as "startedSince"
      from lead
     where id = any(${[...leadIds]}::uuid[])`;
  return new Map(leads.map((lead) => [lead.id, lead]));
}
