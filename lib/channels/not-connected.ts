import type { MessageChannel } from "../run/delivery-ports.ts";

/** A channel that this deployment has no provider for: refuses every touch, so that the sequence goes on. */
export const notConnected: MessageChannel = {
  send: () => Promise.resolve({ kind: "refused", reason: "channel_not_connected", notAsked: true }),
};
