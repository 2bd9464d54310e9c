import {
  type MessageType,
  PinpointSMSVoiceV2Client,
  SendTextMessageCommand,
} from "@aws-sdk/client-pinpoint-sms-voice-v2";
import { numberToSend } from "../domain/address.ts";
import type { MessageChannel, OutgoingTouch } from "../run/channel-ports.ts";
import type { Service } from "./aws-request.ts";
import { oneAttempt, outcomeOfFault, PROVIDER_LIMITS, within } from "./aws-request.ts";

/** The sender of text messages. */
interface SmsSender {
  /** Id or ARN of a phone number, sender id or pool in the account. */
  readonly originationIdentity: string;
  /** Routes delivery events. */
  readonly configurationSet?: string | undefined;
  /** Must match the type registered for the origination identity. */
  readonly messageType: MessageType;
}

/**
 * Text messages through AWS End User Messaging, in the function's own region and with its own role. The API has no
 * idempotency key, so a lost response means an unknown outcome.
 */
export function smsChannel(sender: SmsSender, limits = PROVIDER_LIMITS): MessageChannel {
  const client = new PinpointSMSVoiceV2Client(oneAttempt(limits));
  return {
    async send(touch) {
      if (!touch.phone) return { kind: "refused", reason: "no_phone", notAsked: true };
      const to = numberToSend(touch.phone);
      if (to === undefined) return { kind: "refused", reason: "undeliverable_address", notAsked: true };
      try {
        const { MessageId } = await client.send(messageOf(touch, to, sender), within(limits));
        if (!MessageId) return { kind: "unknown", reason: "sms_no_message_id" };
        return { kind: "accepted", providerId: MessageId };
      } catch (thrown) {
        return outcomeOfFault(thrown, END_USER_MESSAGING);
      }
    },
  };
}

const messageOf = (touch: OutgoingTouch, to: string, sender: SmsSender) =>
  new SendTextMessageCommand({
    DestinationPhoneNumber: to,
    OriginationIdentity: sender.originationIdentity,
    ConfigurationSetName: sender.configurationSet,
    MessageType: sender.messageType,
    MessageBody: touch.message.body,
    // Delivery events return it; it is the only id of ours that they contain.
    Context: { touchId: touch.id },
  });

const CONFLICT = /^ConflictException$/;
const VALIDATION = /^ValidationException$/;

/**
 * The exceptions of SendTextMessage and their reasons: SMS and Voice API v2 reference. All workspaces share one sender,
 * so a sender fault closes the whole channel.
 */
const END_USER_MESSAGING: Service = {
  name: "sms",
  answers: [
    // Opted out at the provider, or not a valid number.
    { exception: CONFLICT, reason: /^DESTINATION_PHONE_NUMBER_OPTED_OUT$/, means: "undeliverable" },
    { exception: VALIDATION, field: /^DestinationPhoneNumber$/, means: "undeliverable" },
    // An account rule blocks the number or its country.
    { exception: CONFLICT, reason: /^DESTINATION_(PHONE_NUMBER|COUNTRY)_BLOCKED_/, means: "refused" },
    // The account is in the sandbox, or the pool has no number for that country. Other receivers may be reachable.
    {
      exception: CONFLICT,
      reason: /^(DESTINATION_PHONE_NUMBER_NOT_VERIFIED|NO_ORIGINATION_IDENTITIES_FOUND)$/,
      means: "down",
      scope: "channel",
      unless: "refused",
    },
    // All other conflicts concern the sender, such as MESSAGE_TYPE_MISMATCH or REGISTRATION_NOT_COMPLETE.
    { exception: CONFLICT, reason: /./, means: "down", scope: "channel" },
    { exception: CONFLICT, means: "refused" },
    {
      exception: VALIDATION,
      reason: /^(SENDER_ID_.*|RESOURCE_NOT_ACCESSIBLE|INVALID_ARN|CHANNEL_NOT_ENABLED)$/,
      means: "down",
      scope: "channel",
    },
    { exception: VALIDATION, field: /^(OriginationIdentity|ConfigurationSetName)$/, means: "down", scope: "channel" },
    { exception: VALIDATION, means: "refused" },
    // Only the sender or the configuration set can be missing.
    { exception: /^ResourceNotFoundException$/, means: "down", scope: "channel" },
    // ACCOUNT_DISABLED, INSUFFICIENT_ACCOUNT_REPUTATION, or missing permission.
    { exception: /^AccessDeniedException$/, means: "down", scope: "channel" },
    // The monthly spend limit: an operator must raise it.
    { exception: /^ServiceQuotaExceededException$/, reason: /^MONTHLY_SPEND_LIMIT_/, means: "down", scope: "channel" },
    { exception: /^ServiceQuotaExceededException$/, means: "slow", waitMs: 10 * 60_000 },
    // "The API encountered an unexpected error and couldn't complete the request."
    { exception: /^InternalServerException$/, means: "retry" },
  ],
};
