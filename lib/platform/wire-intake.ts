import { once } from "../domain/once.ts";
import type { DeadLetterQueue, IntakePorts } from "../run/apply-messages.ts";
import type { ReceivedMails } from "../run/facts-of-message.ts";
import type { Log } from "../run/ports.ts";
import { intakeStore } from "../store/facts/apply-fact.ts";
import { connectionTo } from "../store/iam-connection.ts";
import { openPool } from "../store/pool.ts";
import type { IntakeConfig } from "./config.ts";

/** Query timeout. Prevents one blocked event from running the batch into the function's time limit. */
const ANSWER_TIMEOUT_MS = 20_000;

/** Wires the intake's ports. Opens no connection before the first query. Not in wire.ts, to keep its bundle small. */
export function wireIntake(config: IntakeConfig, log: Log, answerTimeoutMs = ANSWER_TIMEOUT_MS): IntakePorts {
  const pool = openPool({ ...connectionTo(config), query_timeout: answerTimeoutMs });
  const { INTAKE_DEAD_LETTERS_URL, INBOUND_MAIL_BUCKET: bucket } = config;
  return {
    ...intakeStore({ pool }),
    ...(bucket !== undefined && { mails: receivedMails(bucket) }),
    deadLetters: refusedEvents(INTAKE_DEAD_LETTERS_URL),
    log,
  };
}

/** Imports the S3 client with the first mail. */
function receivedMails(bucket: string): ReceivedMails {
  const mails = once(async () => (await import("./received-mails.ts")).s3Mails(bucket));
  return { bucket, read: async (key) => await (await mails()).read(key) };
}

/** Imports the SQS client when the first event is refused, because most batches do not need it. */
function refusedEvents(queueUrl: string): DeadLetterQueue {
  const queue = once(async () => (await import("./queues.ts")).sqsDeadLetterQueue(queueUrl));
  return { keep: async (message, reason) => await (await queue()).keep(message, reason) };
}
