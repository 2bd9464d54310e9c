/**
 * The channels, in the order of the database's labels. Types, lists, SQL and metrics are derived from this registry.
 * CONTRIBUTING.md says what else a new channel needs.
 */
interface ChannelEntry {
  /** The lead's address that it sends to; null if it needs none. */
  readonly address: "email" | "phone" | null;
  /** Whether delivery is idempotent. If so, a touch with an unknown outcome may be sent again. */
  readonly repeatable: boolean;
  /** Whether its messages need a subject, and the workspace a sender. */
  readonly isMail: boolean;
  /** Whether its messages contain the lead's details, sequence and step, which a claim does not read. */
  readonly needsDetails: boolean;
  /** The metric that is 1 if the provider accepts nothing from any workspace; null if that cannot happen. */
  readonly downMetric: string | null;
}

export const CHANNEL_REGISTRY = {
  email: { address: "email", repeatable: false, isMail: true, needsDetails: false, downMetric: "EmailDown" },
  sms: { address: "phone", repeatable: false, isMail: false, needsDetails: false, downMetric: "SmsDown" },
  webhook: { address: null, repeatable: true, isMail: false, needsDetails: true, downMetric: "WebhookDown" },
  task: { address: null, repeatable: true, isMail: false, needsDetails: false, downMetric: null },
} as const satisfies Readonly<Record<string, ChannelEntry>>;
