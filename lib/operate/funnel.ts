import * as z from "zod";
import { startOfLocalDay, startOfNextLocalDay } from "../domain/calendar.ts";
import { zoneOrUtc } from "../domain/time-zone.ts";
import { instant } from "../inbound/instant.ts";
import { funnelStep, readFunnel } from "../store/funnel.ts";
import { isoInstant, question, Refused } from "./operation.ts";
import { theOrOnlyWorkspace, workspaceName } from "./workspaces.ts";

/** Below the 6 MB of an answer. */
const MAX_STEPS = 10_000;

/** A local date of the workspace, or an instant. */
const error = "must be a date such as 2027-03-01, or an instant such as 2027-03-01T14:00:00Z";
const dateOrInstant = z.union([z.iso.date({ error }), instant], { error });
type DateOrInstant = z.output<typeof dateOrInstant>;

/** `funnel`: by sequence, version and step, the newest version first. */
export const funnel = question({
  name: "funnel",
  summary: "Shows for each step what was sent, and what became of it.",
  input: z.strictObject({
    workspace: workspaceName.optional(),
    /** Touches that were made from then on. */
    since: dateOrInstant.optional(),
    /** Touches that were made before this instant, or until the end of this date. */
    until: dateOrInstant.optional(),
  }),
  answer: z.object({
    workspaceId: z.guid(),
    workspace: z.string(),
    /** The requested period, and the zone of its dates; `until` is exclusive. */
    since: isoInstant.nullable(),
    until: isoInstant.nullable(),
    zone: z.string(),
    /**
     * Steps with a touch in the period. A reply, booking or opt-out counts at the last touch that was sent to the lead
     * before it, also if it came after the period.
     */
    steps: z.array(funnelStep),
    /** Whether there are more steps than 10,000. */
    more: z.boolean(),
  }),
  async run(db, { workspace, since: given, until: givenEnd }) {
    const { id, name, timeZone } = await theOrOnlyWorkspace(db, workspace);
    const zone = zoneOrUtc(timeZone);
    const since = given === undefined ? null : startOf(given, zone);
    const until = givenEnd === undefined ? null : endOf(givenEnd, zone);
    if (since && until && since >= until) throw new Refused("invalid_input", "since: must be before until");
    const found = await readFunnel(db, { workspaceId: id, since, until, limit: MAX_STEPS + 1 });
    const steps = found.slice(0, MAX_STEPS);
    return { workspaceId: id, workspace: name, since, until, zone, steps, more: found.length > MAX_STEPS };
  },
});

const startOf = (given: DateOrInstant, zone: string): Date =>
  given instanceof Date ? given : startOfLocalDay(given, zone);

const endOf = (given: DateOrInstant, zone: string): Date =>
  given instanceof Date ? given : startOfNextLocalDay(startOfLocalDay(given, zone), zone);
