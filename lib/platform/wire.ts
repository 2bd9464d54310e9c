import type { EmailChannel, EmailOptions } from "../channels/mail.ts";
import type { Network } from "../channels/network.ts";
import { taskChannel } from "../channels/task.ts";
import { once } from "../domain/once.ts";
import type { DeliveryQueue, DigestSender, MessageChannel } from "../run/channel-ports.ts";
import type { Log, RunPorts } from "../run/ports.ts";
import { type Database, openDatabase } from "../store/connect.ts";
import { storePorts } from "../store/follow-up-store.ts";
import { iamConnection } from "../store/iam-connection.ts";
import { createTask } from "../store/touches.ts";
import type { Config } from "./config.ts";
import { secretByArn } from "./secrets.ts";
import { unsubscribeLinksOf } from "./unsubscribe-links.ts";

/** Wires the ports of a run from the configuration. Opens no connection before the first query. */
export function wire(config: Config, log: Log): RunPorts & { readonly database: Database } {
  const database = openDatabase(connectionOf(config));
  const email = connectedEmail(config);
  return {
    ...storePorts(database),
    database,
    channels: {
      email,
      sms: connectedSms(config),
      webhook: connectedWebhook(config),
      task: taskChannel((task) => createTask(database.prisma, task)),
    },
    unsubscribeLinks: unsubscribeLinksOf(config),
    digests: { email: email.digests, webhook: digestWebhookOf(config) },
    queue: connectedQueue(config),
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

/** A run with nothing to send loads no provider's client. */
function whenNeeded(load: () => Promise<MessageChannel>): MessageChannel {
  const channel = once(load);
  return { send: async (touch) => (await channel()).send(touch) };
}

function connectedQueue({ DELIVERY_QUEUE_URL: url }: Config): DeliveryQueue | null {
  if (url === undefined) return null;
  const queue = once(async () => (await import("./queues.ts")).sqsDeliveryQueue(url));
  return { enqueue: async (touchIds) => (await queue()).enqueue(touchIds) };
}

/** One transport for touches and digests. */
function connectedEmail(config: Config): EmailChannel {
  const email = once(() => loadEmail(config));
  return {
    send: async (touch) => (await email()).send(touch),
    digests: { send: async (digest, to) => (await email()).digests.send(digest, to) },
  };
}

async function loadEmail(config: Config): Promise<EmailChannel> {
  const options = { unsubscribeMailto: config.EMAIL_UNSUBSCRIBE_MAILTO };
  switch (config.EMAIL_TRANSPORT) {
    case "ses":
      return loadSes(config, options);
    case "smtp":
      return loadSmtp(config, options);
    case "files":
      return (await import("../channels/outbox.ts")).fileChannel(given(config, "OUTBOX_DIRECTORY"), options);
    default:
      return config.EMAIL_TRANSPORT satisfies never;
  }
}

async function loadSes({ EMAIL_CONFIGURATION_SET }: Config, options: EmailOptions): Promise<EmailChannel> {
  const { sesChannel } = await import("../channels/ses.ts");
  return sesChannel({ ...options, configurationSet: EMAIL_CONFIGURATION_SET });
}

async function loadSmtp(config: Config, options: EmailOptions): Promise<EmailChannel> {
  const { smtpChannel } = await import("../channels/smtp.ts");
  const plaintext = config.SMTP_PLAINTEXT === "allow";
  return smtpChannel(given(config, "SMTP_URL"), {
    ...options,
    plaintext,
    connections: config.RUN_SENDS_AT_ONCE,
    configurationSet: config.EMAIL_CONFIGURATION_SET,
  });
}

function connectedSms(config: Config): MessageChannel {
  const { SMS_ORIGINATION_IDENTITY: originationIdentity, SMS_CONFIGURATION_SET: configurationSet } = config;
  if (originationIdentity === undefined) return notConnected;
  return whenNeeded(async () => {
    const { smsChannel } = await import("../channels/sms.ts");
    return smsChannel({ originationIdentity, configurationSet, messageType: config.SMS_MESSAGE_TYPE });
  });
}

function connectedWebhook(config: Config): MessageChannel {
  const secret = webhookSecret(config);
  if (secret === undefined) return notConnected;
  const url = given(config, "WEBHOOK_URL");
  return whenNeeded(async () => {
    const { webhookChannel } = await import("../channels/webhook.ts");
    return webhookChannel({ url, secret, network: await networkOf(config), now: () => new Date() });
  });
}

/** Each digest has its own URL. Modules are cached after the first import. */
function digestWebhookOf(config: Config): DigestSender {
  return {
    async send(digest, to) {
      const { digestWebhook } = await import("../channels/digest-webhook.ts");
      return digestWebhook({ network: await networkOf(config), now: () => new Date() }).send(digest, to);
    },
  };
}

async function networkOf({ WEBHOOK_NETWORK }: Config): Promise<Network> {
  const { ANY_NETWORK, PUBLIC_NETWORK } = await import("../channels/network.ts");
  return WEBHOOK_NETWORK === "any" ? ANY_NETWORK : PUBLIC_NETWORK;
}

function webhookSecret({ WEBHOOK_SECRET, WEBHOOK_SECRET_ARN }: Config): (() => Promise<string>) | undefined {
  if (WEBHOOK_SECRET_ARN !== undefined) return secretByArn(WEBHOOK_SECRET_ARN);
  return WEBHOOK_SECRET === undefined ? undefined : () => Promise.resolve(WEBHOOK_SECRET);
}

/** `loadConfig` guarantees the value, so a missing one is a bug. */
function given<Key extends keyof Config>(config: Config, key: Key): NonNullable<Config[Key]> {
  const value = config[key];
  if (value === undefined || value === null) throw new Error(`${key} is not set`);
  return value;
}

/** A channel without a provider in this deployment. Refuses every touch so that the sequence advances. */
const notConnected: MessageChannel = {
  send: () => Promise.resolve({ kind: "refused", reason: "channel_not_connected", notAsked: true }),
};
