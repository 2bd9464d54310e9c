import { describe, expect, it } from "@jest/globals";
import { type EnrolmentFacts, enrolmentVerdict } from "../../lib/domain/enrolment.ts";
import { LEAD_STATUSES } from "../../lib/domain/labels.ts";
import { mayBeContacted } from "../../lib/domain/rules.ts";

const lead = (over: Partial<EnrolmentFacts> = {}): EnrolmentFacts => ({
  status: "new",
  isBooked: false,
  bookedSince: false,
  optedOutAt: null,
  suppressed: null,
  timeZone: null,
  knowsSequence: false,
  startedSince: false,
  ...over,
});
const CHASE = { isPostBooking: false, restart: false };
const SOME_TIME = new Date("2030-01-07T09:00:00Z");
const NOT_TO_BE_CONTACTED: readonly string[] = ["blacklisted", "unqualified", "not-interested", "from-newer-code"];

describe("an enrolment", () => {
  it.each<[string, Partial<EnrolmentFacts>, Partial<typeof CHASE>, string]>([
    ["accepts a lead without any obstacle", {}, {}, "enrolled"],
    ["rejects a lead that opted out, in any status", { optedOutAt: SOME_TIME, status: "blacklisted" }, {}, "opted_out"],
    ["rejects a booked lead", { isBooked: true }, {}, "booked"],
    ["rejects a lead that booked after the enrolment event", { bookedSince: true }, {}, "booked"],
    [
      "accepts a booked lead for a post-booking sequence",
      { isBooked: true, bookedSince: true },
      { isPostBooking: true },
      "enrolled",
    ],
    ["leaves a lead that is in the sequence unchanged", { knowsSequence: true }, {}, "already_enrolled"],
    [
      "restarts a lead that is in the sequence if the event requests it",
      { knowsSequence: true },
      { restart: true },
      "enrolled",
    ],
    [
      "does not restart an instance that started after the event",
      { knowsSequence: true, startedSince: true },
      { restart: true },
      "already_enrolled",
    ],
  ])("%s", (_, over, enrolling, verdict) => {
    expect(enrolmentVerdict(lead(over), { ...CHASE, ...enrolling })).toBe(verdict);
  });

  it("rejects a lead with an invalid time zone, and no other", () => {
    expect(enrolmentVerdict(lead({ timeZone: "IST" }), CHASE)).toBe(
      "invalid: time_zone of the lead is not a time zone",
    );
    expect(enrolmentVerdict(lead({ timeZone: "Asia/Kolkata" }), CHASE)).toBe("enrolled");
  });

  it.each([...LEAD_STATUSES, "from-newer-code"])("checks whether a lead with status %s may be contacted", (status) => {
    const refused = NOT_TO_BE_CONTACTED.includes(status);
    expect(enrolmentVerdict(lead({ status }), CHASE)).toBe(refused ? `invalid: the lead is ${status}` : "enrolled");
    expect(mayBeContacted({ status, optedOutAt: null, suppressed: null })).toBe(!refused);
    expect(mayBeContacted({ status, optedOutAt: SOME_TIME, suppressed: null })).toBe(false);
    expect(mayBeContacted({ status, optedOutAt: null, suppressed: "complained" })).toBe(false);
  });
});
