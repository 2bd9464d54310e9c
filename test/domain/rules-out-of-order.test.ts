import { describe, expect, it } from "@jest/globals";
import { RULES } from "../../lib/domain/decide.ts";
import { contextOf, messageOf } from "../../lib/domain/rule-context.ts";
import { conditionFalse } from "../../lib/domain/rules.ts";
import { ALWAYS_OPEN, anItem, type ItemParts, NOON } from "./items.ts";

const ready = RULES.at(-1)?.evaluate ?? (() => undefined);
const given = (parts: ItemParts) => contextOf(anItem(parts), NOON);

describe("a rule that runs before one that it depends on", () => {
  it("throws if there is no step", () => {
    expect(() => conditionFalse(given({ steps: [] }))).toThrow(
      "a rule that needs a step ran before the rule step_left",
    );
    expect(conditionFalse(given({}))).toBeUndefined();
  });

  it("throws if the message lacks a value", () => {
    expect(() => messageOf(given({ lead: { firstName: null } }))).toThrow(
      "a message was needed before the rules template_complete and times_to_offer ran",
    );
    expect(messageOf(given({}))).toMatchObject({ message: { subject: "Hello Ada" } });
  });

  it("throws if the send window never opens", () => {
    const shut = { workspace: { sendWindow: { ...ALWAYS_OPEN, days: [] } } };
    expect(() => ready(given(shut))).toThrow("a send was decided before the rule send_times_known ran");
    expect(ready(given({}))).toMatchObject({ kind: "send" });
  });
});

it("each rule has its own sentence for what holds if a step passes it", () => {
  const sentences = RULES.map(({ says }) => says);
  for (const sentence of sentences) expect(sentence).toMatch(/^[A-Z][^.]+\.$/);
  expect(new Set(sentences).size).toBe(RULES.length);
});

it("values that several rules need are computed once", () => {
  const { opening, rendered } = given({});
  expect(opening()).toBe(opening());
  expect(rendered()).toBe(rendered());
});
