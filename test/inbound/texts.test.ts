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
    ...["ARRETT", "Arrête", "arrêtez", "DETENER", "Salir.", "PARAR", "parar por favor", "cancelar", "SAIR", "Afmelden"],
    ...[
      "désinscription",
      "ABMELDUNG",
      "RET",
      "İPTAL",
      "iptal",
      "СТОП",
      "стоп!",
      "ΣΤΟΠ",
      "停止",
      "退订",
      "הסר",
      "إلغاء",
    ],
    ...[
      "OK stop",
      "Hi, please stop texting me",
      "Just stop",
      "Stop please and thank you",
      "stop spamming me",
      "STOP PUB",
    ],
    ...[
      "STOP 36180",
      "stop au 36180",
      "Please stop emailing and texting me",
      "please remove my number",
      "UNSUB",
      "opt out pls",
    ],
    ...[
      "Don't text me again",
      "do not contact me",
      "Don’t message me anymore",
      "take me off your list",
      "no more texts please",
    ],
    ...["Leave me alone", "I want to opt out"],
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
    ...[
      "ok start",
      "yes, start",
      "Hi, start",
      "Don't text, call me",
      "Don't contact me before Monday",
      "no more texts today?",
    ],
    ...[
      "remove the meeting",
      "stop at 5",
      "stop at 1700",
      "stop 1700",
      "ok cancel Tuesday",
      "ok, end of day",
      "OK",
      "Hi",
      "and you?",
      "Leave it with me",
    ],
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
