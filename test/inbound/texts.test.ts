import { describe, expect, it } from "@jest/globals";
import { parseMessage } from "../../lib/inbound/parse-message.ts";
import { meaningOf } from "../../lib/inbound/texts.ts";
import { aText } from "./text-examples.ts";

describe("a text", () => {
  it.each([
    ...["STOP", "stop", " Stop. ", "STOP!!!", "“Stop”", "S\u200bTOP", "ＳＴＯＰ", "stop\n", "🛑 STOP 🛑"],
    ...["stop please", "Please stop", "pls stop", "STOP thanks", "stop now", "Stop, thank you"],
    ...[
      "STOPALL",
      "stop all",
      "Unsubscribe",
      "unsubscribe me",
      "please unsubscribe me",
      "opt out",
      "OPT-OUT",
      "optout",
    ],
    ...["opt me out", "Stop texting me", "stop sending me messages", "stop stop stop", "Remove me from your list"],
    ...["CANCEL", "End", "quit", "REVOKE", "remove", "td", "Arret", "Arrêt", "ARRÊT SVP", "STOPP", "stopp bitte"],
  ])("opts out: %j", (text) => {
    expect(meaningOf(text)).toBe("opted_out");
  });

  it.each(["START", "start", "Start please", "UNSTOP", "opt in", "Opt-in!"])("opts in: %j", (text) => {
    expect(meaningOf(text)).toBe("opted_in");
  });

  it.each([
    ...["I can't stop by today", "Stop by at five", "Don't stop", "please don't stop", "full stop", "Non-stop"],
    ...["End of the day works", "cancel Tuesday", "Can you cancel my meeting?", "We quit our old tool", "the end"],
    ...["When does it start?", "Let's start on Monday", "YES", "yes", "no", "HELP", "Info", "ok", "👍", "", "  ", "?"],
    ...["Stopping by tomorrow", "unstoppable", `stop ${"please ".repeat(40)}`],
  ])("is a reply: %j", (text) => {
    expect(meaningOf(text)).toBe("replied");
  });
});

describe("a notification of SNS", () => {
  it("about a text keeps its number, its meaning and its id, and not its words", () => {
    expect(parseMessage(JSON.stringify(aText({ messageBody: "Sounds good" })))).toEqual({
      kind: "text",
      text: { number: "+491701234567", meaning: "replied", answers: "sent-1", eventId: "sms:inbound-1" },
      receivedAt: new Date("2026-11-20T09:00:00.000Z"),
    });
  });

  it.each([
    ["no JSON", { ...aText(), Message: "hello" }],
    ["another payload", { ...aText(), Message: '{"eventType":"TEXT_DELIVERED"}' }],
    ["no time", { ...aText(), Timestamp: "soon" }],
    ["another type", { ...aText(), Type: "SubscriptionConfirmation" }],
  ])("that is not about a text is refused, without its words: %s", (_what, notification) => {
    const parsed = parseMessage(JSON.stringify(notification));
    expect(parsed).toEqual({ kind: "refused", reason: expect.stringMatching(/^not a (notification|text)/) });
    expect(JSON.stringify(parsed)).not.toMatch(/hello/);
  });
});
