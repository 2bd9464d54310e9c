import { describe, expect, it } from "@jest/globals";
import { isAhead, isNews, type MeetingState } from "../../lib/domain/meeting.ts";

const at = (minute: number): Date => new Date(Date.UTC(2030, 0, 7, 9, minute));
const told = (over: Partial<MeetingState> = {}): MeetingState => ({
  status: "confirmed",
  startsAt: at(10),
  endsAt: at(40),
  lastEventAt: at(0),
  ...over,
});

describe("a report about a meeting", () => {
  /** Ascending: each is newer than the previous one. */
  const inOrder: readonly MeetingState[] = [
    told({ status: "cancelled", startsAt: at(30), endsAt: at(59) }),
    told({ status: "missed", startsAt: at(20), endsAt: at(50) }),
    told(),
    told({ endsAt: at(41) }),
    told({ startsAt: at(11), endsAt: at(39) }),
    told({ status: "cancelled", startsAt: at(9), endsAt: at(20), lastEventAt: at(1) }),
  ];

  it("is newer by the provider's time, then its kind, then the meeting's time", () => {
    for (const [index, later] of inOrder.entries()) {
      expect(isNews(later, null)).toBe(true);
      for (const [other, known] of inOrder.entries()) expect(isNews(later, known)).toBe(index > other);
    }
  });
});

describe("a meeting is ahead", () => {
  it("while it is confirmed and not over", () => {
    expect(isAhead(told(), at(39))).toBe(true);
    expect(isAhead(told(), at(40))).toBe(false);
    expect(isAhead(told({ status: "cancelled" }), at(39))).toBe(false);
    expect(isAhead(null, at(39))).toBe(false);
  });
});
