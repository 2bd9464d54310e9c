import { describe, expect, it } from "@jest/globals";
import { RULES } from "../../lib/domain/decide.ts";
import { contextOf, messageOf } from "../../lib/domain/rule-context.ts";
import { conditionFalse } from "../../lib/domain/rules-on-contact.ts";
import { ready } from "../../lib/domain/rules-on-content.ts";
import { ALWAYS_OPEN, anItem, type ItemParts, NOON } from "./items.ts";

const given = (parts: ItemParts) => contextOf(anItem(parts), NOON);

describe("a rule that is asked before the one it relies on", () => {
  it("refuses to evaluate a step that is not there, and judges one that is", () => {
    expect(() => conditionFalse(given({ steps: [] }))).toThrow(
      "a rule that needs a step was asked before the rule that one is left",
    );
    expect(conditionFalse(given({}))).toBeUndefined();
  });

  it("gives out no message with a hole in it, and one that is whole", () => {
    expect(() => messageOf(given({ lead: { firstName: null } }))).toThrow(
      "a message was asked for before the rule that the template is complete",
    );
    expect(messageOf(given({}))).toMatchObject({ subject: "Hello Ada" });
  });

  it("sends nothing through a window that never opens, and something through one that does", () => {
    const shut = { workspace: { sendWindow: { ...ALWAYS_OPEN, days: [] } } };
    expect(() => ready(given(shut))).toThrow("a send was decided on before the rule that the send window opens");
    expect(ready(given({}))).toMatchObject({ kind: "send" });
  });
});

it("each rule says in a sentence of its own what holds where it lets a step pass", () => {
  const sentences = RULES.map(({ says }) => says);
  for (const sentence of sentences) expect(sentence).toMatch(/^[A-Z][^.]+\.$/);
  expect(new Set(sentences).size).toBe(RULES.length);
});

it("what several rules ask of a case is worked out once", () => {
  const { opening, rendered } = given({});
  expect(opening()).toBe(opening());
  expect(rendered()).toBe(rendered());
});
