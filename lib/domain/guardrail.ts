import type { GuardrailReason } from "./labels.ts";
import { daysAfter } from "./time-zone.ts";

/**
 * From when on the guardrail pauses a workspace. Amazon SES reviews an account at 5 % bounces or 0.1 % complaints, and
 * may stop it at 10 % or 0.5 %: https://docs.aws.amazon.com/ses/latest/dg/reputationdashboardmessages.html
 */
export interface GuardrailLimits {
  /** Percent of the mails, with at most two decimals; 100 switches the limit off. */
  readonly bouncedPercent: number;
  /** Fewer bounces are too few to judge. */
  readonly bouncedAtLeast: number;
  readonly complainedPercent: number;
  readonly complainedAtLeast: number;
}

/** The mails of a workspace that the guardrail counts, each once. */
export interface MailCounts {
  readonly sent: number;
  /** Sent mails with a permanent bounce. */
  readonly bounced: number;
  /** Sent mails that were reported as spam. */
  readonly complained: number;
}

const COUNTED_DAYS = 7;

/** The guardrail counts mails that went out at this instant or later. */
export const countedFrom = (now: Date): Date => daysAfter(now, -COUNTED_DAYS);

/** Which limit the mails exceed; complaints first, because they do more harm. Exactly the percentage is no excess. */
export function exceededLimit(
  { sent, bounced, complained }: MailCounts,
  limits: GuardrailLimits,
): GuardrailReason | null {
  if (complained >= limits.complainedAtLeast && exceeds(complained, sent, limits.complainedPercent))
    return "complaints";
  if (bounced >= limits.bouncedAtLeast && exceeds(bounced, sent, limits.bouncedPercent)) return "bounces";
  return null;
}

/** In hundredths of a percent, because 0.07 × 100 is not 7 in floating point. */
const exceeds = (part: number, whole: number, percent: number): boolean =>
  part * 10_000 > Math.round(percent * 100) * whole;

/** For the digest and the log: what was counted, without personal data. */
export function excessText(
  reason: GuardrailReason,
  { sent, bounced, complained }: MailCounts,
  limits: GuardrailLimits,
): string {
  const [part, what, percent] =
    reason === "bounces"
      ? [bounced, "bounced", limits.bouncedPercent]
      : [complained, "were reported as spam", limits.complainedPercent];
  return `${part} of the ${sent} e-mails of the last ${COUNTED_DAYS} days ${what}, more than ${percent} %`;
}

const CAUSES: Readonly<Record<string, string>> = {
  bounces: "too many e-mails bounced",
  complaints: "too many e-mails were reported as spam",
} satisfies Record<GuardrailReason, string>;

/** Why a workspace is paused; undefined if a person paused it. A reason that only newer code knows is shown as it is. */
export const pauseCause = (reason: string | null): string | undefined =>
  reason === null ? undefined : `by the guardrail, because ${CAUSES[reason] ?? reason}`;
