import { afterEach, describe, expect, it } from "@jest/globals";
import type { TimeLimits } from "../../lib/channels/aws-request.ts";
import type { MessageChannel, OutgoingTouch } from "../../lib/run/delivery-ports.ts";
import { closeServers } from "./servers.ts";

/** How a provider behaves. Its answers repeat what was sent, so that a reason which quotes them gives itself away. */
export type Behaviour =
  | "accepts"
  | "refuses"
  /** Takes nothing from anybody, whatever it is: the account is barred, or the login fails. */
  | "is down"
  /** Cannot take it now, whoever asks. */
  | "is busy"
  /** Says that it gets too much at once. */
  | "throttles"
  /** Takes the whole message, and says nothing. */
  | "hangs"
  /** Takes the whole message, and closes the connection. */
  | "cuts"
  /** Takes the whole message, and answers what is no answer. */
  | "garbage"
  /** Takes the whole message, and answers when nobody waits any more. */
  | "late"
  /** Nobody listens. */
  | "gone"
  /** Nobody picks up. */
  | "unreachable";

export interface ChannelUnderTest {
  readonly name: string;
  /** Whether a touch may come twice: then nothing is ever unknown. */
  readonly repeatable: boolean;
  /** What its provider can do at all: a file is never late. */
  readonly behaviours: readonly Behaviour[];
  /** What its provider asks for when it throttles, where its protocol has a way to. */
  readonly retryAfterMs?: number;
  /** A touch that lacks what this channel needs to reach somebody, and the reason it is refused for. */
  readonly unaddressed: { readonly without: Partial<OutgoingTouch>; readonly reason: string } | null;
  open(behaviour: Behaviour, limits: TimeLimits): Promise<OpenChannel>;
}

export interface OpenChannel {
  readonly channel: MessageChannel;
  /** The ids of the touches that the provider took, one for each time. */
  taken(): readonly string[] | Promise<readonly string[]>;
}

export const NETWORK_BEHAVIOURS: readonly Behaviour[] = [
  "accepts",
  "refuses",
  "is down",
  "is busy",
  "throttles",
  "hangs",
  "cuts",
  "garbage",
  "late",
  "gone",
  "unreachable",
];

export const ADA = "ada@example.com";
export const PHONE = "+4930123456";
export const SECRETS_OF_ADA = `${ADA} ${PHONE} Guten Tag`;

export const aTouch = (over: Partial<OutgoingTouch> = {}): OutgoingTouch => ({
  id: "0190f0f0-0000-7000-8000-000000000001",
  workspaceId: "workspace",
  leadId: "lead",
  channel: "email",
  failures: 0,
  deferredSince: null,
  from: "Northwind <hello@northwind.example>",
  email: ADA,
  phone: PHONE,
  message: { subject: "Grüße", body: "Guten Tag, Ada" },
  thread: [],
  ...over,
});

const PATIENT: TimeLimits = { connectMs: 5_000, answerMs: 5_000 };
const HASTY: TimeLimits = { connectMs: 250, answerMs: 500 };
/** When a late provider answers. */
export const LATE_MS = HASTY.answerMs + 50;
/** What a busy machine may add to a time limit. */
const SLACK_MS = 2_000;
const limitsFor = (behaviour: Behaviour): TimeLimits =>
  ["hangs", "late", "unreachable"].includes(behaviour) ? HASTY : PATIENT;

/** What every channel promises, whatever its provider does. */
export function itKeepsTheContract(subject: ChannelUnderTest): void {
  /** A channel whose provider behaves so, one touch sent through it, and how long that took. */
  async function send(behaviour: Behaviour, touch = aTouch()) {
    const limits = limitsFor(behaviour);
    const { channel, taken } = await subject.open(behaviour, limits);
    const before = performance.now();
    const outcome = await channel.send(touch);
    expect(performance.now() - before).toBeLessThan(limits.connectMs + limits.answerMs + SLACK_MS);
    return { channel, outcome, taken: await taken() };
  }

  function when(behaviours: readonly Behaviour[], law: string, test: (behaviour: Behaviour) => Promise<void>): void {
    const shown = behaviours.filter((one) => subject.behaviours.includes(one));
    for (const behaviour of shown) it(`${law} (its provider: ${behaviour})`, () => test(behaviour));
  }

  describe(`${subject.name} keeps the contract of a channel`, () => {
    afterEach(closeServers);

    when(["accepts"], "is accepted, with an id, and tells the touch once", async (behaviour) => {
      const { outcome, taken } = await send(behaviour);
      expect(outcome).toEqual({ kind: "accepted", providerId: expect.stringMatching(/\S/) });
      expect(taken).toEqual([aTouch().id]);
    });

    when(["refuses"], "is refused for good, without personal data as a reason", async (behaviour) => {
      const { outcome } = await send(behaviour);
      expect(outcome).toEqual({ kind: "refused", reason: IMPERSONAL });
    });

    when(["is busy"], "may go later, without personal data as a reason", async (behaviour) => {
      const { outcome } = await send(behaviour);
      expect(outcome).toEqual({ kind: "retry", reason: IMPERSONAL });
    });

    when(["is down", "gone", "unreachable"], "is a fault of the channel and not of the touch", async (behaviour) => {
      const { outcome, taken } = await send(behaviour);
      expect(outcome).toMatchObject({ kind: "channel_down", reason: IMPERSONAL });
      if (behaviour !== "is down") expect(taken).toEqual([]);
    });

    when(["throttles"], "may go later, and says that it should go slower", async (behaviour) => {
      const { outcome } = await send(behaviour);
      const retryAfterMs = subject.retryAfterMs ?? null;
      expect(outcome).toEqual({ kind: "retry", reason: IMPERSONAL, throttled: { retryAfterMs } });
    });

    const lost = ["hangs", "cuts", "garbage", "late"] as const;
    when(lost, "is sent once, and never again blindly, where the answer is lost", async (behaviour) => {
      const { outcome, taken } = await send(behaviour);
      // What a repeatable channel does not answer is a fault of the channel, unless it answers others.
      const arrival = { reason: IMPERSONAL, mayHaveArrived: true };
      const otherwise = { kind: "retry", ...arrival };
      const lostOutcome = subject.repeatable
        ? { kind: "channel_down", scope: "workspace", ...arrival, otherwise }
        : { kind: "unknown", reason: IMPERSONAL };
      expect(outcome).toEqual(lostOutcome);
      expect(taken).toEqual([aTouch().id]);
    });

    when(["accepts"], "says the same touch to be the same when it comes twice", async (behaviour) => {
      const { channel, taken } = await subject.open(behaviour, PATIENT);
      const outcomes = [await channel.send(aTouch()), await channel.send(aTouch())];
      expect(outcomes.map(({ kind }) => kind)).toEqual(["accepted", "accepted"]);
      expect(new Set(await taken())).toEqual(new Set([aTouch().id]));
    });

    if (subject.unaddressed) {
      const { without, reason } = subject.unaddressed;
      when(["accepts"], "refuses a touch that names nobody whom it could reach", async (behaviour) => {
        const { outcome, taken } = await send(behaviour, aTouch(without));
        expect(outcome).toEqual({ kind: "refused", reason, notAsked: true });
        expect(taken).toEqual([]);
      });
    }
  });
}

/** A label of our own or of a protocol, with nothing of what was sent in it. */
const IMPERSONAL = expect.stringMatching(/^(?!.*(ada|4930|guten))[a-z0-9_]{3,80}$/);
