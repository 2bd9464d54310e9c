import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { decide } from "../../lib/domain/decide.ts";
import { readableText, withOffer, withoutOfferMarks } from "../../lib/domain/late-values.ts";
import {
  type Availability,
  type MeetingPlace,
  type Offer,
  offerOf,
  type SlotFacts,
  type Span,
} from "../../lib/domain/offered-slots.ts";
import { blockersOf, outlookOf } from "../../lib/domain/outlook.ts";
import { render } from "../../lib/domain/templates.ts";
import { lintStep } from "../../lib/domain/written-sequence.ts";
import { ONE_CASE_IN } from "../support/one-case-in.ts";
import { ALWAYS_OPEN, aLead, anItem, aStep, minutesAfter } from "./items.ts";

/** A Tuesday in summer time of Europe and North America. */
const NOW = new Date("2026-06-02T12:00:00Z");

const at = (text: string, minutes = 30): Span => {
  const startsAt = new Date(text);
  return { startsAt, endsAt: minutesAfter(startsAt, minutes) };
};

const known = (free: readonly Span[], over: Partial<Availability> = {}): Availability => ({
  reports: [{ takenAt: minutesAfter(NOW, -5), free, bookingUrl: null }],
  meetings: [],
  maxAgeMinutes: 30,
  version: "1",
  ...over,
});

const placeIn = (zone: string, hours: Partial<MeetingPlace["hours"]> = {}): MeetingPlace => ({
  zone,
  hours: { zone, window: ALWAYS_OPEN, isHoliday: () => false, ...hours },
});
const BERLIN = placeIn("Europe/Berlin");

const offered = (times: readonly Span[], touchId = "earlier"): SlotFacts["offered"] =>
  times.map((time) => ({ ...time, touchId }));

function offer(free: readonly Span[], over: Partial<SlotFacts> = {}, place = BERLIN, touchId?: string): Offer {
  const found = offerOf({ availability: known(free), offered: [], ...over }, place, NOW, touchId);
  if (typeof found === "string") throw new Error(found);
  return found;
}
const startsOf = ({ times }: Offer) => times.map(({ startsAt }) => startsAt.toISOString().slice(0, 16));

const WEDNESDAY = [at("2026-06-03T08:00Z"), at("2026-06-03T08:30Z"), at("2026-06-03T13:00Z")];
const THURSDAY = [at("2026-06-04T08:00Z"), at("2026-06-04T09:00Z")];
const FRIDAY = [at("2026-06-05T08:00Z")];

