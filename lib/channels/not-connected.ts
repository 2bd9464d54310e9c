import type { MessageChannel } from "../run/channel-ports.ts";

/** A channel without a provider in this deployment. Refuses every touch so that the sequence advances. */
export const notConnected: MessageChannel = {
  send: () => Promise.resolve({ kind: "refused", reason: "channel_not_connected", notAsked: true }),
};
