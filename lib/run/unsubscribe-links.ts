import { CHANNEL_REGISTRY } from "../domain/channels.ts";
import { perChannel } from "../domain/labels.ts";
import { hasUnsubscribeLink, withUnsubscribeLink } from "../domain/late-values.ts";
import type { Channels, MessageChannel, OutgoingTouch, SendOutcome } from "./channel-ports.ts";

/** Makes the link with which the receiver of a touch unsubscribes. */
export interface UnsubscribeLinks {
  /** Throws if it cannot be made now. */
  linkFor(touch: Pick<OutgoingTouch, "id" | "workspaceId">): Promise<string>;
}

/**
 * Channels that get each touch with its link: mails always, for their header, other messages if their text has it.
 * Without links, a text that needs one is refused before the channel sees it.
 */
export const linkedChannels = (channels: Channels, links: UnsubscribeLinks | null): Channels =>
  perChannel((name) => {
    const alwaysLinked = links !== null && CHANNEL_REGISTRY[name].isMail;
    return {
      async send(touch) {
        if (!alwaysLinked && !hasUnsubscribeLink(touch.message)) return channels[name].send(touch);
        return links ? await sendLinked(channels[name], touch, links) : NO_LINK;
      },
    };
  });

/** If the link cannot be made, the channel is at fault: the touch waits, and no mail goes out without its header. */
async function sendLinked(
  channel: MessageChannel,
  touch: OutgoingTouch,
  links: UnsubscribeLinks,
): Promise<SendOutcome> {
  const unsubscribeUrl = await linkOrNull(links, touch);
  if (unsubscribeUrl === null) return { kind: "channel_down", scope: "channel", reason: "unsubscribe_key" };
  return channel.send({ ...touch, message: withUnsubscribeLink(touch.message, unsubscribeUrl), unsubscribeUrl });
}

const NO_LINK: SendOutcome = { kind: "refused", reason: "no_unsubscribe_link", notAsked: true };

/** The error is dropped because it may quote the key. */
async function linkOrNull(links: UnsubscribeLinks, touch: OutgoingTouch): Promise<string | null> {
  try {
    return await links.linkFor(touch);
  } catch {
    return null;
  }
}