describe("an offer", () => {
  it("has the first good time of each of the next three days", () => {
    const found = offer([...WEDNESDAY, ...THURSDAY, ...FRIDAY, at("2026-06-08T08:00Z")]);
    expect(startsOf(found)).toEqual(["2026-06-03T08:00", "2026-06-04T08:00", "2026-06-05T08:00"]);
  });

  it("takes more of a day if there are not enough days", () => {
    expect(startsOf(offer([...WEDNESDAY, ...THURSDAY]))).toEqual([
      "2026-06-03T08:00",
      "2026-06-03T08:30",
      "2026-06-04T08:00",
    ]);
    expect(startsOf(offer(WEDNESDAY.slice(2)))).toEqual(["2026-06-03T13:00"]);
  });

  it("is written one time a line, in the zone of the lead, with the zone named and the link last", () => {
    const reports = [{ takenAt: NOW, free: [...WEDNESDAY, ...THURSDAY], bookingUrl: "https://book.example.test/a" }];
    const { text } = offer([], { availability: known([], { reports }) }, placeIn("America/New_York", { zone: "UTC" }));
    expect(text).toBe("Wednesday, 3 June, 09:00 (America/New_York)\nBook here: https://book.example.test/a");
  });

  it.each([
    ["+05:30", "13:30 (UTC+05:30)"],
    ["+0530", "13:30 (UTC+05:30)"],
    // Five hours behind, although its name reads as ahead.
    ["Etc/GMT+5", "09:00 (UTC-05:00)"],
    ["etc/gmt-3", "17:00 (UTC+03:00)"],
    ["europe/berlin", "16:00 (Europe/Berlin)"],
    ["Asia/Kathmandu", "13:45 (Asia/Kathmandu)"],
    ["GMT", "14:00 (GMT)"],
  ])("names the zone %s so that a person reads it right", (zone, named) => {
    const hour = { "+05:30": 8, "+0530": 8, "Asia/Kathmandu": 8 }[zone] ?? 14;
    expect(offer([at(`2026-06-03T${String(hour).padStart(2, "0")}:00Z`)], {}, placeIn(zone)).text).toBe(
      `Wednesday, 3 June, ${named}`,
    );
  });

  it("gives each time its own page if they are not all on one", () => {
    const report = (free: readonly Span[], bookingUrl: string | null) => ({ takenAt: NOW, free, bookingUrl });
    const reports = [report(WEDNESDAY.slice(0, 1), "https://a.example.test/"), report(THURSDAY.slice(0, 1), null)];
    const textFor = (more: ReturnType<typeof report>) =>
      offer([], { availability: known([], { reports: [...reports, more] }) }).text;
    expect(textFor(report(FRIDAY, "https://b.example.test/")).split("\n")).toEqual([
      "Wednesday, 3 June, 10:00 (Europe/Berlin): https://a.example.test/",
      "Thursday, 4 June, 10:00 (Europe/Berlin)",
      "Friday, 5 June, 10:00 (Europe/Berlin): https://b.example.test/",
    ]);
  });

  it("offers nothing twice to a lead, neither the text before nor one on its way", () => {
    const before = offered([WEDNESDAY[0] as Span, THURSDAY[0] as Span]);
    const found = offer([...WEDNESDAY, ...THURSDAY], { offered: before });
    expect(startsOf(found)).toEqual(["2026-06-03T08:30", "2026-06-03T13:00", "2026-06-04T09:00"]);
    const all = { availability: known(WEDNESDAY), offered: offered(WEDNESDAY) };
    expect(offerOf(all, BERLIN, NOW)).toBe("no_free_slots");
  });

  it.each([
    ["without a free time", known([]), "no_free_slots"],
    ["without a report", known([], { reports: [] }), "availability_outdated"],
    ["whose report is too old", known(WEDNESDAY, { maxAgeMinutes: 5 }), "availability_outdated"],
    ["at night", known([at("2026-06-03T05:59Z"), at("2026-06-03T18:31Z")]), "no_free_slots"],
    ["that starts in an hour", known([at("2026-06-02T13:00Z")]), "no_free_slots"],
  ])("waits %s", (_name, availability, reason) => {
    expect(offerOf({ availability, offered: [] }, BERLIN, NOW)).toBe(reason);
  });

  it.each([
    ["whose report is nearly too old", known(WEDNESDAY.slice(0, 1), { maxAgeMinutes: 6 })],
    ["in the morning", known([at("2026-06-03T06:00Z")])],
    ["in the evening", known([at("2026-06-03T18:30Z")])],
    ["that starts in more than an hour", known([at("2026-06-02T13:00:00.001Z")])],
  ])("goes out %s", (_name, availability) => {
    expect(offerOf({ availability, offered: [] }, BERLIN, NOW)).toMatchObject({ times: [expect.anything()] });
  });

  it("keeps to the hours, weekdays and holidays of the workspace, in its own zone", () => {
    const window = { days: [2, 3, 4], start: "09:00", end: "10:00" };
    const hours = { zone: "Europe/London", window, isHoliday: (date: string) => date === "2026-06-03" };
    const times = ["02T08:00", "02T14:00", "03T08:30", "04T07:59", "04T08:31", "05T08:00", "09T08:30"];
    const free = times.map((time) => at(`2026-06-${time}Z`));
    expect(startsOf(offer(free, {}, placeIn("Europe/Berlin", hours)))).toEqual(["2026-06-09T08:30"]);
  });

  it("leaves out what a meeting takes that the report does not know yet", () => {
    const meeting = { ...at("2026-06-03T08:15Z", 15), knownAt: NOW };
    const meetings = [meeting];
    const found = (of: Availability) => startsOf(offer([], { availability: of }));
    expect(found(known(WEDNESDAY.slice(0, 2), { meetings }))).toEqual(["2026-06-03T08:30"]);
    const earlier = [{ ...meeting, knownAt: minutesAfter(NOW, -11) }];
    expect(found(known(WEDNESDAY.slice(0, 1), { meetings: earlier }))).toEqual(["2026-06-03T08:00"]);
  });

  it("holds until its report is too old, or its first time too near", () => {
    expect(offer(WEDNESDAY).until).toEqual(minutesAfter(NOW, 25));
    expect(offer([at("2026-06-02T13:10Z")]).until).toEqual(minutesAfter(NOW, 10));
  });
});

