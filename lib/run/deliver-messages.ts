import pLimit from "p-limit";
import * as z from "zod";
import { type ChannelFault, ChannelHealth } from "./channel-health.ts";
import { type DeliveryContext, deliver } from "./deliver.ts";
import { leaseOf } from "./delivery-ports.ts";
import { type RunPorts, SchemaOutOfDate } from "./ports.ts";
import { rateLimitedChannels } from "./rate-limit.ts";
import type { RunSettings } from "./step.ts";
import { type DeliveryReport, noDelivery } from "./step-reports.ts";
import { AdaptiveBatch } from "./throughput.ts";
import { linkedChannels } from "./unsubscribe-links.ts";

/** A message of the delivery queue. Holds ids only: the content is read from the database at send time. */
const deliveryMessage = z.strictObject({ touchIds: z.array(z.guid()).min(1).max(100) });
export type DeliveryMessage = z.infer<typeof deliveryMessage>;

export interface ReceivedMessage {
  readonly messageId: string;
  readonly body: string;
}

interface DeliveredMessages {
  readonly delivery: DeliveryReport;
  /** Channels that failed. */
  readonly channelFaults: readonly ChannelFault[];
  /** Messages that the queue must redeliver. */
  readonly failedMessageIds: readonly string[];
}

/** Each message needs a connection while its touches are checked and settled. */
const MESSAGES_AT_ONCE = 3;

/**
 * Sends the touches of a batch of messages. A failed message does not affect the others. Duplicate and late messages
 * are harmless: only claimed touches whose time has come are sent. Throws SchemaOutOfDate, or DatabaseUnreachable
 * before any message is processed.
 */
export async function deliverMessages(
  messages: readonly ReceivedMessage[],
  { remainingMs }: { readonly remainingMs: () => number },
  ports: Omit<RunPorts, "queue">,
  settings: RunSettings,
): Promise<DeliveredMessages> {
  const { store, log } = ports;
  const missing = await ports.missingSchema();
  if (missing.length > 0) throw new SchemaOutOfDate(missing);
  const now = await ports.now();
  const stopping = () => remainingMs() < settings.safetyMarginMs;
  const health = new ChannelHealth();
  const limits = { sendsAtOnce: settings.sendsAtOnce, stopping, health };
  const context: DeliveryContext = {
    now,
    leaseUntil: leaseOf({ remainingMs }, now),
    store,
    channels: rateLimitedChannels(linkedChannels(ports.channels, ports.unsubscribeLinks), limits),
    health,
    adaptiveBatch: new AdaptiveBatch(),
    remainingMs,
    stopping,
    log,
  };
  const delivery = noDelivery();
  const failed = await pLimit(MESSAGES_AT_ONCE).map(messages, (message) => deliverMessage(context, message, delivery));
  const failedMessageIds = failed.flatMap((id) => (id === null ? [] : [id]));
  const channelFaults = health.faults();
  for (const fault of channelFaults) log.error("channel.down", { ...fault });
  log.info("deliveries.finished", { messages: messages.length, failedMessageIds, delivery, channelFaults });
  return { delivery, channelFaults, failedMessageIds };
}

/** Returns the message id if the message failed, else null. */
async function deliverMessage(
  context: DeliveryContext,
  { messageId, body }: ReceivedMessage,
  report: DeliveryReport,
): Promise<string | null> {
  try {
    await deliver(context, { started: [], ...parseMessage(body) }, report);
    return null;
  } catch (thrown) {
    context.log.error("delivery.failed", { messageId, error: thrown });
    return messageId;
  }
}

function parseMessage(body: string): DeliveryMessage {
  const parsed = deliveryMessage.safeParse(jsonOf(body));
  if (parsed.success) return parsed.data;
  throw new Error(
    `not a message of the delivery queue, expected {"touchIds": [uuid, …]}: ${z.prettifyError(parsed.error)}`,
  );
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new Error('not a message of the delivery queue, expected {"touchIds": [uuid, …]}: it is not JSON', { cause });
  }
}
