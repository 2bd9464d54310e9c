/**
 * The channels. Types, lists, SQL and metrics are derived from this registry. A new channel needs an entry here, a
 * provider in lib/channels, its wiring in lib/platform/wire.ts and infra/channels.ts, and a migration that adds its
 * label and the column `lead.last_<channel>_at`.
 */
interface ChannelEntry {
  /** The lead's address that it sends to; null if it needs none. */
  readonly address: "email" | "phone" | null;
  /** Whether delivery is idempotent. If so, a touch with an unknown outcome may be sent again. */
  readonly repeatable: boolean;
  /** Whether its messages need a subject, and the workspace a sender. */
  readonly isMail: boolean;
  /** The metric that is 1 if the provider accepts nothing from any workspace; null if that cannot happen. */
  readonly downMetric: string | null;
}

export const CHANNEL_REGISTRY = {
  email: { address: "email", repeatable: false, isMail: true, downMetric: "EmailDown" },
  sms: { address: "phone", repeatable: false, isMail: false, downMetric: "SmsDown" },
  webhook: { address: null, repeatable: true, isMail: false, downMetric: "WebhookDown" },
  task: { address: null, repeatable: true, isMail: false, downMetric: null },
} as const satisfies Readonly<Record<string, ChannelEntry>>;