describe("a text that offers times already", () => {
  const own = offered([WEDNESDAY[0] as Span, THURSDAY[0] as Span], "touch");

  it("keeps them while they are free, even if other times are free", () => {
    expect(startsOf(offer([...WEDNESDAY, ...THURSDAY, ...FRIDAY], { offered: own }, BERLIN, "touch"))).toEqual([
      "2026-06-03T08:00",
      "2026-06-04T08:00",
    ]);
  });

  it("replaces the one that was taken by times that are good now, and keeps the other", () => {
    const free = [...WEDNESDAY, ...THURSDAY.slice(1), ...FRIDAY];
    expect(startsOf(offer(free, { offered: own }, BERLIN, "touch"))).toEqual([
      "2026-06-03T08:00",
      "2026-06-04T09:00",
      "2026-06-05T08:00",
    ]);
  });

  it("does not offer again what another text offers", () => {
    const facts = { offered: [...own, ...offered(FRIDAY)] };
    expect(startsOf(offer([...THURSDAY.slice(0, 1), ...FRIDAY], facts, BERLIN, "touch"))).toEqual(["2026-06-04T08:00"]);
  });
});

/** Days on which a clock changes, and others. */
const day = fc.date({ min: new Date("2026-01-01"), max: new Date("2027-12-01"), noInvalidDate: true });

it("holds its laws in every zone, on every day", () => {
  const cases = fc.record({
    zone: fc.constantFrom(...Intl.supportedValuesOf("timeZone").filter((_, index) => index % ONE_CASE_IN === 0)),
    now: day,
    halfHours: fc.uniqueArray(fc.nat(14 * 48), { maxLength: 60 }),
    before: fc.array(fc.nat(59), { maxLength: 5 }),
  });
  fc.assert(
    fc.property(cases, ({ zone, now, halfHours, before }) => {
      const free = halfHours.map((n) => at(new Date(+now + n * 1_800_000).toISOString()));
      const reports = [{ takenAt: now, free, bookingUrl: null }];
      const told = offered(before.flatMap((index) => free[index] ?? []));
      const facts = { availability: known([], { reports }), offered: told };
      const found = offerOf(facts, placeIn(zone), now);
      const local = ({ startsAt }: Span) => Temporal.Instant.fromEpochMilliseconds(+startsAt).toZonedDateTimeISO(zone);
      const isGood = (time: Span) => {
        const start = local(time);
        const end = start.add({ minutes: 30 });
        const awake =
          start.hour >= 8 &&
          (end.hour < 21 || (end.hour === 21 && end.minute === 0 && end.second === 0 && end.millisecond === 0));
        return awake && start.toPlainDate().equals(end.toPlainDate()) && +time.startsAt > +now + 3_600_000;
      };
      const good = free.filter((time) => isGood(time) && !told.some(({ startsAt }) => +startsAt === +time.startsAt));
      if (typeof found === "string") return expect([found, good]).toEqual(["no_free_slots", []]);
      expect(found.times.every((time) => good.some(({ startsAt }) => +startsAt === +time.startsAt))).toBe(true);
      const days = (times: readonly Span[]) => new Set(times.map((time) => local(time).toPlainDate().toString())).size;
      expect(days(found.times)).toBe(Math.min(3, days(good)));
      expect(found.times.length).toBe(Math.min(3, good.length));
      expect(found.text.split("\n")).toHaveLength(found.times.length);
      for (const time of found.times) expect(found.text).toContain(local(time).toPlainTime().toString().slice(0, 5));
    }),
    { numRuns: Math.ceil(600 / ONE_CASE_IN) },
  );
});

