import { describe, expect, it } from "@jest/globals";
import { ChannelHealth } from "../../lib/run/channel-health.ts";
import type { ChannelDown, SendOutcome } from "../../lib/run/channel-ports.ts";

const sent = (id: string, workspaceId = "one") => ({ id, workspaceId, channel: "email" }) as const;
const down = (scope: ChannelDown["scope"] = "channel"): ChannelDown => ({
  kind: "channel_down",
  scope,
  reason: "a_fault",
});
const ACCEPTED: SendOutcome = { kind: "accepted", providerId: "p" };
const REFUSED: SendOutcome = { kind: "refused", reason: "smtp_550" };

function healthAfter(...answers: readonly (readonly [string, SendOutcome, string?])[]): ChannelHealth {
  const health = new ChannelHealth();
  for (const [id, outcome, workspaceId] of answers) health.note(sent(id, workspaceId), outcome);
  return health;
}

const times = (count: number, outcome: SendOutcome, workspaceId = "one") =>
  Array.from({ length: count }, (_, index) => [`${workspaceId} ${index}`, outcome, workspaceId] as const);

describe("the health of a channel", () => {
  it("closes it after ten faults in a row, and not after nine", () => {
    expect(healthAfter(...times(9, down())).closed(sent("x"))).toBeNull();
    expect(healthAfter(...times(10, down())).closed(sent("x", "other"))).toEqual({ ...down(), notStarted: true });
    expect(healthAfter(...times(9, down()), ["a", ACCEPTED], ...times(9, down())).closed(sent("x"))).toBeNull();
  });

  it("closes it only for the workspace that may have caused the fault", () => {
    const health = healthAfter(...times(10, down("workspace")));
    expect(health.closed(sent("x"))).toEqual({ ...down("workspace"), notStarted: true });
    expect(health.closed(sent("x", "other"))).toBeNull();
  });

  it("closes it only for the lead's own sender that caused the fault, and names no other scope", () => {
    const health = new ChannelHealth();
    const from = (id: string, senderEmail: string | null) => ({ ...sent(id), ownSender: { senderEmail } });
    for (let fault = 0; fault < 10; fault++) health.note(from(`${fault}`, "bad@x.example"), down("sender"));
    expect(health.closed(from("x", "bad@x.example"))).toEqual({ ...down("sender"), notStarted: true });
    expect(health.closed(from("x", "good@x.example"))).toBeNull();
    expect(health.closed(from("x", null))).toBeNull();
    expect(health.closed({ ...from("x", "bad@x.example"), workspaceId: "other" })).toBeNull();
    expect(health.closedScopes()).toEqual([]);
    const fault = { channel: "email", workspaceId: "one", reason: "a_fault", ofLeadSender: true };
    expect(health.faults()).toEqual([fault]);
    expect(JSON.stringify(health.faults())).not.toContain("x.example");
  });

  it("blames the mail of a lead's own sender if the provider accepted another mail from it", () => {
    const health = new ChannelHealth();
    const from = (id: string, senderEmail: string) => ({ ...sent(id), ownSender: { senderEmail } });
    health.note(from("a", "ann@x.example"), down("sender"));
    health.note(from("b", "bob@x.example"), ACCEPTED);
    expect(health.answeredAnother(from("a", "ann@x.example"), down("sender"))).toBe(false);
    health.note(from("c", "ann@x.example"), ACCEPTED);
    expect(health.answeredAnother(from("a", "ann@x.example"), down("sender"))).toBe(true);
  });

  it("blames the channel if it answered no workspace, and the workspace if it answered others", () => {
    const fault = { channel: "email", reason: "a_fault" };
    expect(healthAfter(["a", down("workspace")]).faults()).toEqual([{ ...fault, workspaceId: null }]);
    expect(healthAfter(["a", down("workspace")], ["b", ACCEPTED, "other"]).faults()).toEqual([
      { ...fault, workspaceId: "one" },
    ]);
  });

  it("ignores a single fault among accepted messages; a rejected message also shows that the channel works", () => {
    for (const answer of [ACCEPTED, REFUSED]) {
      expect(healthAfter(["a", answer], ["b", down()]).faults()).toEqual([]);
      expect(healthAfter(["a", down()], ["b", answer]).faults()).toEqual([]);
    }
  });

  it("ignores a message that was rejected before the call to the provider", () => {
    const notAsked: SendOutcome = { kind: "refused", reason: "no_email", notAsked: true };
    expect(healthAfter(["a", notAsked], ["b", down()]).faults()).toHaveLength(1);
    expect(healthAfter(...times(9, down()), ["a", notAsked], ["b", down()]).closed(sent("x"))).not.toBeNull();
  });

  it("blames the message if the channel accepted another message after it, not before it", () => {
    const fault = down("workspace");
    expect(healthAfter(["a", fault], ["b", ACCEPTED]).answeredAnother(sent("a"), fault)).toBe(true);
    expect(healthAfter(["b", ACCEPTED], ["a", fault]).answeredAnother(sent("a"), fault)).toBe(false);
    expect(healthAfter(["a", fault], ["b", ACCEPTED, "other"]).answeredAnother(sent("a"), fault)).toBe(false);
  });
});
