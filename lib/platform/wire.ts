import { fileChannel, sesChannel, smtpChannel } from "../channels/email.ts";
import { notConnected } from "../channels/not-connected.ts";
import { taskChannel } from "../channels/task.ts";
import type { Log, MessageChannel, RunPorts } from "../run/ports.ts";
import { type Database, openDatabase } from "../store/connect.ts";
import { storePorts } from "../store/follow-up-store.ts";
import { iamConnection } from "../store/iam-connection.ts";
import { createTask } from "../store/tasks.ts";
import type { Config } from "./config.ts";

/** Connects the ports of a run to what the configuration names. No connection is made before the first query. */
export function wire(config: Config, log: Log): RunPorts & { readonly database: Database } {
  const database = openDatabase(connectionOf(config));
  return {
    ...storePorts(database),
    database,
    channels: {
      email: emailChannel(config),
      sms: notConnected,
      webhook: notConnected,
      task: taskChannel((task) => createTask(database.prisma, task)),
    },
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

function emailChannel(config: Config): MessageChannel {
  switch (config.EMAIL_TRANSPORT) {
    case "ses":
      return sesChannel();
    case "smtp":
      return smtpChannel(given(config, "SMTP_URL"));
    case "files":
      return fileChannel(given(config, "OUTBOX_DIRECTORY"));
    default:
      return config.EMAIL_TRANSPORT satisfies never;
  }
}

/** `loadConfig` has seen to it; a config made otherwise is a bug. */
function given<Key extends keyof Config>(config: Config, key: Key): NonNullable<Config[Key]> {
  const value = config[key];
  if (value === undefined || value === null) throw new Error(`${key} is not set`);
  return value;
}
