import {
  type MessageType,
  PinpointSMSVoiceV2Client,
  SendTextMessageCommand,
} from "@aws-sdk/client-pinpoint-sms-voice-v2";
import { numberToSend } from "../domain/address.ts";
import type { MessageChannel, OutgoingTouch } from "../run/channel-ports.ts";
import { oneAttempt, outcomeOfFault, PROVIDER_LIMITS, within } from "./aws-request.ts";
import { END_USER_MESSAGING } from "./sms-answers.ts";

/** The sender of text messages. */
export interface SmsSender {
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
