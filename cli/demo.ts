import { randomBytes, randomUUID } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import * as z from "zod";
import { DAY_MS } from "../lib/domain/time-zone.ts";
import { applyEvent, type EventOutcome } from "../lib/run/apply-messages.ts";
import type { Database } from "../lib/store/connect.ts";
import { intakeStore } from "../lib/store/facts/apply-fact.ts";

/** A demo lead that booked, and the outcome of its booking event. */
export interface DemoBooking {
  readonly leadId: string;
  readonly outcome: EventOutcome;
}

const candidates = z.array(z.object({ workspaceId: z.guid(), leadId: z.guid() }));

/**
 * Books one lead in an active sequence with the event that a calendar would send, through the code of
 * functions/intake.ts. Returns null if there is no such lead.
 */
export async function bookByEvent(database: Database): Promise<DemoBooking | null> {
  const { rows } = await database.pool.query(`
    select lead.workspace_id as "workspaceId", lead.id as "leadId"
      from follow_up_instance as instance
      join lead on lead.workspace_id = instance.workspace_id and lead.id = instance.lead_id
     where instance.status = 'active' and not instance.post_booking and not instance.lead_booked
       and instance.next_step_due > now() + interval '1 hour' and lead.status = 'qualified'
     order by lead.id
     limit 1`);
  const [lead] = candidates.parse(rows);
  if (!lead) return null;
  const now = Date.now();
  const inAWeek = (minutes: number) => new Date(now + 7 * DAY_MS + minutes * 60_000).toISOString();
  const detail = {
    workspaceId: lead.workspaceId,
    eventId: `demo-${randomUUID()}`,
    occurredAt: new Date(now).toISOString(),
    lead: { id: lead.leadId },
    meeting: { id: `demo-${randomUUID()}`, startsAt: inAWeek(0), endsAt: inAWeek(30) },
  };
  const event = JSON.stringify({ "detail-type": "meeting.booked", detail });
  const [outcome] = await applyEvent(event, intakeStore(database));
  if (!outcome) throw new Error("a booking is one fact");
  return { leadId: lead.leadId, outcome };
}

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
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const WEBHOOK_URL = `http://127.0.0.1:${port}/touches`;
  try {
    return await work({ WEBHOOK_URL, WEBHOOK_SECRET: secret, WEBHOOK_NETWORK: "any" });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
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
