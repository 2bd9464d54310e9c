import { expect, it } from "@jest/globals";
import { workspaceState } from "../../cli/reason-texts.ts";

it("says since when a workspace is paused, and why if the guardrail paused it", () => {
  const pausedAt = new Date("2026-11-30T09:15:00Z");
  expect(workspaceState({ pausedAt: null, pausedReason: null })).toBe("running");
  expect(workspaceState({ pausedAt, pausedReason: null })).toBe("paused since 2026-11-30T09:15Z");
  expect(workspaceState({ pausedAt, pausedReason: "complaints" })).toMatch(
    /09:15.* by the guardrail, because too many e-mails were reported as spam$/,
  );
});
