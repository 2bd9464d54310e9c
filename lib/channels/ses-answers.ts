import type { Service } from "./aws-request.ts";

/**
 * The exceptions of SendEmail: SES v2 API reference, and Developer Guide, "Amazon SES email sending errors". Texts are
 * matched only where the guide documents no distinct exception.
 */
export const SES: Service = {
  name: "ses",
  answers: [
    { exception: /^AccountSuspendedException$/, means: "down", scope: "channel" },
    { exception: /^SendingPausedException$/, means: "down", scope: "channel" },
    { exception: /^MailFromDomainNotVerifiedException$/, means: "down", scope: "workspace" },
    // Names the sender; in the sandbox it can also name the receiver.
    { exception: /^MessageRejected$/, text: /^Email address is(n't| not) verified/, means: "down", scope: "workspace" },
    {
      exception: /^MessageRejected$/,
      text: /^Sending (suspended|paused) for this account/,
      means: "down",
      scope: "channel",
    },
    { exception: /^MessageRejected$/, text: /^Address blacklisted/, means: "undeliverable" },
    { exception: /^MessageRejected$/, means: "refused" },
    // A missing configuration set or identity: a fault of the sender, not of the mail.
    { exception: /^NotFoundException$/, means: "down", scope: "workspace" },
    { exception: /^BadRequestException$/, means: "refused" },
    // "Errors related to the sending quotas": wait for up to ten minutes.
    { text: /^Daily message quota exceeded/, means: "slow", waitMs: 10 * 60_000 },
    { exception: /^LimitExceededException$/, means: "slow", waitMs: 10 * 60_000 },
    // A policy may allow only some senders.
    { exception: /^AccessDenied(Exception)?$/, means: "down", scope: "workspace" },
  ],
};
