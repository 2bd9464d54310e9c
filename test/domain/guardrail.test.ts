import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { decide } from "../../lib/domain/decide.ts";
import { exceededLimit, excessText, type GuardrailLimits } from "../../lib/domain/guardrail.ts";
import { anItem, NOON } from "./items.ts";

const LIMITS: GuardrailLimits = { bouncedPercent: 5, bouncedAtLeast: 10, complainedPercent: 0.3, complainedAtLeast: 3 };

describe("the guardrail", () => {
  it.each([
    [1000, 49, 0, null],
    [1000, 50, 0, null],
    [1000, 51, 0, "bounces"],
    [9, 9, 0, null],
    [10, 10, 0, "bounces"],
    [1000, 0, 3, null],
    [999, 0, 3, "complaints"],
    [1000, 0, 4, "complaints"],
    [2, 0, 2, null],
    [100, 50, 50, "complaints"],
    [0, 0, 0, null],
  ] as const)("of %i mails with %i bounces and %i complaints answers %s", (sent, bounced, complained, reason) => {
    expect(exceededLimit({ sent, bounced, complained }, LIMITS)).toBe(reason);
  });

  it("never counts exactly the percentage as an excess, and one more always", () => {
    const percents = fc.integer({ min: 1, max: 9_999 });
    fc.assert(
      fc.property(percents, fc.integer({ min: 1, max: 1_000 }), (hundredths, times) => {
        const limits = { ...LIMITS, bouncedPercent: hundredths / 100, bouncedAtLeast: 1 };
        const sent = times * 10_000;
        const bounced = times * hundredths;
        expect(exceededLimit({ sent, bounced, complained: 0 }, limits)).toBeNull();
        expect(exceededLimit({ sent, bounced: bounced + 1, complained: 0 }, limits)).toBe("bounces");
      }),
    );
  });

  it("is off at 100 percent", () => {
    const off = { ...LIMITS, bouncedPercent: 100, complainedPercent: 100 };
    expect(exceededLimit({ sent: 50, bounced: 50, complained: 50 }, off)).toBeNull();
  });

  it("says what it counted", () => {
    const mails = { sent: 150, bounced: 12, complained: 3 };
    expect(excessText("bounces", mails, LIMITS)).toBe(
      "12 of the 150 e-mails of the last 7 days bounced, more than 5 %",
    );
    expect(excessText("complaints", mails, LIMITS)).toMatch(/^3 of .* were reported as spam, more than 0\.3 %$/);
  });
});

describe("a step of a paused workspace", () => {
  const detailOf = (pausedReason: string | null) => {
    const decision = decide(anItem({ workspace: { pausedAt: NOON, pausedReason } }), NOON);
    expect(decision).toMatchObject({ kind: "hold", reason: "workspace_paused" });
    return "detail" in decision ? decision.detail : undefined;
  };

  it("says that the guardrail paused it and how to resume it, unless a person did", () => {
    expect(detailOf("bounces")).toMatch(/guardrail.*too many e-mails bounced.*workspaces resume/);
    expect(detailOf("complaints")).toMatch(/reported as spam/);
    expect(detailOf("a newer reason")).toMatch(/guardrail.*a newer reason/);
    expect(detailOf(null)).toBeUndefined();
  });
});
