import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import * as z from "zod";
import { closeAtOnce, listenOnLoopback } from "./loopback.ts";

/** The environment variables with which the function reaches the receiver. */
type ReceiverEnvironment = Readonly<Record<"WEBHOOK_URL" | "WEBHOOK_SECRET" | "WEBHOOK_NETWORK", string>>;

/**
 * Runs a local receiver for the demo's webhooks while `work` runs. It checks signatures and answers 503 for one touch
 * in four, so that there is something to retry. It accepts the first touch, so that the channel never counts as down.
 */
export async function withReceiver<Result>(
  work: (environment: ReceiverEnvironment) => Promise<Result>,
): Promise<Result> {
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  let hasAccepted = false;
  const server = createServer(async (request, response) => {
    const answer = await answerTo(request, new Webhook(secret));
    const isFirst = answer === 503 && !hasAccepted;
    hasAccepted ||= isFirst || answer === 204;
    response.writeHead(isFirst ? 204 : answer).end();
  });
  const port = await listenOnLoopback(server, 0);
  const WEBHOOK_URL = `http://127.0.0.1:${port}/touches`;
  try {
    return await work({ WEBHOOK_URL, WEBHOOK_SECRET: secret, WEBHOOK_NETWORK: "any" });
  } finally {
    await closeAtOnce(server);
  }
}

const headers = z.object({
  "webhook-id": z.string(),
  "webhook-timestamp": z.string(),
  "webhook-signature": z.string(),
});

async function answerTo(request: IncomingMessage, webhook: Webhook): Promise<204 | 401 | 503> {
  const signed = headers.safeParse(request.headers);
  if (!signed.success) return 401;
  try {
    webhook.verify(await text(request), signed.data);
  } catch (thrown) {
    if (thrown instanceof WebhookVerificationError) return 401;
    throw thrown;
  }
  return /[0-3]$/.test(signed.data["webhook-id"]) ? 503 : 204;
}
