import {
  type MessageType,
  PinpointSMSVoiceV2Client,
  SendTextMessageCommand,
} from "@aws-sdk/client-pinpoint-sms-voice-v2";
import { numberToSend } from "../domain/address.ts";
import type { MessageChannel, OutgoingTouch } from "../run/delivery-ports.ts";
import { oneAttempt, outcomeOfFault, PROVIDER_LIMITS, within } from "./aws-request.ts";
import { END_USER_MESSAGING } from "./sms-answers.ts";

/** Whom text messages come from. */
export interface SmsSender {
  /** A phone number, sender id or pool of the account: its id or its ARN. */
  readonly originationIdentity: string;
  /** Where delivery events go. */
  readonly configurationSet?: string | undefined;
  /** Must be the type that the origination identity was registered with. */
  readonly messageType: MessageType;
}

/**
 * Text messages through AWS End User Messaging, in the function's own region and with its own role. It takes no
 * idempotency key, so a message whose answer is lost is of unknown outcome.
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
    // Comes back in delivery events, which name no other thing that we know.
    Context: { touchId: touch.id },
  });
