import type { ConnectionSecrets } from "./connection-secrets.ts";
import type { FactBus } from "./fact-bus.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";
import type { ReadUnsubscribeKeys } from "./unsubscribe-links.ts";

/** The external dependencies of the routes. */
export interface WebhookPorts {
  readonly secrets: ConnectionSecrets;
  readonly bus: FactBus;
  /** Undefined: the stage has no unsubscribe links. */
  readonly unsubscribeKeys?: ReadUnsubscribeKeys | undefined;
  readonly now: () => Date;
}

/** An answer and its log fields, which hold no personal data and no value of the request. */
export interface Handled {
  readonly answer: HttpAnswer;
  readonly outcome:
    | "accepted"
    | "ignored"
    | "faulty"
    | "rejected_signature"
    | "unknown"
    | "wrong_method"
    | "too_large"
    | "unavailable";
  readonly workspaceId?: string;
  readonly reason?: string;
  /** Facts that the bus accepted. */
  readonly accepted?: number;
  /** Facts that were refused. */
  readonly refused?: number;
}

/** One route. `argument` is the second part of the path. Throws Unavailable if the sender must try again. */
export interface Route {
  readonly methods: readonly string[];
  handle(request: HttpRequest, argument: string, ports: WebhookPorts): Promise<Handled>;
}
