import { afterEach, describe, expect, it } from "@jest/globals";
import type { TimeLimits } from "../../lib/channels/aws-request.ts";
import { CHANNEL_REGISTRY } from "../../lib/domain/channels.ts";
import type { Channel } from "../../lib/domain/labels.ts";
import { LEAD_KEYS, type LeadKey } from "../../lib/domain/lead-columns.ts";
import type { MessageChannel, OutgoingTouch } from "../../lib/run/channel-ports.ts";
import { closeServers } from "./servers.ts";

/** How a provider behaves. Its responses echo the request, so that the tests detect reasons that quote them. */
export type Behaviour =
  | "accepts"
  | "refuses"
  /** Accepts nothing from any sender: the account is blocked or the login fails. */
  | "is down"
  /** Temporarily accepts nothing from any sender. */
  | "is busy"
  /** Reports a rate limit. */
  | "throttles"
  /** Reads the whole message and never responds. */
  | "hangs"
  /** Reads the whole message and closes the connection. */
  | "cuts"
  /** Reads the whole message and sends an invalid response. */
  | "garbage"
  /** Reads the whole message and responds after the timeout. */
  | "late"
  /** The port is closed. */
  | "gone"
  /** The port never accepts connections. */
  | "unreachable";

export interface ChannelUnderTest {
  readonly name: string;
  /** If its delivery is idempotent according to the registry, no outcome is ever unknown. */
  readonly channel: Channel;
  /** The behaviours that apply to its provider: a file is never late. */
  readonly behaviours: readonly Behaviour[];
  /** The wait that its provider requests when it throttles, if the protocol supports that. */
  readonly retryAfterMs?: number;
  /** A touch without the address that this channel needs, and the expected reason. */
  readonly unaddressed: { readonly without: Partial<OutgoingTouch>; readonly reason: string } | null;
  open(behaviour: Behaviour, limits: TimeLimits): Promise<OpenChannel>;
}

export interface OpenChannel {
  readonly channel: MessageChannel;
  /** The ids of the touches that the provider received, one per request. */
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

const NO_TEXTS = Object.fromEntries(LEAD_KEYS.map((key) => [key, null])) as Record<LeadKey, null>;

export const aTouch = (over: Partial<OutgoingTouch> = {}): OutgoingTouch => ({
  id: "0190f0f0-0000-7000-8000-000000000001",
  workspaceId: "workspace",
  leadId: "lead",
  channel: "email",
  failures: 0,
  deferredSince: null,
  waitingSince: new Date("2030-01-07T09:00:00Z"),
  from: "Northwind <hello@northwind.example>",
  ownSender: { senderName: null, senderEmail: null, replyTo: null },
  email: ADA,
  phone: PHONE,
  message: { subject: "Grüße", body: "Guten Tag, Ada" },
  thread: [],
  details: {
    attempt: 2,
    workspaceName: "Northwind",
    lead: {
      ...NO_TEXTS,
      externalId: "crm-17",
      email: ADA,
      phone: PHONE,
      firstName: "Ada",
      fields: { title: "Director" },
    },
    sequence: { id: "sequence", name: "No answer yet" },
    step: { key: "nudge", position: 2 },
  },
  ...over,
});

const PATIENT: TimeLimits = { connectMs: 5_000, answerMs: 5_000 };
const HASTY: TimeLimits = { connectMs: 250, answerMs: 500 };
/** When a late provider responds. */
export const LATE_MS = HASTY.answerMs + 50;
/** Tolerance for time limits on a busy machine. */
const SLACK_MS = 2_000;
const limitsFor = (behaviour: Behaviour): TimeLimits =>
  ["hangs", "late", "unreachable"].includes(behaviour) ? HASTY : PATIENT;

/** Tests what every channel guarantees, regardless of its provider's behaviour. */
export function itKeepsTheContract(subject: ChannelUnderTest): void {
  /** Sends one touch through a channel whose provider behaves as given, and measures the time. */
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

    when(["accepts"], "is accepted, with an id, and sends the touch once", async (behaviour) => {
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
      // For a repeatable channel, a lost response is a channel fault, unless it responds to other touches.
      const arrival = { reason: IMPERSONAL, mayHaveArrived: true };
      const otherwise = { kind: "retry", ...arrival };
      const lostOutcome = CHANNEL_REGISTRY[subject.channel].repeatable
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
      when(["accepts"], "refuses a touch without an address", async (behaviour) => {
        const { outcome, taken } = await send(behaviour, aTouch(without));
        expect(outcome).toEqual({ kind: "refused", reason, notAsked: true });
        expect(taken).toEqual([]);
      });
    }
  });
}

/** A plain label that contains no message content. */
const IMPERSONAL = expect.stringMatching(/^(?!.*(ada|4930|guten))[a-z0-9_]{3,80}$/);