describe("a template with slots", () => {
  const step = aStep({ body: "Hi {{ lead.first_name }}\n{% if slots %}One of these?\n{% endif %}{{ slots }}\nHana" });
  const slots = { availability: known(WEDNESDAY.slice(2)), offered: [] };

  it("goes out with the times in place of it", () => {
    const decision = decide(anItem({ steps: [step], slots }), NOW);
    expect(decision).toMatchObject({ kind: "send", offer: { times: WEDNESDAY.slice(2) } });
    const body = "message" in decision ? decision.message.body : "";
    expect(withoutOfferMarks(body)).toBe("Hi Ada\nOne of these?\nWednesday, 3 June, 15:00 (Europe/Berlin)\nHana");
    const again = withOffer({ subject: null, body }, "Thursday\nBook here: https://a.example.test/$&");
    expect(readableText(again.body)).toBe(
      "Hi Ada\nOne of these?\nThursday\nBook here: https://a.example.test/$&\nHana",
    );
  });

  it("is held without times, by name, and says so where people look", () => {
    const none = anItem({
      steps: [{ ...step, needsApproval: true }],
      instance: { nextStepDue: NOW },
      slots: { ...slots, availability: known([]) },
    });
    const held = { kind: "hold", reason: "no_free_slots", rule: "times_to_offer", until: minutesAfter(NOW, 15) };
    expect(decide(none, NOW)).toMatchObject(held);
    expect(decide(anItem({ steps: [step] }), NOW)).toMatchObject({ kind: "hold", reason: "availability_outdated" });
    expect(blockersOf(none, NOW).map(({ reason }) => reason)).toEqual(["no_free_slots"]);
    expect(outlookOf(none, NOW)).toMatchObject({ goes: "not", reason: "no_free_slots" });
    expect(
      outlookOf(anItem({ steps: [step], slots, instance: { nextStepDue: minutesAfter(NOW, 1_440) } }), NOW),
    ).toMatchObject({ goes: "at" });
  });

  it("never holds a text that does not offer any", () => {
    const quiet = aStep({ body: "{% if slots %}Soon?{% endif %}" });
    expect(decide(anItem({ steps: [quiet] }), NOW)).toMatchObject({ kind: "send", message: { body: "Soon?" } });
  });

  it.each([
    ["{{ slots }}", null],
    ["{{- slots -}}", null],
    ["{% if slots %}a{% endif %}", null],
    ["{{ slots | upcase }}", "the offered times inside something else"],
    ["{% assign a = slots %}{{ a }}", "the offered times inside something else"],
    ["{{ lead.company | append: slots }}", "the offered times inside something else"],
    ["{% assign slots = lead.company %}", "an assign without a valid name"],
    ["{{ slots.first }}", "unknown variable"],
  ])("is written alone: %s", (body, fault) => {
    const messages = lintStep(aStep({ body })).map(({ message }) => message);
    expect(messages).toEqual(fault === null ? [] : [expect.stringContaining(fault)]);
  });

  it("is no subject", () => {
    const subject = "{{ slots }}";
    expect(lintStep(aStep({ subject }))).toEqual([
      { part: "subject", message: expect.stringContaining("write them in the body") },
    ]);
    expect(render(aStep({ subject }), aLead(), { name: "Northwind" })).toEqual({
      kind: "invalid",
      fault: "the subject offers times",
    });
  });
});
