import { SESv2Client, SendEmailCommand } from "@aws-sdk/client-sesv2";
import nodemailer from "nodemailer";
import { oneAttempt, outcomeOfFault, PROVIDER_LIMITS, type Service, within } from "./aws-request.ts";
import { type EmailChannel, type EmailOptions, emailChannel, type MailTags } from "./mail.ts";

interface SesOptions extends EmailOptions {
  /** Named on each mail, which replaces the default configuration set of its identity. */
  readonly configurationSet?: string | undefined;
}

/**
 * E-mail through Amazon SES, in the function's own region and with its own role. SES replaces our Message-ID with one
 * built from its response id and the region. nodemailer returns it in the form that the receiver sees. So that a mail
 * can be found without that response, it also has tags with our ids, which SES repeats in the mail's events.
 */
export function sesChannel({
  limits = PROVIDER_LIMITS,
  unsubscribeMailto,
  configurationSet,
}: SesOptions = {}): EmailChannel {
  const client = new SESv2Client(oneAttempt(limits));
  const sesClient = {
    config: client.config,
    async send(command: SendEmailCommand) {
      try {
        return await client.send(command, within(limits));
      } catch (cause) {
        // Wrapped because nodemailer overwrites the `code` of errors that it passes on.
        throw new Error("SES did not accept the mail", { cause });
      }
    },
  };
  const transport = nodemailer.createTransport({ SES: { sesClient, SendEmailCommand } });
  return emailChannel(async (mail, _id, tags) => {
    const ses = { EmailTags: tagsOf(tags), ...(configurationSet && { ConfigurationSetName: configurationSet }) };
    try {
      const { response, messageId } = await transport.sendMail({ ...mail, ses });
      if (!response) return { kind: "unknown", reason: "ses_no_message_id" };
      return { kind: "accepted", providerId: messageId };
    } catch (thrown) {
      return outcomeOfFault(thrown instanceof Error ? (thrown.cause ?? thrown) : thrown, SES);
    }
  }, unsubscribeMailto);
}

const tagsOf = (tags: MailTags) => Object.entries(tags).map(([Name, Value]) => ({ Name, Value }));

/**
 * The exceptions of SendEmail: SES v2 API reference, and Developer Guide, "Amazon SES email sending errors". Texts are
 * matched only where the guide documents no distinct exception.
 */
const SES: Service = {
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
