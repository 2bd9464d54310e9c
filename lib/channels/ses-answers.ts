import type { Service } from "./aws-request.ts";

/**
 * The exceptions of SendEmail, after the API reference of SES v2 and the Developer Guide, "Amazon SES email sending errors".
 * Texts are matched only where the guide documents no exception of their own.
 */
export const SES: Service = {
  name: "ses",
  answers: [
    { exception: /^AccountSuspendedException$/, means: "down", scope: "channel" },
    { exception: /^SendingPausedException$/, means: "down", scope: "channel" },
    { exception: /^MailFromDomainNotVerifiedException$/, means: "down", scope: "workspace" },
    // The sender; in the sandbox, which is the account's fault as well, also the receiver.
    { exception: /^MessageRejected$/, text: /^Email address is(n't| not) verified/, means: "down", scope: "workspace" },
    {
      exception: /^MessageRejected$/,
      text: /^Sending (suspended|paused) for this account/,
      means: "down",
      scope: "channel",
    },
    { exception: /^MessageRejected$/, text: /^Address blacklisted/, means: "undeliverable" },
    { exception: /^MessageRejected$/, means: "refused" },
    // A configuration set or an identity; both belong to a sender and not to a mail.
    { exception: /^NotFoundException$/, means: "down", scope: "workspace" },
    { exception: /^BadRequestException$/, means: "refused" },
    // "Errors related to the sending quotas": wait for up to ten minutes.
    { text: /^Daily message quota exceeded/, means: "slow", waitMs: 10 * 60_000 },
    { exception: /^LimitExceededException$/, means: "slow", waitMs: 10 * 60_000 },
    // A policy may allow some senders only.
    { exception: /^AccessDenied(Exception)?$/, means: "down", scope: "workspace" },
  ],
};
