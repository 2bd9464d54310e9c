import * as z from "zod";
import { readMeetingTimes } from "../domain/meeting.ts";
import { minutesAfter, zoneOrUtc, zoneUsed } from "../domain/time-zone.ts";
import type { LeadMatch } from "../store/lead-lookups.ts";
import { readLeadState } from "../store/stories.ts";
import { reportedBy, reportFact } from "./fact-order.ts";
import { leadInput, theLead } from "./find-leads.ts";
import { isoInstant, order, Refused } from "./operation.ts";

const MOST_MINUTES = 24 * 60;

/** `leads book`: as the fact `meeting.booked`, for every lead with the address or number. Reported again, it moves. */
export const bookLead = order({
  name: "leads book",
  summary: "Reports a meeting that was agreed outside the booking tools, such as by phone, or moves it.",
  input: leadInput.extend({
    /** Local in the lead's zone, or with an offset. */
    startsAt: z.string().max(100),
    minutes: z.int().min(1).max(MOST_MINUTES).default(60),
  }),
  answer: z.object({
    workspaceId: z.guid(),
    startsAt: isoInstant,
    zone: z.string(),
    ended: z.int(),
    cancelledTouches: z.int(),
    /** Post-booking sequences that started. */
    started: z.int(),
  }),
  async run(db, { startsAt: time, minutes, ...named }, placed) {
    const lead = await theLead(db, named);
    const { workspaceId } = lead;
    const { timeZone, workspaceTimeZone } = await readLeadState(db, lead.id);
    const zone = zoneOrUtc(zoneUsed({ timeZone }, { timeZone: workspaceTimeZone }).zone);
    const startsAt = startOf(time, zone);
    const meeting = { ...meetingOf(lead), startsAt, endsAt: minutesAfter(startsAt, minutes) };
    const { ended, cancelledTouches, started } = await reportFact(db, {
      ...reportedBy(placed),
      type: "meeting.booked",
      workspaceId,
      lead: referenceOf(lead),
      meeting,
    });
    return { workspaceId, leadId: lead.id, answer: { workspaceId, startsAt, zone, ended, cancelledTouches, started } };
  },
});

/** `leads unbook`: as the fact `meeting.cancelled`. A lead that another meeting keeps booked is not changed. */
export const unbookLead = order({
  name: "leads unbook",
  summary: "Takes back a booking that `leads book` reported, or that only the lead's status says. Restarts nothing.",
  input: leadInput,
  answer: z.object({ workspaceId: z.guid(), ended: z.int(), cancelledTouches: z.int() }),
  async run(db, input, placed) {
    const lead = await theLead(db, input);
    const { id, workspaceId } = lead;
    const isBooked = async () => (await readLeadState(db, id)).isBooked;
    if (!(await isBooked())) throw new Refused("not_booked", "the lead has booked no meeting");
    const { ended, cancelledTouches } = await reportFact(db, {
      ...reportedBy(placed),
      type: "meeting.cancelled",
      workspaceId,
      lead: referenceOf(lead),
      meeting: { ...meetingOf(lead), startsAt: null, endsAt: null },
    });
    if (await isBooked())
      throw new Refused("booked_elsewhere", "the lead has a meeting of a calendar: cancel it in that calendar");
    return { workspaceId, leadId: id, answer: { workspaceId, ended, cancelledTouches } };
  },
});

/** One for each lead, so that the next report moves it. */
const meetingOf = ({ id }: LeadMatch) => ({ id: `by-hand:${id}` });

/** As a booking tool would name the person, so that other leads with the address stop too. */
const referenceOf = ({ id, email, phone }: LeadMatch) => ({
  id,
  ...(email !== null && { email }),
  ...(phone !== null && { phone }),
});

function startOf(time: string, timeZone: string): Date {
  const { times, assumed } = readMeetingTimes({ startsAt: time, durationMinutes: 1, timeZone });
  if (times && assumed.length === 0) return times.startsAt;
  throw new Refused("invalid_input", "startsAt: must be a day and a time, such as 2027-03-01T10:00");
}
