import { fileChannel, sesChannel, smtpChannel } from "../channels/email.ts";
import { ANY_NETWORK, PUBLIC_NETWORK } from "../channels/network.ts";
import { notConnected } from "../channels/not-connected.ts";
import { smsChannel } from "../channels/sms.ts";
import { taskChannel } from "../channels/task.ts";
import { webhookChannel } from "../channels/webhook.ts";
import type { Log, MessageChannel, RunPorts } from "../run/ports.ts";
import { type Database, openDatabase } from "../store/connect.ts";
import { storePorts } from "../store/follow-up-store.ts";
import { iamConnection } from "../store/iam-connection.ts";
import { createTask } from "../store/tasks.ts";
import type { Config } from "./config.ts";
import { sqsDeliveryQueue } from "./delivery-queue.ts";
import { secretByArn } from "./secret.ts";

/** Connects the ports of a run to what the configuration names. No connection is made before the first query. */
export function wire(config: Config, log: Log): RunPorts & { readonly database: Database } {
  const database = openDatabase(connectionOf(config));
  return {
    ...storePorts(database),
    database,
    channels: {
      email: connectedEmail(config),
      sms: connectedSms(config),
      webhook: connectedWebhook(config),
      task: taskChannel((task) => createTask(database.prisma, task)),
    },
    queue: config.DELIVERY_QUEUE_URL === undefined ? null : sqsDeliveryQueue(config.DELIVERY_QUEUE_URL),
    log,
  };
}

function connectionOf(config: Config) {
  if (config.DATABASE_URL !== undefined) return { connectionString: config.DATABASE_URL };
  return iamConnection({
    host: given(config, "DATABASE_HOST"),
    port: config.DATABASE_PORT,
    database: given(config, "DATABASE_NAME"),
    user: given(config, "DATABASE_USER"),
    region: given(config, "AWS_REGION"),
  });
}

function connectedEmail(config: Config): MessageChannel {
  const unsubscribe = { url: config.EMAIL_UNSUBSCRIBE_URL, mailto: config.EMAIL_UNSUBSCRIBE_MAILTO };
  switch (config.EMAIL_TRANSPORT) {
    case "ses":
      return sesChannel({ unsubscribe });
    case "smtp":
      return smtpChannel(given(config, "SMTP_URL"), { unsubscribe });
    case "files":
      return fileChannel(given(config, "OUTBOX_DIRECTORY"), { unsubscribe });
    default:
      return config.EMAIL_TRANSPORT satisfies never;
  }
}

function connectedSms(config: Config): MessageChannel {
  if (config.SMS_ORIGINATION_IDENTITY === undefined) return notConnected;
  return smsChannel({
    originationIdentity: config.SMS_ORIGINATION_IDENTITY,
    configurationSet: config.SMS_CONFIGURATION_SET,
    messageType: config.SMS_MESSAGE_TYPE,
  });
}

function connectedWebhook(config: Config): MessageChannel {
  const secret = webhookSecret(config);
  if (secret === undefined) return notConnected;
  return webhookChannel({
    url: given(config, "WEBHOOK_URL"),
    secret,
    network: config.WEBHOOK_NETWORK === "any" ? ANY_NETWORK : PUBLIC_NETWORK,
    now: () => new Date(),
  });
}

function webhookSecret({ WEBHOOK_SECRET, WEBHOOK_SECRET_ARN }: Config): (() => Promise<string>) | undefined {
  if (WEBHOOK_SECRET_ARN !== undefined) return secretByArn(WEBHOOK_SECRET_ARN);
  return WEBHOOK_SECRET === undefined ? undefined : () => Promise.resolve(WEBHOOK_SECRET);
}

/** `loadConfig` has seen to it; a config made otherwise is a bug. */
function given<Key extends keyof Config>(config: Config, key: Key): NonNullable<Config[Key]> {
  const value = config[key];
  if (value === undefined || value === null) throw new Error(`${key} is not set`);
  return value;
}
