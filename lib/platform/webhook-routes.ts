import type { Log } from "../run/ports.ts";
import { CALCOM, CALENDLY, FACTS } from "./fact-routes.ts";
import { type HttpAnswer, type HttpRequest, jsonAnswer, requestOf } from "./http.ts";
import type { Figure } from "./metrics.ts";
import type { Handled, Route, WebhookPorts } from "./route.ts";
import { Unavailable } from "./unavailable.ts";
import { UNSUBSCRIBE } from "./unsubscribe-route.ts";

/** Routes by the first part of the path. The second part is the route's argument. */
const ROUTES: ReadonlyMap<string, Route> = new Map([
  ["calendly", CALENDLY],
  ["calcom", CALCOM],
  ["facts", FACTS],
  ["unsubscribe", UNSUBSCRIBE],
]);

/** Far above what tools send, and below what a function can receive. */
export const LARGEST_BODY_BYTES = 1024 * 1024;

interface Answered {
  readonly answer: HttpAnswer;
  readonly figures: readonly Figure[];
}

/**
 * Answers a request to the webhooks function, and logs one line about it. Throws only on an event that is not one of
 * an HTTP API, and on a bug.
 *
 * - 2xx: the bus has accepted every fact, or the webhook that no translator can read
 * - 400: posted facts that are all faulty or not JSON
 * - 401: a missing or wrong signature
 * - 404: an unknown route or workspace
 * - 405, 413: another method, a body that is too large
 * - 503: the sender must try again
 *
 * Never 410, because Calendly deletes a subscription that answers it.
 */
export async function answerRequest(event: unknown, ports: WebhookPorts & { readonly log: Log }): Promise<Answered> {
  const request = requestOf(event);
  const [name = "", argument = ""] = request.path;
  const route = request.path.length === 2 ? ROUTES.get(name) : undefined;
  const { answer, outcome, ...remarks } = await handle(route, request, argument, ports);
  const line = { route: route ? name : null, status: answer.statusCode, outcome, ...remarks };
  ports.log[outcome === "faulty" || outcome === "unavailable" ? "error" : "info"]("webhook.answered", line);
  return { answer, figures: figuresOf(outcome, remarks) };
}

async function handle(
  route: Route | undefined,
  request: HttpRequest,
  argument: string,
  ports: WebhookPorts,
): Promise<Handled> {
  if (!route) return { outcome: "unknown", answer: jsonAnswer(404, { error: "there is no such route" }) };
  if (!route.methods.includes(request.method)) {
    const allow = route.methods.join(", ");
    return { outcome: "wrong_method", answer: jsonAnswer(405, { error: `use ${allow}` }, { allow }) };
  }
  if (request.body.length > LARGEST_BODY_BYTES) {
    const error = `the body has ${request.body.length} bytes; at most ${LARGEST_BODY_BYTES} are allowed`;
    return { outcome: "too_large", answer: jsonAnswer(413, { error }) };
  }
  try {
    return await route.handle(request, argument, ports);
  } catch (thrown) {
    if (!(thrown instanceof Unavailable)) throw thrown;
    const answer = jsonAnswer(503, { error: "try again later" }, { "retry-after": "30" });
    return { outcome: "unavailable", reason: thrown.message, answer };
  }
}

const figuresOf = (outcome: Handled["outcome"], { accepted = 0 }: Pick<Handled, "accepted">): readonly Figure[] => [
  { name: "AcceptedFacts", value: accepted },
  { name: "RejectedSignatures", value: outcome === "rejected_signature" ? 1 : 0 },
];
