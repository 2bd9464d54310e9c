import { describe, expect, it } from "@jest/globals";
import { type EnrolmentFacts, enrolmentVerdict, mayBeContacted } from "../../lib/domain/enrolment.ts";
import { LEAD_STATUSES } from "../../lib/domain/labels.ts";

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
const NOT_TO_BE_CONTACTED: readonly string[] = ["blacklisted", "unqualified", "not-interested"];

describe("an enrolment", () => {
  it.each<[string, Partial<EnrolmentFacts>, Partial<typeof CHASE>, string]>([
    ["takes a lead that nothing is against", {}, {}, "enrolled"],
    [
      "refuses one that opted out, whatever else it is",
      { optedOutAt: SOME_TIME, status: "blacklisted" },
      {},
      "opted_out",
    ],
    ["refuses a booked one", { isBooked: true }, {}, "booked"],
    ["refuses one that booked since it was to be enrolled", { bookedSince: true }, {}, "booked"],
    [
      "takes a booked one into a sequence after booking",
      { isBooked: true, bookedSince: true },
      { isPostBooking: true },
      "enrolled",
    ],
    ["leaves one that knows the sequence where it is", { knowsSequence: true }, {}, "already_enrolled"],
    [
      "begins anew with one that knows the sequence where that is asked",
      { knowsSequence: true },
      { restart: true },
      "enrolled",
    ],
    [
      "restarts nothing that began later",
      { knowsSequence: true, startedSince: true },
      { restart: true },
      "already_enrolled",
    ],
  ])("%s", (_, over, enrolling, verdict) => {
    expect(enrolmentVerdict(lead(over), { ...CHASE, ...enrolling })).toBe(verdict);
  });

  it("refuses a lead that would be held for its time zone, and no other", () => {
    expect(enrolmentVerdict(lead({ timeZone: "IST" }), CHASE)).toBe(
      "invalid: time_zone of the lead is not a time zone",
    );
    expect(enrolmentVerdict(lead({ timeZone: "Asia/Kolkata" }), CHASE)).toBe("enrolled");
  });

  it.each(LEAD_STATUSES)("asks whether a lead that is %s may be contacted", (status) => {
    const refused = NOT_TO_BE_CONTACTED.includes(status);
    expect(enrolmentVerdict(lead({ status }), CHASE)).toBe(refused ? `invalid: the lead is ${status}` : "enrolled");
    expect(mayBeContacted({ status, optedOutAt: null, suppressed: null })).toBe(!refused);
    expect(mayBeContacted({ status, optedOutAt: SOME_TIME, suppressed: null })).toBe(false);
    expect(mayBeContacted({ status, optedOutAt: null, suppressed: "complained" })).toBe(false);
  });
});
