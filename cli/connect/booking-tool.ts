import type { ToolAccess, ToolApi } from "./tool-api.ts";

/** A webhook subscription, as the API of its tool shows it. */
export interface Subscription {
  readonly id: string;
  /** Where the tool sends its webhooks. */
  readonly url: string;
  readonly events: readonly string[];
  readonly isActive: boolean;
  /** The account whose meetings it reports. */
  readonly account: string;
}

/** Meetings of an organisation, or of one user. */
export type Scope = "organization" | "user";

/** The accounts that a token gives access to, as the tool's API names them. */
export type Accounts = Readonly<Record<Scope, string | undefined>>;

interface SubscriptionOrder {
  readonly account: string;
  readonly url: string;
  readonly key: string;
}

/** A kind of meeting that people can book. */
export interface EventType {
  /** As the sweep needs it. */
  readonly id: string;
  readonly name: string;
  /** Its booking page. */
  readonly url: string | undefined;
}

/** The webhook subscriptions and event types of one tool, through its API. Every method throws a Problem with advice. */
export interface SubscriptionApi {
  accounts(): Promise<Accounts>;
  /** The subscriptions of this account, and all others that the token may see. */
  list(account: string): Promise<readonly Subscription[]>;
  /** Subscribes to all events that concern meetings. */
  create(order: SubscriptionOrder): Promise<Subscription>;
  /** Does nothing if the subscription is gone. */
  remove(subscription: Subscription): Promise<void>;
  /** The active event types of this account. */
  eventTypes(account: string): Promise<readonly EventType[]>;
}

/** A booking tool, as `connect` knows it. */
export interface ConnectableTool extends ToolAccess {
  readonly usualScope: Scope;
  readonly events: readonly string[];
  /** A webhook that concerns no meeting. */
  readonly probe: object;
  /** The environment variable of the place of its API, if that is not the tool's public address. */
  readonly urlVariable: string;
  subscriptions(api: ToolApi): SubscriptionApi;
}
