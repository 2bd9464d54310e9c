import type { DeadLetterQueue, IntakePorts } from "../run/apply-messages.ts";
import type { Log } from "../run/ports.ts";
import { openDatabase } from "../store/connect.ts";
import { intakeStore } from "../store/facts/apply-fact.ts";
import type { IntakeConfig } from "./config.ts";
import { connectionTo } from "./connection.ts";

/** Query timeout. Prevents one blocked event from running the batch into the function's time limit. */
const ANSWER_TIMEOUT_MS = 20_000;

/** Wires the intake's ports. Opens no connection before the first query. Not in wire.ts, to keep its bundle small. */
export function wireIntake(config: IntakeConfig, log: Log, answerTimeoutMs = ANSWER_TIMEOUT_MS): IntakePorts {
  const database = openDatabase({ ...connectionTo(config), query_timeout: answerTimeoutMs });
  return { ...intakeStore(database), deadLetters: refusedEvents(config.INTAKE_DEAD_LETTERS_URL), log };
}

/** Imports the SQS client when the first event is refused, because most batches do not need it. */
function refusedEvents(queueUrl: string): DeadLetterQueue {
  let queue: DeadLetterQueue | undefined;
  return {
    async keep(message, reason) {
      const { sqsDeadLetterQueue } = await import("./queues.ts");
      queue ??= sqsDeadLetterQueue(queueUrl);
      await queue.keep(message, reason);
    },
  };
}
