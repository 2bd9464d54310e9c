import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { pauseAdvice, startAdvice, timeAdvice, valueAdvice, valuesUsed } from "../../lib/domain/advice.ts";
import { nextOpening, type Opening, type SendCalendar, type SendWindow } from "../../lib/domain/calendar.ts";
import { decide } from "../../lib/domain/decide.ts";
import { perChannel, SEQUENCE_TRIGGERS } from "../../lib/domain/labels.ts";
import { outlookOf } from "../../lib/domain/outlook.ts";
import { SendYear } from "../../lib/domain/send-year.ts";
import { laterInZone } from "../../lib/domain/time-zone.ts";
import type { WrittenSequence, WrittenStep } from "../../lib/domain/written-sequence.ts";
import { anItem, aStep } from "./items.ts";

const NOW = new Date("2026-11-30T08:00:00Z");
const WEEKDAYS = { days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" };
const calendar = (window: SendWindow = WEEKDAYS, zone = "Europe/Berlin"): SendCalendar => ({
  zone,
  window,
  isHoliday: () => false,
});

const NEVER = perChannel((): Date | null => null);

const stepOf = (over: Partial<WrittenStep> = {}): WrittenStep => ({
  key: "text",
  delayMinutes: 24 * 60,
  channel: "task",
  subject: null,
  body: "Call",
  allow: [],
  condition: "always",
  needsApproval: false,
  timeToLiveMinutes: null,
  ...over,
});
const sequenceOf = (...steps: readonly WrittenStep[]): WrittenSequence => ({
  name: "Chase",
  triggerOn: "no_response",
  active: true,
  steps,
});

/** The decision of a run on the step after a message at that time. */
function goes(sent: Date, { delayMinutes, timeToLiveMinutes }: WrittenStep, { zone, window }: SendCalendar): boolean {
  const due = laterInZone(sent, delayMinutes, zone);
  const opening = nextOpening(due, calendar(window, zone));
  if (!opening) throw new Error("the window never opens");
  const item = anItem({
    lead: { timeZone: zone },
    steps: [aStep({ timeToLiveMinutes, channel: "task", subject: null })],
    instance: { nextStepDue: due },
    workspace: { sendWindow: window },
  });
  const decision = decide(item, opening.from);
  if (decision.kind !== "send" && decision.kind !== "expire") throw new Error(`unexpected: ${decision.kind}`);
  return decision.kind === "send";
}

/** Each hour of the opening, and its last minute. */
const hourly = ({ from, until }: Opening): readonly Date[] => [
  ...Array.from({ length: Math.ceil((+until - +from) / HOUR_MS) }, (_, hour) => new Date(+from + hour * HOUR_MS)),
  new Date(+until - 60_000),
];
const HOUR_MS = 3_600_000;

const time = fc
  .integer({ min: 0, max: 47 })
  .map((half) => `${String(half >> 1).padStart(2, "0")}:${half % 2 ? "30" : "00"}`);
const window = fc
  .record({ days: fc.subarray([1, 2, 3, 4, 5, 6, 7], { minLength: 1 }), start: time, end: time })
  .filter(({ start, end }) => start !== end);

describe("advice on pauses between touches", () => {
  const zones = fc.constantFrom(
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Tokyo",
  );
  const minutesUpTo = (max: number) => fc.integer({ min: 0, max });

  it("is given only if runs let the step expire after every message before it, wherever the lead lives", () => {
    let given = 0;
    fc.assert(
      fc.property(
        window,
        zones,
        fc.record({ delayMinutes: minutesUpTo(2_000), timeToLiveMinutes: minutesUpTo(600).map((one) => one + 1) }),
        minutesUpTo(3_000),
        fc.boolean(),
        (open, zone, over, gapMinutes, sameChannel) => {
          const [before, step] = [stepOf({ key: "before", channel: sameChannel ? "task" : "webhook" }), stepOf(over)];
          const advice = pauseAdvice(sequenceOf(before, step), { gapMinutes, sendWindow: open });
          if (advice.length === 0) return;
          given += 1;
          for (const sent of sentTimes(open, zone)) {
            const item = anItem({
              lead: { timeZone: zone, lastOutboundAt: sent, lastTouchAt: { ...NEVER, [before.channel]: sent } },
              steps: [aStep({ ...over, channel: "task", subject: null })],
              instance: { nextStepDue: laterInZone(sent, over.delayMinutes, zone) },
              workspace: { sendWindow: open, gapMinutes },
            });
            expect(outlookOf(item, sent)).toMatchObject({ goes: "not", reason: "time_to_live_over" });
          }
        },
      ),
      { numRuns: 120 },
    );
    expect(given).toBeGreaterThan(5);
  });

  /** Some sends around changes of the clock and at both ends of the window. */
  function sentTimes(open: SendWindow, zone: string): readonly Date[] {
    const from = ["2026-03-07T00:00:00Z", "2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z", "2026-10-31T00:00:00Z"];
    return from.flatMap((start) => {
      const opening = nextOpening(new Date(start), calendar(open, zone));
      return opening ? [opening.from, new Date(+opening.until - 60_000), new Date(+opening.until - 1)] : [];
    });
  }

  it("names the step, the step before it and the cause, and nothing that may go", () => {
    const soon = stepOf({ delayMinutes: 60, timeToLiveMinutes: 90 });
    const mail = stepOf({ key: "mail", channel: "email" });
    const advised = (steps: readonly WrittenStep[], gapMinutes: number) =>
      pauseAdvice(sequenceOf(...steps), { gapMinutes, sendWindow: WEEKDAYS }).map(
        ({ step, text }) => `${step}: ${text}`,
      );
    expect(advised([mail, soon], 150)).toEqual([
      expect.stringMatching(/^text: expires unsent whenever step mail was sent: the gap .*150 minutes/),
    ]);
    expect(advised([mail, soon], 149)).toEqual([]);
    expect(advised([stepOf({ key: "call" }), soon], 0)).toEqual([
      expect.stringMatching(/^text: .* step call was sent: a channel reaches a lead once a day/),
    ]);
    expect(advised([stepOf({ key: "call" }), { ...soon, timeToLiveMinutes: 420 }], 0)).toEqual([]);
    expect(advised([soon], 1_000)).toEqual([]);
    expect(advised([mail, { ...soon, timeToLiveMinutes: null }], 1_000)).toEqual([]);
  });
});

describe("advice on times", () => {
  it("says that a step can never go, or may expire, exactly if runs decide so", () => {
    fc.assert(
      fc.property(
        window,
        fc.constantFrom("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"),
        fc.integer({ min: 0, max: 5 * 24 }).map((hours) => hours * 60),
        fc.integer({ min: 1, max: 4 * 24 * 2 }).map((halves) => halves * 30),
        (open, zone, delayMinutes, timeToLiveMinutes) => {
          const days = calendar(open, zone);
          const year = new SendYear(days, NOW);
          const step = stepOf({ delayMinutes, timeToLiveMinutes });
          const share = year.expiringShare(step, false);
          const last = year.openings.at(-1)?.from ?? NOW;
          const sent = year.openings.flatMap(hourly).filter((at) => laterInZone(at, delayMinutes, zone) < last);
          const some = (outcome: boolean, times: readonly Date[]) =>
            times.some((at) => goes(at, step, days) === outcome);
          const fewer = sent.filter((_, index) => index % 11 === 0);
          if (share === 0) expect(some(false, fewer)).toBe(false);
          else if (share === 1) expect(some(true, fewer)).toBe(false);
          else expect([some(true, sent), some(false, sent)]).toEqual([true, true]);
        },
      ),
      { numRuns: 6 },
    );
  });

  it("names a step whose delay always ends at night, and none that is delayed to the morning", () => {
    const evening = stepOf({ key: "evening", delayMinutes: 12 * 60, timeToLiveMinutes: 60 });
    const nextDay = stepOf({ key: "next-day", delayMinutes: 7 * 24 * 60, timeToLiveMinutes: 60 });
    const advice = timeAdvice(sequenceOf(stepOf(), evening, nextDay), new SendYear(calendar(), NOW));
    expect(advice).toMatchObject([
      { kind: "never_sent", step: "evening", text: expect.stringMatching(/\(60 minutes|1 hours\)/) },
    ]);
  });

  it("says how many due times a weekend lets expire, with the longest time without sending", () => {
    const text = stepOf({ delayMinutes: 2 * 24 * 60, timeToLiveMinutes: 24 * 60 });
    const year = new SendYear(calendar(), NOW);
    const [advice, ...others] = timeAdvice(sequenceOf(stepOf(), text), year);
    expect(others).toEqual([]);
    // Messages of Thursday are due on Saturday, more than a day before Monday. In October, a weekend has 65 hours.
    expect(advice).toMatchObject({
      kind: "may_expire",
      text: expect.stringMatching(/about 2\d % .*24 hours.*65 hours/),
    });
  });

  it("counts holidays, and starts at any hour for the first step", () => {
    const first = sequenceOf(stepOf({ timeToLiveMinutes: 66 * 60 }));
    expect(timeAdvice(first, new SendYear(calendar(), NOW))).toEqual([]);
    const closed = { ...calendar(), isHoliday: (date: string) => date === "2026-12-25" };
    expect(timeAdvice(first, new SendYear(closed, NOW))).toMatchObject([
      { kind: "may_expire", text: expect.stringMatching(/88 hours/) },
    ]);
  });

  it("has none for a step without a time to live, and none while the window is always open", () => {
    const always = new SendYear(calendar({ days: [1, 2, 3, 4, 5, 6, 7], start: "00:00", end: "24:00" }), NOW);
    expect(timeAdvice(sequenceOf(stepOf({ timeToLiveMinutes: 1 })), always)).toEqual([]);
    expect(timeAdvice(sequenceOf(stepOf()), new SendYear(calendar(), NOW))).toEqual([]);
  });
});

describe("advice on values", () => {
  const given = (leads: number, ...keys: ("email" | "phone" | "firstName" | "company")[]) => ({
    leads,
    keys,
    fields: [],
  });
  const mail = (body: string, over: Partial<WrittenStep> = {}) =>
    sequenceOf(stepOf({ key: "mail", channel: "email", subject: "Hi {{ lead.first_name }}", body, ...over }));

  it("counts the leads for which the step pauses", () => {
    const population = [
      given(7, "email", "firstName", "company"),
      given(3, "email", "company"),
      given(2, "email", "firstName"),
    ];
    expect(valueAdvice(mail("At {{ lead.company }}?"), population)).toMatchObject([
      {
        kind: "value_missing",
        step: "mail",
        text: expect.stringMatching(/3 of 12 leads, which lack lead\.first_name/),
      },
      { text: expect.stringMatching(/2 of 12 leads, which lack lead\.company/) },
    ]);
  });

  it("counts none for a default or a condition, and none that another rule skips", () => {
    const safe = `{{ lead.company | default: "you" }}{% if lead.company %}, {{ lead.company }}{% endif %}`;
    const subject = "Hello";
    expect(valueAdvice(mail(safe, { subject }), [given(5, "email")])).toEqual([]);
    expect(valueAdvice(mail("{{ lead.company }}", { subject }), [given(5, "phone")])).toEqual([]);
    const called = mail("{{ lead.phone }}", { subject, condition: "phone_provided" });
    expect(valueAdvice(called, [given(5, "email")])).toEqual([]);
    expect(valueAdvice(mail("{{ lead.phone }}", { subject }), [given(5, "email")])).toHaveLength(1);
  });

  it("counts custom fields as well", () => {
    const step = mail("{{ lead.fields.job_title }}", { subject: "Hello" });
    const population = [given(4, "email"), { ...given(3, "email"), fields: ["job_title"] }];
    expect(valueAdvice(step, population)).toMatchObject([
      { text: expect.stringMatching(/4 of 7 leads, which lack lead\.fields\.job_title/) },
    ]);
  });

  it("needs only the values that the texts use", () => {
    expect(valuesUsed([mail("{{ lead.company }} {{lead.fields.job_title|upcase}}")])).toEqual({
      keys: ["email", "firstName", "company", "phone"],
      fields: ["job_title"],
    });
  });
});

describe("advice on starts", () => {
  it.each(SEQUENCE_TRIGGERS)("is given once nothing has started an active sequence: %s", (triggerOn) => {
    const sequence = { ...sequenceOf(stepOf()), triggerOn };
    const nothing = { hadLeads: false, hasMeetings: false };
    expect(startAdvice(sequence, nothing)).toMatchObject([{ kind: "nothing_starts", sequence: "Chase", step: null }]);
    expect(startAdvice(sequence, { ...nothing, hadLeads: true })).toEqual([]);
    expect(startAdvice({ ...sequence, active: false }, nothing)).toEqual([]);
    expect(startAdvice(sequence, { ...nothing, hasMeetings: true })).toHaveLength(
      triggerOn.startsWith("meeting") ? 0 : 1,
    );
  });
});
