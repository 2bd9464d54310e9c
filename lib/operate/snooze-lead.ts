import * as z from "zod";
import { startOfLocalDay } from "../domain/calendar.ts";
import { laterInZone, MINUTES_PER_DAY, zoneOrUtc, zoneUsed } from "../domain/time-zone.ts";
import { readLeadState } from "../store/stories.ts";
import { reportedBy, reportFact } from "./fact-order.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { isoInstant, order, Refused } from "./operation.ts";

export const MOST_SNOOZED_DAYS = 3_650;

const length = z.discriminatedUnion("kind", [
  /** Until this day starts in the lead's zone. */
  z.strictObject({ kind: z.literal("until"), date: z.iso.date() }),
  /** The same time of day, so many days later, in the lead's zone. */
  z.strictObject({ kind: z.literal("days"), days: z.int().min(1).max(MOST_SNOOZED_DAYS) }),
  z.strictObject({ kind: z.literal("end") }),
]);

/** `leads snooze`: the lead's sequences pause until then. `end` ends a snooze. */
export const snoozeLead = order({
  name: "leads snooze",
  summary: "Pauses a lead's sequences until a day, or ends such a pause.",
  input: leadInput.extend({ length }),
  answer: z.object({ workspaceId: z.guid(), until: isoInstant.nullable(), zone: z.string() }),
  async run(db, { length: asked, ...named }, placed) {
    const { id, workspaceId } = await theLead(db, named);
    const { timeZone, workspaceTimeZone } = await readLeadState(db, id);
    const zone = zoneOrUtc(zoneUsed({ timeZone }, { timeZone: workspaceTimeZone }).zone);
    const until = endOf(asked, placed.at, zone);
    await reportFact(db, { ...reportedBy(placed), type: "lead.snoozed", workspaceId, lead: { id }, until });
    return { workspaceId, leadId: id, answer: { workspaceId, until, zone } };
  },
});

function endOf(asked: z.output<typeof length>, now: Date, zone: string): Date | null {
  if (asked.kind === "end") return null;
  if (asked.kind === "days") return laterInZone(now, asked.days * MINUTES_PER_DAY, zone);
  const until = startOfLocalDay(asked.date, zone);
  const latest = laterInZone(now, MOST_SNOOZED_DAYS * MINUTES_PER_DAY, zone);
  if (until > now && until <= latest) return until;
  throw new Refused("invalid_input", `the date ${asked.date} must be ahead, within ${MOST_SNOOZED_DAYS} days`);
}
