import { loadIntakeConfig } from "../lib/platform/config.ts";
import { lambdaSetup, redeliver, sqsBatch } from "../lib/platform/lambda.ts";
import { figuresOfIntake } from "../lib/platform/metrics.ts";
import { wireIntake } from "../lib/platform/wire-intake.ts";
import { applyEvent, applyMessages } from "../lib/run/apply-messages.ts";

const config = loadIntakeConfig(process.env);
const { log, record, handle } = lambdaSetup(config);
const ports = wireIntake(config, log);

/**
 * Applies the facts from the queue and returns the messages to redeliver. Applies a single event too, such as a test
 * event from the console, and returns its outcome, or a list if it has several facts.
 */
export const handler = handle(async (event) => {
  const batch = sqsBatch.safeParse(event);
  if (!batch.success) {
    const outcomes = await applyEvent(JSON.stringify(event), ports);
    return outcomes.length === 1 ? outcomes[0] : outcomes;
  }
  const { report, failedMessageIds } = await applyMessages(batch.data.Records, ports);
  record(figuresOfIntake(report));
  return redeliver(failedMessageIds);
});
